//! Kinds of work. Each service registers its own, with what is done, how often it is tried and what happens then.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gotong_engine::types::Trigger;
use gotong_store::{CommitError, JobRow, Lease};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::back_off::BackOff;
use super::request_id;
use crate::app::App;
use crate::command::Command;
use crate::command::answer::CommandError;
use crate::request::{Actor, CommandContext};

/// What most kinds wait between attempts.
const USUAL: BackOff = BackOff {
    base_ms: 1_000,
    max_ms: 60_000,
};

/// How often a job is tried before a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// Until it is done: for work that others wait for and that nobody would do by hand.
    NeverGivenUp,
    /// So often; then it is dead. An attempt is counted when a worker takes the job, before any work is done: it may
    /// end with its worker at once, and the last one is then never made up for. Who allows a single attempt can find
    /// the job dead without its work having begun.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the one kind there is, is never given up")
    )]
    AtMost(NonZeroU32),
}

impl Attempts {
    /// Whether this attempt, the first being 1, was the last.
    pub fn are_over_after(self, attempt: u32) -> bool {
        match self {
            Self::NeverGivenUp => false,
            Self::AtMost(most) => attempt >= most.get(),
        }
    }
}

/// Why a job did not get done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("the payload does not fit the job")]
    Payload(#[from] serde_json::Error),
    #[error("it took longer than {} ms", .0.as_millis())]
    TookTooLong(Duration),
    #[error("it panicked")]
    Panicked,
    #[error("its workers ended in the middle of it, {0} times")]
    WorkersEnded(u32),
    /// Somebody else has the job now, or nobody does: it is not for this worker to say what becomes of it.
    #[error("its lease was lost")]
    LeaseLost,
    /// With the status that a request would have been answered with.
    #[error("the command was refused with {0}")]
    Refused(u16),
    #[error(transparent)]
    Command(CommandError),
}

impl From<CommandError> for JobError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Commit(CommitError::LeaseLost { .. }) => Self::LeaseLost,
            error => Self::Command(error),
        }
    }
}

/// A job in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub job: JobRow,
    pub lease: Lease,
}

impl Claimed {
    /// The command's circumstances: the host's own timer, under the job's id, in the correlation of the request that
    /// set it. Whatever commits under it finishes the job, if the lease still holds.
    pub fn context(&self, app: &App) -> CommandContext {
        CommandContext {
            actor: Actor::system(),
            request_id: request_id(&self.job.job_id),
            correlation_id: self
                .job
                .correlation_id
                .clone()
                .unwrap_or_else(|| Uuid::now_v7().to_string()),
            request_digest: self.job.kind.clone(),
            now_ms: app.clock.now_ms(),
            trigger: Trigger::Timer,
            creates: false,
            lease: Some(self.lease.clone()),
            place: None,
        }
    }
}

type Handler = Arc<dyn Fn(App, Claimed) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// A kind of work. Its payload holds ids and times, no text and no person: admins read it.
#[derive(Clone)]
pub struct Kind {
    /// The word in the job's row. Once a job was set, it stays.
    pub name: &'static str,
    pub attempts: Attempts,
    back_off: BackOff,
    /// How long one attempt may take; as long as a request may, if not set. The lease is renewed meanwhile.
    longest: Option<Duration>,
    /// Nobody else does this work: a person who calls such a job off has to insist.
    pub is_needed: bool,
    handler: Handler,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind")
            .field("name", &self.name)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl Kind {
    /// Work that is one command, which the payload holds.
    pub fn command<C: Command + DeserializeOwned + 'static>(
        name: &'static str,
        attempts: Attempts,
    ) -> Self {
        let run = async |app: App, claimed: Claimed| -> Result<(), JobError> {
            let command: C = serde_json::from_value(claimed.job.payload.clone())?;
            let answer = app.command(claimed.context(&app), command).await?;
            if answer.status.is_success() {
                Ok(())
            } else {
                Err(JobError::Refused(answer.status.as_u16()))
            }
        };
        Self::new(name, attempts, move |app, claimed| {
            run(app, claimed).boxed()
        })
    }

    /// Work that is more than a command. Its last step is one, in [`Claimed::context`]: that finishes the job.
    pub fn new(
        name: &'static str,
        attempts: Attempts,
        handler: impl Fn(App, Claimed) -> BoxFuture<'static, Result<(), JobError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            name,
            attempts,
            back_off: USUAL,
            longest: None,
            is_needed: false,
            handler: Arc::new(handler),
        }
    }

    /// Other waits between attempts than 1 s to 60 s.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the one kind there is takes the usual")
    )]
    pub fn backing_off(mut self, back_off: BackOff) -> Self {
        self.back_off = back_off;
        self
    }

    /// Another limit for one attempt than a request has.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the one kind there is takes the usual")
    )]
    pub fn within(mut self, longest: Duration) -> Self {
        self.longest = Some(longest);
        self
    }

    /// When to try again after this attempt, the first being 1; `None`: never.
    pub fn wait_ms(&self, job_id: &str, attempt: u32) -> Option<i64> {
        let over = self.attempts.are_over_after(attempt);
        (!over).then(|| self.back_off.wait_ms(job_id, attempt))
    }

    /// How long one attempt may take, where requests may take `usual`.
    pub fn longest(&self, usual: Duration) -> Duration {
        self.longest.unwrap_or(usual)
    }

    /// Nobody else does this work.
    pub fn needed(mut self) -> Self {
        self.is_needed = true;
        self
    }

    pub(super) fn run(
        &self,
        app: App,
        claimed: Claimed,
    ) -> BoxFuture<'static, Result<(), JobError>> {
        (self.handler)(app, claimed)
    }
}

/// Every kind a host knows, by its word.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Arc<BTreeMap<&'static str, Kind>>);

impl Kinds {
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self(Arc::new(
            kinds.into_iter().map(|kind| (kind.name, kind)).collect(),
        ))
    }

    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.0.get(name)
    }

    /// The word of each.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}
