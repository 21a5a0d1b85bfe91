//! The one write path: `App::command`.
//!
//! It opens a unit of work, runs the command, and commits everything the command gathered in one
//! transaction: events, rows, decisions, jobs, and the answer itself. When a fact went stale it starts
//! again from the facts. Nothing is written before that commit or after it.

pub mod answer;
pub mod locks;
pub mod refusal;
mod turns;
pub mod work;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use gotong_engine::types::Trigger;
use gotong_store::StoredResponse;
use serde::Serialize;
use tokio::time::timeout_at;

use crate::app::App;
use crate::problems::Code;
use crate::request::{Actor, CommandContext};
use answer::{Answer, CommandError};
use refusal::{Fault, Refusal};
use tracing::Instrument;
use turns::Turn;
pub use turns::Turns;
use work::Work;

/// Longest pause before a command whose facts went stale starts again.
const LONGEST_PAUSE_MS: u64 = 64;

/// Where `--dev` can be told to die, to prove that nothing is left half-done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashPoint {
    BeforeFacts,
    BeforeCommit,
    AfterCommit,
    /// It waits there for ever instead: for a kill -9 from outside.
    HangBeforeCommit,
}

/// Something a caller wants to happen. Its type holds what was asked for; `run` is facts, rulings and effects, and
/// knows neither HTTP nor SurrealQL.
pub trait Command: Send + Sync {
    /// What a success answers.
    type Output: Serialize + Send;

    /// The entity it is about, or `create:{kind}:{user_id}` for what does not exist yet: request ids are unique in
    /// it, and commands of one scope queue up.
    fn scope(&self, actor: &Actor) -> String;

    /// Runs again, from its facts, whenever they went stale before the commit.
    fn run(&self, work: &mut Work) -> impl Future<Output = Result<Self::Output, Refusal>> + Send;
}

impl App {
    /// Runs one command to its one effect per (scope, request_id).
    ///
    /// In a task of its own: a caller that goes away or runs out of time cannot cut it off half-way, and its locks
    /// are held until it ended.
    pub async fn command(
        &self,
        context: CommandContext,
        command: impl Command + 'static,
    ) -> Result<Answer, CommandError> {
        let app = self.clone();
        let run = async move {
            let ended = app.once(&context, &command).await;
            app.metrics.command(&ended, |answer| answer.replayed);
            // Not before: whether somebody waits for it or not, this is what the host is at.
            drop(context.place);
            ended
        };
        tokio::spawn(run.in_current_span())
            .await
            .unwrap_or_else(|_| Err(Fault::Broken("the command panicked".into()).into()))
    }

    async fn once(
        &self,
        context: &CommandContext,
        command: &impl Command,
    ) -> Result<Answer, CommandError> {
        let scope = command.scope(&context.actor);
        // For the same request here and on other hosts together, however often it is waited for.
        let wait = Duration::from_millis(self.config.limits.same_request_wait_ms);
        let end = || Instant::now() + wait;
        let first_end = end();
        let request = format!("{scope}\n{}", context.request_id);
        let Ok(_running) = timeout_at(first_end.into(), self.requests.lock(&request)).await else {
            return Err(CommandError::StillRunning);
        };
        let Some(mut turn) = self.turn(context, &request, first_end).await else {
            return Err(CommandError::StillRunning);
        };
        let _queued = self.streams.lock(&scope).await;
        for attempt in 0..self.config.limits.commit_tries {
            match self.attempt(&scope, context, command, &turn).await {
                // Another host works it out by now: its answer is waited for, as long as it would be from the start.
                Err(CommandError::TurnLost) => match self.turn(context, &request, end()).await {
                    Some(next) => turn = next,
                    None => return Err(CommandError::StillRunning),
                },
                // Another host was quicker, with this very request or with one that changed the facts.
                Err(error) if error.is_passing() => {
                    let error = error.to_string();
                    tracing::debug!(attempt, error, "the command starts again from its facts");
                    self.metrics.retried();
                    tokio::time::sleep(pause(attempt)).await;
                }
                ended => {
                    turn.end(ended.as_ref().is_ok_and(|answer| answer.kept));
                    return ended;
                }
            }
        }
        turn.end(false);
        Err(CommandError::Contention)
    }

    /// Waits for the turn of a request among all hosts. The work of a job has its lease, and needs none.
    async fn turn(&self, context: &CommandContext, request: &str, end: Instant) -> Option<Turn> {
        if context.lease.is_some() {
            return Some(Turn::Free);
        }
        self.turns.take(request, end).await
    }

    async fn attempt(
        &self,
        scope: &str,
        context: &CommandContext,
        command: &impl Command,
        turn: &Turn,
    ) -> Result<Answer, CommandError> {
        if let Some(stored) = self.store.response(scope, &context.request_id).await? {
            return Answer::repeat(stored, context);
        }
        self.crash_point(CrashPoint::BeforeFacts);
        let mut work = Work::open(self.clone(), context.clone());
        let outcome = match command.run(&mut work).await {
            Err(Refusal::Fault(fault)) => return Err(fault.into()),
            outcome => outcome,
        };
        let mut answer = tracing::debug_span!("answer", correlation_id = context.correlation_id)
            .in_scope(|| Answer::first(&outcome, context))?;
        let response = is_kept(&outcome, context).then(|| StoredResponse {
            scope: scope.to_owned(),
            request_id: context.request_id.clone(),
            actor: context.actor.user_id.clone(),
            request_digest: context.request_digest.clone(),
            status: answer.status.as_u16(),
            body: answer.body.clone(),
            at_ms: context.now_ms,
        });
        answer.kept = response.is_some();
        let (commit, shadows) = work.into_commit(outcome.is_ok(), response);
        if commit.response.is_none() && commit.decisions.is_empty() {
            return Ok(answer);
        }
        self.crash_point(CrashPoint::BeforeCommit);
        if self.config.dev && self.config.crash_at == Some(CrashPoint::HangBeforeCommit) {
            std::future::pending::<()>().await;
        }
        if !turn.holds().await {
            return Err(CommandError::TurnLost);
        }
        self.store
            .commit(&commit)
            .instrument(tracing::debug_span!(
                "commit",
                correlation_id = context.correlation_id
            ))
            .await
            .map_err(CommandError::Commit)?;
        self.crash_point(CrashPoint::AfterCommit);
        shadows.count(&self.shadows);
        self.jobs_changed(&commit.jobs);
        Ok(answer)
    }

    fn crash_point(&self, point: CrashPoint) {
        if self.config.dev && self.config.crash_at == Some(point) {
            std::process::abort();
        }
    }
}

/// Whether the answer is kept and given again. Not when there is nothing, or nothing to be seen, which must look the
/// same twice; not when the engine failed, which is no ruling; not for a timer that was refused: it tries again.
fn is_kept<T>(outcome: &Result<T, Refusal>, context: &CommandContext) -> bool {
    match outcome {
        Ok(_) => true,
        Err(Refusal::NotFound(_)) => false,
        Err(Refusal::Ruled(ruled)) if ruled.is_invisibility() => false,
        Err(Refusal::PolicyFailed { code, .. }) if *code == Code::PolicyEngineError => false,
        Err(_) => context.trigger != Trigger::Timer,
    }
}

/// Full jitter: anything up to 1, 2, 4 … 64 ms.
fn pause(attempt: u32) -> Duration {
    let longest_ms = (1_u64 << attempt.min(6)).min(LONGEST_PAUSE_MS);
    let mut byte = [0_u8; 1];
    // Without randomness the pause is the longest one: still correct, only slower.
    let share = getrandom::fill(&mut byte).map_or(u64::from(u8::MAX), |()| u64::from(byte[0]));
    Duration::from_micros(longest_ms * 1_000 * share / u64::from(u8::MAX))
}
