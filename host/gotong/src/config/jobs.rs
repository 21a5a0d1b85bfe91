//! How jobs are worked on. The bounds are checked before a host serves.

use serde::{Deserialize, Serialize};

/// Shorter, and a moment's pause of the process would lose it.
const SHORTEST_LEASE_MS: i64 = 100;
/// Longer, and a dead worker's jobs would wait for almost a minute.
const LONGEST_LEASE_MS: i64 = 45_000;

/// More would only queue up at the store.
const MOST_AT_ONCE: usize = 256;

/// How jobs are worked on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// How long a job is its worker's. It is renewed while the worker lives; when it died, another takes over then.
    pub lease_ms: i64,
    /// How many jobs this host works on at a time.
    pub at_once: usize,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            lease_ms: 15_000,
            at_once: 8,
        }
    }
}

/// Why jobs cannot be worked on like that.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error("jobs.lease_ms is {0}: {SHORTEST_LEASE_MS} to {LONGEST_LEASE_MS} are possible")]
    Lease(i64),
    #[error("jobs.at_once is {0}: 1 to {MOST_AT_ONCE} are possible")]
    AtOnce(usize),
    #[error(
        "limits.request_timeout_ms is {timeout}, but a job's lease (jobs.lease_ms) is {lease} ms: set it lower, so that a job is done before another host may take it"
    )]
    TimeoutBeyondLease { timeout: u64, lease: i64 },
}

impl Jobs {
    /// Whether jobs can be worked on like that, where an attempt may take as long as a request.
    pub fn check(&self, request_timeout_ms: u64) -> Result<(), JobsError> {
        let Self { lease_ms, at_once } = *self;
        if !(SHORTEST_LEASE_MS..=LONGEST_LEASE_MS).contains(&lease_ms) {
            return Err(JobsError::Lease(lease_ms));
        }
        if !(1..=MOST_AT_ONCE).contains(&at_once) {
            return Err(JobsError::AtOnce(at_once));
        }
        if i64::try_from(request_timeout_ms).is_ok_and(|timeout| timeout < lease_ms) {
            Ok(())
        } else {
            Err(JobsError::TimeoutBeyondLease {
                timeout: request_timeout_ms,
                lease: lease_ms,
            })
        }
    }
}
