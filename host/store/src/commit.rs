//! What one command causes, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::StoreError;
use crate::jobs::{JobState, Lease};
use crate::key::Key;

/// Everything one command causes. [`Store::commit`](crate::Store::commit) applies it whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// The streams whose facts the command used, each with the version (sequence number of its last
    /// event, 0 for none) at which they were read.
    pub reads: BTreeMap<String, u64>,
    /// New events. Within a stream they follow on from its version without a gap; the last one becomes
    /// the stream's head. A stream with events need not stand in `reads`.
    pub events: Vec<EventRow>,
    /// Personal fields of events, apart from the chain so that they can be erased.
    pub private: Vec<PrivateRow>,
    /// Changes to the tables of the services.
    pub rows: Vec<RowChange>,
    /// Decision records: objects with the fields of table `policy_decision`.
    pub decisions: Vec<Value>,
    /// The answer to be given again for the same request.
    pub response: Option<StoredResponse>,
    /// Timers to set, finish or cancel.
    pub jobs: Vec<JobChange>,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventRow {
    /// The stream's name.
    pub stream: String,
    /// Position in the stream, from 1.
    pub seq: u64,
    /// The event's kind, `snake_case`.
    pub kind: String,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// The event as canonical JSON: exactly the bytes that were hashed.
    pub body: String,
    /// The chain's hash up to and including this event.
    pub hash: String,
}

/// The personal fields of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivateRow {
    /// The event's stream.
    pub stream: String,
    /// The event's position.
    pub seq: u64,
    /// The fields with the salts of their commitments.
    pub fields: Map<String, Value>,
}

/// A change to one row of a service's table. Rows do not hold `id`: the key does.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// A new row; the commit fails when it exists.
    Create {
        /// Its key.
        key: Key,
        /// The whole row, an object.
        row: Value,
    },
    /// The whole row, whether it exists or not.
    Put {
        /// Its key.
        key: Key,
        /// The whole row, an object.
        row: Value,
    },
    /// Some fields of a row; the rest stays. Creates the row when there is none.
    Merge {
        /// Its key.
        key: Key,
        /// The fields, an object.
        fields: Value,
    },
    /// No such row afterwards, whether it existed or not.
    Delete {
        /// Its key.
        key: Key,
    },
}

impl RowChange {
    /// A new row from a serialisable one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Encode`] when it cannot be written as JSON.
    pub fn create(key: Key, row: &impl Serialize) -> Result<RowChange, StoreError> {
        Ok(RowChange::Create {
            key,
            row: serde_json::to_value(row).map_err(StoreError::Encode)?,
        })
    }

    /// A whole row from a serialisable one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Encode`] when it cannot be written as JSON.
    pub fn put(key: Key, row: &impl Serialize) -> Result<RowChange, StoreError> {
        Ok(RowChange::Put {
            key,
            row: serde_json::to_value(row).map_err(StoreError::Encode)?,
        })
    }

    /// Some fields from a serialisable object.
    ///
    /// # Errors
    ///
    /// [`StoreError::Encode`] when they cannot be written as JSON.
    pub fn merge(key: Key, fields: &impl Serialize) -> Result<RowChange, StoreError> {
        Ok(RowChange::Merge {
            key,
            fields: serde_json::to_value(fields).map_err(StoreError::Encode)?,
        })
    }

    /// No such row.
    pub fn delete(key: Key) -> RowChange {
        RowChange::Delete { key }
    }
}

/// An answer kept under its request id, to be given again word for word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// What the request id is unique in: the entity, or `create:KIND:USER` for a creation.
    pub scope: String,
    /// The client's request id.
    pub request_id: String,
    /// Who asked.
    pub actor: String,
    /// Digest of what was asked.
    pub request_digest: String,
    /// HTTP status.
    pub status: u16,
    /// Body of the answer.
    pub body: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A change to the queue of timers, part of a command's effect.
#[derive(Clone, Debug, PartialEq)]
pub enum JobChange {
    /// Sets a timer. One with this id, whatever became of it, stays as it is.
    Schedule(Job),
    /// The timer's work is done by this very commit, which fails as [`CommitError::LeaseLost`] unless the
    /// work is still under this lease.
    ///
    /// [`CommitError::LeaseLost`]: crate::CommitError::LeaseLost
    Finish {
        /// The lease it was worked on under.
        lease: Lease,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
    /// The timer is no longer wanted. One that is over stays as it is.
    Cancel {
        /// Which.
        job_id: String,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
    /// A person's word on a job, which fails as [`CommitError::JobMoved`] when the job is no longer as that
    /// person's command saw it.
    ///
    /// [`CommitError::JobMoved`]: crate::CommitError::JobMoved
    Move {
        /// Which.
        job_id: String,
        /// The state it was seen in: waiting or dead.
        from: JobState,
        /// The number of the last lease it was seen under.
        token: Option<u64>,
        /// What becomes of it.
        to: Moved,
    },
}

/// What a person can make of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It runs at this time, in milliseconds since 1970, with all its attempts before it again.
    Retried(i64),
    /// It was called off at this time, in milliseconds since 1970.
    Cancelled(i64),
}

/// A timer: work that becomes due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its identity: scheduling it again changes nothing.
    pub job_id: String,
    /// What kind of work it is.
    pub kind: String,
    /// The stream the work is about.
    pub stream: String,
    /// When it is due, in milliseconds since 1970.
    pub due_at_ms: i64,
    /// What the worker needs to know.
    pub payload: Value,
    /// Ties it to the request that sets it.
    pub correlation_id: Option<String>,
}
