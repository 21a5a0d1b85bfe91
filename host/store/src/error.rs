//! Every way the store can fail, and the one place where the database's messages become types.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use surrealdb::IndexedResults;

use crate::wrote::MAY_NOT_WRITE;

/// What the database engine said. Only ever a source: for logs, never for a client.
pub struct EngineError(Box<dyn StdError + Send + Sync>);

impl EngineError {
    pub(crate) fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        EngineError(error.into())
    }
}

impl fmt::Debug for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineError({:?})", self.0.to_string())
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for EngineError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store could not be reached or opened.
    #[error("could not open the store at `{target}`")]
    Open {
        /// Where, without credentials.
        target: String,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// Another process has the directory open.
    #[error("the data directory `{}` is in use by another process", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// [`Durability::apply`](crate::Durability::apply) came after threads were started.
    #[error("durability must be chosen before any thread is started")]
    TooLate,
    /// The engine refused or failed a query.
    #[error("the store could not run a query")]
    Query(#[source] EngineError),
    /// An embedded store that can no longer be written: what was written last may or may not be there. Only opening
    /// it again helps.
    #[error("the store can no longer be written")]
    Broken,
    /// Two transactions met; a read or a queue operation may simply be asked again.
    #[error("the store was busy with a conflicting change")]
    Busy(#[source] EngineError),
    /// The server does not answer, or the connection to it was lost. Whether a write took effect is unknown.
    #[error("the store does not answer")]
    Unreachable(#[source] EngineError),
    /// The login may read the store and not write it.
    #[error("the store does not let this login write; nothing was written")]
    MayNotWrite,
    /// The database did not let a session in, or no longer does.
    #[error("the store did not let a session in")]
    SignIn(#[source] EngineError),
    /// A server lets in whoever has not signed in.
    #[error("the server lets in whoever has not signed in; start it with authentication")]
    Unguarded,
    /// A server's store was opened without the key of people's sessions.
    #[error("the store was opened without the key of people's sessions")]
    NoPeople,
    /// A value could not be encoded for the database.
    #[error("a value could not be encoded for the store")]
    Encode(#[source] serde_json::Error),
    /// A stored row does not have the expected shape.
    #[error("a stored row does not have the expected shape")]
    Decode(#[source] serde_json::Error),
    /// A row, a set of fields or a decision was not a JSON object.
    #[error("a row must be an object")]
    NotAnObject,
    /// A decision has no text `decision_id`.
    #[error("a decision must have a `decision_id`")]
    NoDecisionId,
    /// The events of one stream in a commit do not follow on from its version.
    #[error("events of stream `{stream}` are out of sequence at {seq}")]
    Sequence {
        /// The stream.
        stream: String,
        /// The first sequence number that does not fit.
        seq: u64,
    },
    /// [`Rows`](crate::Rows) has no such statement, or it was taken before.
    #[error("the query has no result number {index}, or it was taken before")]
    NoResult {
        /// The index that was asked for.
        index: usize,
    },
}

impl StoreError {
    /// Whether the store is away, busy or closed to this host, rather than anything being wrong with what was asked: the
    /// same may be asked again later.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            StoreError::Unreachable(_)
                | StoreError::MayNotWrite
                | StoreError::SignIn(_)
                | StoreError::Broken
                | StoreError::Busy(_)
        )
    }
}

/// Why a commit was not applied. Nothing of it was written, unless nobody can say: a server did not answer, or the
/// store is [`StoreError::Broken`].
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A stream moved on after its facts were read: load them again and decide again.
    #[error("stream `{stream}` has moved on")]
    Stale {
        /// The stream.
        stream: String,
    },
    /// Another transaction got in the way: the same work may be tried again.
    #[error("the commit met a conflicting one")]
    Conflict,
    /// The work was done under a lease of this job that has run out, or the job is over: it is someone
    /// else's now, or nobody's.
    #[error("the lease of job `{job_id}` was lost")]
    LeaseLost {
        /// The job.
        job_id: String,
    },
    /// A job is no longer as the command saw it: load it again and decide again.
    #[error("job `{job_id}` has moved on")]
    JobMoved {
        /// The job.
        job_id: String,
    },
    /// A response is already stored under this scope and request id.
    #[error("this request has been answered before")]
    Duplicate,
    /// A row that was to be created exists.
    #[error("a row of `{}` already exists", key.split(':').next().unwrap_or_default())]
    Exists {
        /// The record id in the database's notation.
        key: String,
    },
    /// A unique index already holds the value.
    #[error("unique index `{index}` already holds this value")]
    Unique {
        /// The index's name.
        index: String,
    },
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// Whether running the command again from its facts may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            CommitError::Stale { .. } | CommitError::Conflict | CommitError::JobMoved { .. }
        )
    }
}

/// What THROW statements of this crate begin with; the rest names the stream.
pub(crate) const STALE: &str = "gotong stale stream: ";
/// The rest names the job.
pub(crate) const LEASE_LOST: &str = "gotong lost lease: ";
/// The rest names the job.
pub(crate) const JOB_MOVED: &str = "gotong moved job: ";

/// The failure of a whole query, whichever statement reported it.
#[derive(Debug)]
pub(crate) enum Failure {
    Stale {
        stream: String,
    },
    LeaseLost {
        job_id: String,
    },
    JobMoved {
        job_id: String,
    },
    Conflict(EngineError),
    Exists {
        record: String,
    },
    Unique {
        index: String,
    },
    MayNotWrite,
    /// The session is not signed in, or no longer.
    NotLetIn(EngineError),
    /// No answer, or no connection.
    Away(EngineError),
    /// What the engine keeps its data in failed.
    Storage(EngineError),
    /// See [`StoreError::Broken`].
    Broken,
    Other(EngineError),
}

impl Failure {
    /// The failure hidden in a response, if any: a response is "Ok" even when its COMMIT failed.
    pub(crate) fn of(response: &mut IndexedResults) -> Option<Failure> {
        let mut errors: Vec<(usize, String)> = response
            .take_errors()
            .into_iter()
            .map(|(i, error)| (i, error.to_string()))
            .collect();
        errors.sort();
        Failure::of_messages(errors.into_iter().map(|(_, message)| message).collect())
    }

    /// A transport or parse error.
    pub(crate) fn of_error(error: surrealdb::Error) -> Failure {
        if is_lost_connection(&error) {
            return Failure::Away(EngineError::new(error));
        }
        Failure::of_messages(vec![error.to_string()])
            .unwrap_or_else(|| Failure::Other(EngineError::new(error)))
    }

    /// One statement reports the reason; the others of its transaction only say "not executed".
    fn of_messages(messages: Vec<String>) -> Option<Failure> {
        if let Some(conflict) = messages.iter().find(|m| is_conflict(m)) {
            return Some(Failure::Conflict(EngineError::new(conflict.clone())));
        }
        let reason = messages
            .iter()
            .find(|m| !is_noise(m))
            .or(messages.first())?;
        if let Some((_, stream)) = reason.split_once(STALE) {
            return Some(Failure::Stale {
                stream: stream.to_owned(),
            });
        }
        if let Some((_, job_id)) = reason.split_once(LEASE_LOST) {
            let job_id = job_id.to_owned();
            return Some(Failure::LeaseLost { job_id });
        }
        if let Some((_, job_id)) = reason.split_once(JOB_MOVED) {
            let job_id = job_id.to_owned();
            return Some(Failure::JobMoved { job_id });
        }
        if reason.contains(MAY_NOT_WRITE) {
            return Some(Failure::MayNotWrite);
        }
        if NOT_LET_IN.iter().any(|words| reason.contains(words)) {
            return Some(Failure::NotLetIn(EngineError::new(reason.clone())));
        }
        if let Some(record) = between(reason, "Database record `", "` already exists") {
            return Some(Failure::Exists {
                record: record.to_owned(),
            });
        }
        if let Some(index) = between(reason, "Database index `", "` already contains") {
            return Some(Failure::Unique {
                index: index.to_owned(),
            });
        }
        let error = EngineError::new(reason.clone());
        Some(match is_storage(reason) {
            true => Failure::Storage(error),
            false => Failure::Other(error),
        })
    }
}

/// Memory and TiKV name the conflict; surrealkv also asks for a retry when its history is too short.
fn is_conflict(message: &str) -> bool {
    message.contains("Transaction conflict")
        || message.contains("can be retried")
        || message.contains("Transaction retry required")
}

/// What a server says to a session that lost its sign-in, or is only being set up again after a lost connection.
const NOT_LET_IN: [&str; 5] = [
    "Anonymous access not allowed",
    "The session has expired",
    "Session not found",
    "Specify a namespace to use",
    "Specify a database to use",
];

/// A reset connection and a closed channel come as words in an internal error. Of an embedded engine that panicked there is
/// no connection either.
fn is_lost_connection(error: &surrealdb::Error) -> bool {
    match error {
        surrealdb::Error::Ws(_) | surrealdb::Error::ConnectionUninitialised => true,
        surrealdb::Error::InternalError(words) => {
            words.starts_with("I/O error") || words.starts_with("Channel receive error")
        }
        _ => false,
    }
}

/// At its beginning: further on it could be somebody's text. A batch that is too large is refused before any of it is
/// queued.
fn is_storage(message: &str) -> bool {
    let message = message
        .strip_prefix("Query not executed: ")
        .unwrap_or(message);
    let of_a_transaction = message.strip_prefix("There was a problem with a transaction: ");
    of_a_transaction.is_some_and(|problem| problem != "Batch too large")
        || message.starts_with("There was a problem with the datastore: ")
}

fn is_noise(message: &str) -> bool {
    message.starts_with("The query was not executed due to a")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict(error) => StoreError::Busy(error),
            Failure::MayNotWrite => StoreError::MayNotWrite,
            Failure::NotLetIn(error) => StoreError::SignIn(error),
            Failure::Away(error) => StoreError::Unreachable(error),
            Failure::Other(error) | Failure::Storage(error) => StoreError::Query(error),
            Failure::Broken => StoreError::Broken,
            Failure::Stale { stream } => {
                StoreError::Query(EngineError::new(format!("{STALE}{stream}")))
            }
            Failure::LeaseLost { job_id } => {
                StoreError::Query(EngineError::new(format!("{LEASE_LOST}{job_id}")))
            }
            Failure::JobMoved { job_id } => {
                StoreError::Query(EngineError::new(format!("{JOB_MOVED}{job_id}")))
            }
            Failure::Exists { record } => StoreError::Query(EngineError::new(format!(
                "record `{record}` already exists"
            ))),
            Failure::Unique { index } => StoreError::Query(EngineError::new(format!(
                "unique index `{index}` already holds this value"
            ))),
        }
    }
}

impl From<Failure> for CommitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stale { stream } => CommitError::Stale { stream },
            Failure::LeaseLost { job_id } => CommitError::LeaseLost { job_id },
            Failure::JobMoved { job_id } => CommitError::JobMoved { job_id },
            Failure::Conflict(_) => CommitError::Conflict,
            Failure::Exists { record } if record.starts_with("idempotency:") => {
                CommitError::Duplicate
            }
            // Heads and events move together: an event that is there already was appended meanwhile.
            Failure::Exists { record } if record.starts_with("event:") => CommitError::Conflict,
            Failure::Exists { record } => CommitError::Exists { key: record },
            Failure::Unique { index } => CommitError::Unique { index },
            failure @ (Failure::MayNotWrite
            | Failure::NotLetIn(_)
            | Failure::Away(_)
            | Failure::Storage(_)
            | Failure::Broken
            | Failure::Other(_)) => CommitError::Store(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(messages: &[&str]) -> Option<Failure> {
        Failure::of_messages(messages.iter().map(|m| (*m).to_owned()).collect())
    }

    #[test]
    fn the_reason_is_found_among_statements_that_were_not_executed() {
        let noise = "The query was not executed due to a failed transaction. ";
        let unique = "Database index `one_vote` already contains ['a', 'b'], with record `vote:x`";
        assert!(matches!(
            failure(&[noise, unique, noise]),
            Some(Failure::Unique { index }) if index == "one_vote"
        ));
        let thrown = "An error occurred: gotong stale stream: entity:a b";
        assert!(matches!(
            failure(&[noise, thrown]),
            Some(Failure::Stale { stream }) if stream == "entity:a b"
        ));
        assert!(failure(&[]).is_none());
    }

    #[test]
    fn a_disk_that_refuses_is_told_from_a_text_that_says_so() {
        let full = "There was a problem with a transaction: IO error: No space left on device";
        for told in [full, &format!("Query not executed: {full}")] {
            assert!(matches!(failure(&[told]), Some(Failure::Storage(_))));
        }
        let large = "There was a problem with a transaction: Batch too large";
        assert!(matches!(failure(&[large]), Some(Failure::Other(_))));
        let text = format!("Expected `int` but found '{full}'");
        assert!(matches!(failure(&[&text]), Some(Failure::Other(_))));
    }

    #[test]
    fn a_conflict_outranks_what_it_caused() {
        let conflict = "The query was not executed due to a failed transaction. \
                        Transaction conflict: Write conflict. This transaction can be retried";
        assert!(matches!(
            failure(&["something else", conflict]),
            Some(Failure::Conflict(_))
        ));
    }
}
