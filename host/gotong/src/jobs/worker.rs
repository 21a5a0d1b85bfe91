//! The worker: takes what may run, holds on to it while it runs, and says what becomes of it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use gotong_store::{AfterFailure, Due, JobRow, JobState, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::kind::{Claimed, JobError, Kind};
use crate::app::App;
use crate::metrics::words::JobEnd;
use crate::telemetry::error_for_log;

/// How long the loop sleeps at most: what another host set is noticed by then.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// For how long a job of a kind that this host does not know is left to others.
const PUT_OFF_MS: i64 = 10_000;

/// A lease is renewed so many times before it would end: one renewal may fail.
const RENEWALS: u32 = 3;

/// Runs due jobs until `stop` resolves: when one falls due, when rung, and once a second. Then waits for those in hand.
pub async fn work(app: App, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    loop {
        let started = match AssertUnwindSafe(app.start_due_jobs()).catch_unwind().await {
            Ok(Ok(started)) => started,
            Ok(Err(error)) => {
                let error = error_for_log(&error);
                tracing::error!(error, "due jobs could not be looked up");
                0
            }
            Err(_) => {
                tracing::error!("the look for due jobs panicked");
                0
            }
        };
        // More may be due than was taken. With every slot taken, the next one to be free rings.
        let pause = if started > 0 && app.jobs.slots.available_permits() > 0 {
            Duration::ZERO
        } else {
            app.until_next_job().await
        };
        tokio::select! {
            () = &mut stop => break,
            () = app.jobs.bell.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while !app.jobs.is_idle() {
        tokio::select! {
            () = app.jobs.bell.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// A job's place in a worker's hands. Dropping it makes room for the next.
struct Slot {
    app: App,
    job_id: String,
    _permit: OwnedSemaphorePermit,
    claimed: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.app.jobs.let_go(&self.job_id);
        // What could not be claimed stays due: to ring for it would be a hot loop.
        if self.claimed {
            self.app.jobs.count_run();
            self.app.jobs.ring();
        }
    }
}

impl App {
    /// Runs what is due now, and what falls due by that, and waits for it; also for what this process has in hand
    /// already. Returns how many jobs ran.
    pub async fn run_due_jobs(&self) -> Result<usize, StoreError> {
        let before = self.jobs.runs();
        loop {
            let runs = self.jobs.runs();
            let started = self.start_due_jobs().await?;
            while !self.jobs.is_idle() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if started == 0 && runs == self.jobs.runs() {
                return Ok(runs - before);
            }
        }
    }

    async fn until_next_job(&self) -> Duration {
        let next = self.jobs.dispatcher.next(&self.store).await;
        let next_ms = next
            .ok()
            .flatten()
            .map_or(i64::MAX, |due_ms| due_ms - self.clock.now_ms());
        // What is past due and still there could not be claimed: asking again at once would be a hot loop.
        match u64::try_from(next_ms) {
            Ok(next_ms) if next_ms > 0 => Duration::from_millis(next_ms).min(POLL),
            _ => POLL,
        }
    }

    /// Starts as many due jobs as there are free slots. Returns how many were there to be started.
    async fn start_due_jobs(&self) -> Result<usize, StoreError> {
        let jobs = &self.jobs;
        let free = jobs.slots.available_permits();
        if free == 0 {
            return Ok(0);
        }
        let now_ms = self.clock.now_ms();
        let lease_ms = self.config.jobs.lease_ms;
        let candidates =
            jobs.dispatcher
                .candidates(&self.store, &self.instance, now_ms, lease_ms, free);
        let mut started = 0;
        for place in candidates.await? {
            let Ok(permit) = jobs.slots.clone().try_acquire_owned() else {
                break;
            };
            if !jobs.hold(&place.job_id) {
                continue;
            }
            let slot = Slot {
                app: self.clone(),
                job_id: place.job_id.clone(),
                _permit: permit,
                claimed: false,
            };
            started += 1;
            tokio::spawn(slot.claim_and_run(place));
        }
        Ok(started)
    }
}

impl Slot {
    async fn claim_and_run(mut self, place: Due) {
        let app = self.app.clone();
        let lease_ms = app.config.jobs.lease_ms;
        let jobs = app.store.jobs();
        let claimed = jobs.claim(&place, &app.instance, app.clock.now_ms(), lease_ms);
        match claimed.await {
            Ok(Some(job)) => {
                let Some(lease) = job.lease() else {
                    tracing::error!(job = self.job_id, "a claimed job has no lease");
                    return;
                };
                self.claimed = true;
                let span = tracing::info_span!("job", correlation_id = job.correlation_id);
                let claimed = Claimed { job, lease };
                self.run(claimed).instrument(span).await;
            }
            // Somebody else was quicker, or Redis has an old idea of it.
            Ok(None) => {
                self.tell_where_it_stands().await;
            }
            Err(error) => {
                let error = error_for_log(&error);
                tracing::error!(job = self.job_id, error, "a job could not be claimed");
            }
        }
    }

    async fn run(&self, claimed: Claimed) {
        let Claimed { job, lease } = &claimed;
        let app = &self.app;
        let Some(kind) = app.jobs.kinds.get(&job.kind) else {
            let error = format!("this host knows no such kind of job: `{}`", job.kind);
            tracing::error!(
                job = job.job_id,
                kind = job.kind,
                "a job of an unknown kind"
            );
            // A host of another version may know it, so it is not a failure.
            let wake_at_ms = app.clock.now_ms().saturating_add(PUT_OFF_MS);
            return self
                .give_back(&claimed, &error, AfterFailure::PutOff(wake_at_ms))
                .await;
        };
        // Nobody was left to say how the attempt before this one ended.
        let outcome = if job.attempts > 1 && kind.attempts.are_over_after(job.attempts - 1) {
            Err(JobError::WorkersEnded(job.attempts - 1))
        } else {
            self.attempt(kind, &claimed).await
        };
        let dispatcher = &app.jobs.dispatcher;
        let ended = match &outcome {
            Ok(()) => JobEnd::Done,
            Err(JobError::LeaseLost) => JobEnd::LeaseLost,
            Err(_) if kind.wait_ms(&job.job_id, job.attempts).is_none() => JobEnd::Dead,
            Err(_) => JobEnd::Failed,
        };
        app.metrics.job(kind.name, ended);
        match outcome {
            Ok(()) => {
                dispatcher.settled(&job.job_id, &lease.owner, None).await;
            }
            Err(JobError::LeaseLost) => self.lost(&claimed).await,
            Err(error) => self.failed(kind, &claimed, &error).await,
        }
    }

    /// One attempt, within its time, under a lease that is kept meanwhile. A panic is a failure like any other.
    async fn attempt(&self, kind: &Kind, claimed: &Claimed) -> Result<(), JobError> {
        let usual = Duration::from_millis(self.app.config.limits.request_timeout_ms);
        let longest = kind.longest(usual);
        let (app, kind, job) = (self.app.clone(), kind.clone(), claimed.clone());
        let work = AssertUnwindSafe(async move { kind.run(app, job).await }).catch_unwind();
        tokio::select! {
            ended = work => ended.unwrap_or(Err(JobError::Panicked)),
            () = self.keep(claimed) => Err(JobError::LeaseLost),
            () = tokio::time::sleep(longest) => Err(JobError::TookTooLong(longest)),
        }
    }

    /// Renews the lease until it is lost.
    async fn keep(&self, claimed: &Claimed) {
        let (app, lease) = (&self.app, &claimed.lease);
        let lease_ms = app.config.jobs.lease_ms;
        let pause = Duration::from_millis(lease_ms.unsigned_abs()) / RENEWALS;
        let mut until_ms = claimed.job.wake_at_ms;
        loop {
            tokio::time::sleep(pause).await;
            let later_ms = app.clock.now_ms().saturating_add(lease_ms);
            match app.store.jobs().renew(lease, later_ms).await {
                Ok(true) => {
                    until_ms = later_ms;
                    let dispatcher = &app.jobs.dispatcher;
                    dispatcher
                        .renewed(&lease.job_id, &lease.owner, until_ms)
                        .await;
                }
                Ok(false) => return,
                Err(error) => {
                    let error = error_for_log(&error);
                    tracing::error!(job = lease.job_id, error, "a lease could not be renewed");
                    if app.clock.now_ms() >= until_ms {
                        return;
                    }
                }
            }
        }
    }

    async fn lost(&self, claimed: &Claimed) {
        let job = self.tell_where_it_stands().await;
        // The renewal may have come right behind this worker's own commit.
        let is_done = job.is_some_and(|job| {
            job.state == JobState::Done && job.lease_token == Some(claimed.lease.token)
        });
        if !is_done {
            tracing::warn!(
                job = self.job_id,
                attempt = claimed.job.attempts,
                "a job's lease was lost: what this worker did of it was not committed"
            );
        }
    }

    async fn failed(&self, kind: &Kind, claimed: &Claimed, error: &JobError) {
        let job = &claimed.job;
        let text = error_for_log(error);
        let (job_id, attempt, now_ms) = (&job.job_id, job.attempts, self.app.clock.now_ms());
        let then = match kind.wait_ms(job_id, attempt) {
            None => {
                tracing::error!(job = job_id, attempt, error = text, "a job is dead");
                AfterFailure::Dead(now_ms)
            }
            Some(wait_ms) => {
                tracing::error!(job = job_id, attempt, error = text, "a job failed");
                AfterFailure::RetryAt(now_ms.saturating_add(wait_ms))
            }
        };
        self.give_back(claimed, &text, then).await;
    }

    async fn give_back(&self, claimed: &Claimed, error: &str, then: AfterFailure) {
        let (app, lease) = (&self.app, &claimed.lease);
        let wake_at_ms = match then {
            AfterFailure::RetryAt(at_ms) | AfterFailure::PutOff(at_ms) => Some(at_ms),
            AfterFailure::Dead(_) => None,
        };
        match app.store.jobs().release_failed(lease, error, then).await {
            Ok(true) => {
                let dispatcher = &app.jobs.dispatcher;
                dispatcher
                    .settled(&lease.job_id, &lease.owner, wake_at_ms)
                    .await;
            }
            Ok(false) => {
                self.tell_where_it_stands().await;
            }
            Err(error) => {
                let error = error_for_log(&error);
                tracing::error!(
                    job = lease.job_id,
                    error,
                    "a failed job could not be put back"
                );
            }
        }
    }

    /// Puts right what Redis thinks of a job that is not this worker's.
    async fn tell_where_it_stands(&self) -> Option<JobRow> {
        let app = &self.app;
        let job = app.store.jobs().get(&self.job_id).await.ok()?;
        let waiting = job.as_ref().filter(|job| job.state == JobState::Pending);
        let wake_at_ms = waiting.map(|job| job.wake_at_ms);
        let dispatcher = &app.jobs.dispatcher;
        dispatcher
            .settled(&self.job_id, &app.instance, wake_at_ms)
            .await;
        job
    }
}
