//! Where a worker hears which jobs may run: from the store, or sooner and cheaper from Redis. Either only names
//! candidates; whether a worker gets one is decided by its claim in the store.

use gotong_store::{Due, JobChange, Moved, Store, StoreError};

use super::mirror::Mirror;
use crate::clock::Millis;
use crate::redis::{Redis, RedisError};

#[derive(Debug)]
pub struct Dispatcher {
    mirror: Option<Mirror>,
}

impl Dispatcher {
    pub fn new(redis: Option<Redis>) -> Self {
        Self {
            mirror: redis.map(Mirror::new),
        }
    }

    /// The places of jobs that may run now, at most so many, earliest first. While Redis is away or knows nothing, the store says.
    pub async fn candidates(
        &self,
        store: &Store,
        owner: &str,
        now_ms: Millis,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        if let Some(mirror) = &self.mirror {
            match mirror.take(store, owner, now_ms, lease_ms, limit).await? {
                Ok(places) => return Ok(places),
                Err(error) => note(&error),
            }
        }
        store.jobs().waking(now_ms, None, limit).await
    }

    /// When the next job may run.
    pub async fn next(&self, store: &Store) -> Result<Option<Millis>, StoreError> {
        if let Some(mirror) = &self.mirror {
            match mirror.next().await {
                Ok(next) => return Ok(next),
                Err(error) => note(&error),
            }
        }
        store.jobs().next_due().await
    }

    /// The jobs among these that Redis should know of now. Those due later are found by the sweep.
    pub fn to_tell(&self, set: &[Due], now_ms: Millis) -> Vec<Due> {
        let Some(mirror) = &self.mirror else {
            return Vec::new();
        };
        let soon = set.iter();
        let soon = soon.filter(|due| mirror.holds(due.wake_at_ms, now_ms));
        soon.cloned().collect()
    }

    pub async fn tell(&self, jobs: &[Due]) {
        if let Some(mirror) = &self.mirror
            && let Err(error) = mirror.put(jobs).await
        {
            note(&error);
        }
    }

    /// A worker holds on to a job.
    pub async fn renewed(&self, job_id: &str, owner: &str, until_ms: Millis) {
        if let Some(mirror) = &self.mirror
            && let Err(error) = mirror.renew(job_id, owner, until_ms).await
        {
            note(&error);
        }
    }

    /// A worker is through with a job, which wakes again at `wake_at_ms`, or never.
    pub async fn settled(&self, job_id: &str, owner: &str, wake_at_ms: Option<Millis>) {
        if let Some(mirror) = &self.mirror
            && let Err(error) = mirror.settle(job_id, owner, wake_at_ms).await
        {
            note(&error);
        }
    }
}

/// The jobs that these changes set, and when they wake.
pub fn set_by(changes: &[JobChange]) -> Vec<Due> {
    let set = changes.iter().filter_map(|change| match change {
        JobChange::Schedule(job) => Some((&job.job_id, job.due_at_ms)),
        JobChange::Move {
            job_id,
            to: Moved::Retried(at_ms),
            ..
        } => Some((job_id, *at_ms)),
        _ => None,
    });
    set.map(|(job_id, wake_at_ms)| Due {
        wake_at_ms,
        job_id: job_id.clone(),
    })
    .collect()
}

/// Nothing is lost: the sweep puts right what Redis missed. Its outages are logged where they are noticed.
fn note(error: &RedisError) {
    if !matches!(error, RedisError::Away) {
        let error = crate::telemetry::error_for_log(error);
        tracing::debug!(error, "the queue in redis could not be asked");
    }
}
