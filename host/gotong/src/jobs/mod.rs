//! Durable timers: jobs that lie in the store and are run when they are due, by any host, at least once.
//! What a job does is a command under the job's own id, so it takes effect once.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::{FutureExt, StreamExt, stream};
use gotong_engine::types::Trigger;
use gotong_store::{AfterFailure, JobRow, StoreError};
use uuid::Uuid;

use crate::app::App;
use crate::command::answer::{CommandError, error_for_log};
use crate::http::auth::Actor;
use crate::http::context::CommandContext;
use crate::transitions::close::CloseGate;

/// A lease outlives the longest command: `request_timeout_ms` is kept below it (checked at start).
pub const LEASE_MS: i64 = 15_000;
const AT_ONCE: usize = 8;
const BATCH: usize = 64;
/// How long the loop sleeps at most: what another host scheduled is noticed by then.
const SWEEP: Duration = Duration::from_secs(1);
const LONGEST_RETRY_MS: i64 = 60_000;

/// What a job is for. Its word stands in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    CloseGate,
}

impl JobKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloseGate => "close_gate",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::CloseGate]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Why a job did not get done.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error("no such kind of job: `{0}`")]
    Kind(String),
    #[error("the payload does not fit the job")]
    Payload(#[from] serde_json::Error),
    #[error("the command took too long")]
    TimedOut,
    #[error("the command was refused with {0}")]
    Refused(StatusCode),
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Runs due jobs until `stop` resolves: when one falls due, when rung, and once a second.
pub async fn work(app: App, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        match AssertUnwindSafe(app.run_due_jobs()).catch_unwind().await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(
                error = error_for_log(&error),
                "due jobs could not be looked up"
            ),
            // The lease of the job that panicked runs out, and it is tried again.
            Err(_) => tracing::error!("a job panicked"),
        }
        let next_ms = app
            .store
            .jobs()
            .next_due()
            .await
            .ok()
            .flatten()
            .map_or(i64::MAX, |due_ms| due_ms - app.clock.now_ms());
        // What is past due and still there could not be claimed: asking again at once would be a hot loop.
        let pause = match u64::try_from(next_ms) {
            Ok(next_ms) if next_ms > 0 => Duration::from_millis(next_ms).min(SWEEP),
            _ => SWEEP,
        };
        tokio::select! {
            () = &mut stop => return,
            () = app.timers.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl App {
    /// Runs what is due now, and what falls due by that. Returns how many jobs ran.
    pub async fn run_due_jobs(&self) -> Result<usize, StoreError> {
        // One pass at a time: who waits for one knows that what was due before has run.
        let _pass = self.timer_pass.lock().await;
        let mut ran = 0;
        loop {
            let due = self.store.jobs().due(self.clock.now_ms(), BATCH).await?;
            let run = |job| {
                let app = self.clone();
                async move { app.claim_and_run(job).await }
            };
            let claimed: Vec<bool> = stream::iter(due.into_iter().map(run))
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            let done = claimed.iter().filter(|ran| **ran).count();
            if done == 0 {
                return Ok(ran);
            }
            ran += done;
        }
    }

    /// `false`: somebody else has the job.
    async fn claim_and_run(&self, job: JobRow) -> bool {
        let jobs = self.store.jobs();
        // One run of a job in this process at a time, though its lease is the process' own.
        let _running = self.requests.lock(&format!("job\n{}", job.job_id)).await;
        match jobs
            .claim(&job.job_id, &self.instance, self.clock.now_ms(), LEASE_MS)
            .await
        {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                tracing::error!(
                    job = job.job_id,
                    error = error_for_log(&error),
                    "a job could not be claimed"
                );
                return false;
            }
        }
        let limit = Duration::from_millis(self.config.limits.request_timeout_ms);
        let outcome = tokio::time::timeout(limit, self.run_job(&job))
            .await
            .unwrap_or(Err(JobError::TimedOut));
        let Err(error) = outcome else { return true };
        let text = error_for_log(&error);
        tracing::error!(
            job = job.job_id,
            attempt = job.attempts + 1,
            error = text,
            "a job failed"
        );
        // Never given up: a gate that cannot close holds its entity up until it does.
        let then = AfterFailure::RetryAt(self.clock.now_ms() + retry_ms(job.attempts));
        if let Err(error) = jobs
            .release_failed(&job.job_id, &self.instance, &text, then)
            .await
        {
            tracing::error!(
                job = job.job_id,
                error = error_for_log(&error),
                "a failed job could not be put back"
            );
        }
        true
    }

    async fn run_job(&self, job: &JobRow) -> Result<(), JobError> {
        let kind = JobKind::parse(&job.kind).ok_or_else(|| JobError::Kind(job.kind.clone()))?;
        let context = CommandContext {
            actor: Actor::system(),
            request_id: job.job_id.clone(),
            correlation_id: Uuid::now_v7().to_string(),
            request_digest: job.kind.clone(),
            now_ms: self.clock.now_ms(),
            trigger: Trigger::Timer,
            success: StatusCode::OK,
        };
        let answer = match kind {
            JobKind::CloseGate => {
                let close: CloseGate = serde_json::from_value(job.payload.clone())?;
                self.command(context, close).await?
            }
        };
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(JobError::Refused(answer.status))
        }
    }
}

/// 1 s, 2 s, 4 s … at most a minute.
fn retry_ms(attempts: u32) -> i64 {
    (1_000_i64 << attempts.min(6)).min(LONGEST_RETRY_MS)
}
