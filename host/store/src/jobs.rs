//! The durable queue of timers. Setting, finishing and cancelling a job is part of a [`Commit`];
//! what is here is bookkeeping between commits: which job is due, who works on it, what went wrong.
//!
//! `job_due:[wake_at_ms, job_id]` orders the waiting jobs. Claiming one moves it to the end of its
//! lease, so that a job whose worker died becomes due again without anyone noticing the death.
//!
//! [`Commit`]: crate::Commit

use serde::{Deserialize, Serialize};
use serde_json::Value;
use surrealdb::types::{Object, Variables};

use crate::error::{Failure, StoreError};
use crate::key::{Key, KeyRange};
use crate::read::Rows;
use crate::store::Store;
use crate::value::{int, text};

/// The queue, seen from a store.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    store: &'a Store,
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits, or someone works on it.
    Pending,
    /// Its work was committed.
    Done,
    /// It was called off.
    Cancelled,
    /// It failed too often; a person has to look.
    Dead,
}

/// A job as the queue knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its identity.
    pub job_id: String,
    /// What kind of work it is.
    pub kind: String,
    /// The stream the work is about.
    pub stream: String,
    /// When it was meant to run, in milliseconds since 1970.
    pub due_at_ms: i64,
    /// When it may run next: its due time, a retry, or the end of a lease.
    pub wake_at_ms: i64,
    /// What the worker needs to know.
    pub payload: Value,
    /// What became of it.
    pub state: JobState,
    /// How often it was claimed.
    pub attempts: u32,
    /// Who works on it.
    #[serde(default)]
    pub lease_owner: Option<String>,
    /// Until when nobody else may, in milliseconds since 1970.
    #[serde(default)]
    pub lease_until_ms: Option<i64>,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<String>,
}

/// What to do with a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again at this time, in milliseconds since 1970.
    RetryAt(i64),
    /// Give up.
    Dead,
}

#[derive(Deserialize)]
struct DueRow {
    job_id: String,
    wake_at_ms: i64,
}

// The commit in between two claims makes the second see a later `wake_at_ms` or conflict on the row.
const CLAIM: &str = "
    BEGIN;
    IF $job.state = 'pending' AND $job.wake_at_ms <= $now {
        DELETE type::record('job_due', [$job.wake_at_ms, $job_id]) RETURN NONE;
        INSERT { id: type::record('job_due', [$until, $job_id]), job_id: $job_id, wake_at_ms: $until } RETURN NONE;
        UPDATE $job SET wake_at_ms = $until, lease_owner = $owner, lease_until_ms = $until,
            attempts = attempts + 1 RETURN NONE;
        true
    } ELSE { false };
    COMMIT;";

const RELEASE: &str = "
    BEGIN;
    IF $job.state = 'pending' AND $job.lease_owner = $owner {
        DELETE type::record('job_due', [$job.wake_at_ms, $job_id]) RETURN NONE;
        IF $wake != NONE {
            INSERT { id: type::record('job_due', [$wake, $job_id]), job_id: $job_id, wake_at_ms: $wake } RETURN NONE;
        };
        UPDATE $job SET state = $state, wake_at_ms = $wake ?? wake_at_ms, lease_owner = NONE,
            lease_until_ms = NONE, last_error = $error RETURN NONE;
        true
    } ELSE { false };
    COMMIT;";

impl Store {
    /// The queue of timers.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { store: self }
    }
}

impl Jobs<'_> {
    /// The jobs that may run now, earliest first; among them those whose lease ran out.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn due(&self, now_ms: i64, limit: usize) -> Result<Vec<JobRow>, StoreError> {
        let due: Vec<DueRow> = self
            .store
            .scan(&KeyRange::table("job_due").through(now_ms).limit(limit))
            .await?;
        let keys: Vec<Key> = due
            .into_iter()
            .map(|row| Key::new("job", row.job_id))
            .collect();
        if keys.is_empty() {
            Ok(Vec::new())
        } else {
            self.store.get_many(&keys).await
        }
    }

    /// Takes a job for `lease_ms`. False when it is not due, done, or someone else was quicker.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn claim(
        &self,
        job_id: &str,
        owner: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<bool, StoreError> {
        let until = now_ms.saturating_add(lease_ms);
        let variables = [
            ("now", int(now_ms)),
            ("until", int(until)),
            ("owner", text(owner)),
        ];
        self.settle(CLAIM, job_id, crate::value::object(variables))
            .await
    }

    /// Gives a claimed job back. False when the lease has gone to someone else meanwhile.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn release_failed(
        &self,
        job_id: &str,
        owner: &str,
        error: &str,
        then: AfterFailure,
    ) -> Result<bool, StoreError> {
        let (state, wake) = match then {
            AfterFailure::RetryAt(at_ms) => ("pending", int(at_ms)),
            AfterFailure::Dead => ("dead", surrealdb::types::Value::None),
        };
        let variables = [
            ("owner", text(owner)),
            ("error", text(error)),
            ("state", text(state)),
            ("wake", wake),
        ];
        self.settle(RELEASE, job_id, crate::value::object(variables))
            .await
    }

    /// When the next job may run, in milliseconds since 1970; a lease counts by its end.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let first: Vec<DueRow> = self
            .store
            .scan(&KeyRange::table("job_due").limit(1))
            .await?;
        Ok(first.first().map(|row| row.wake_at_ms))
    }

    /// A job, whatever became of it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn get(&self, job_id: &str) -> Result<Option<JobRow>, StoreError> {
        self.store.get(&Key::new("job", job_id)).await
    }

    /// Runs a conditional move of one job. A conflict means that someone else moved it.
    async fn settle(
        &self,
        query: &str,
        job_id: &str,
        variables: Object,
    ) -> Result<bool, StoreError> {
        let mut variables = Variables::from(variables);
        variables.insert("job", Key::new("job", job_id).to_value());
        variables.insert("job_id", text(job_id));
        match self.store.write(query, variables).await {
            Ok(response) => Ok(Rows::new(response).any_true()),
            Err(Failure::Conflict(_)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }
}
