//! What one request, one caller and one connection may cost. The bounds are checked before a host serves.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Below this, tokens and paths that are usual would not fit.
const SMALLEST_HEAD_BYTES: usize = 4 * 1024;

/// Most headers of a request that can be allowed.
const MOST_HEADERS: usize = 1_000;

/// Most requests of a rate, and of a burst.
const MOST_REQUESTS: u32 = 1_000_000;

/// What one request may cost, and how much one caller may ask for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest body.
    pub body_bytes: usize,
    /// Bodies that arrive or are worked on, all together.
    pub bodies_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout_ms: u64,
    /// Largest head of a request: its address and its headers.
    pub head_bytes: usize,
    /// Most headers of a request.
    pub headers: usize,
    /// How long a head may take to arrive, and how long a connection may lie idle.
    pub head_timeout_ms: u64,
    /// How long a client may take nothing of its answer.
    pub write_timeout_ms: u64,
    /// Connections at once.
    pub connections: usize,
    /// Requests at once whose body has arrived, and commands that nobody waits for any more.
    pub requests: usize,
    pub request_timeout_ms: u64,
    /// How long a repeated request waits for the first one to end.
    pub same_request_wait_ms: u64,
    /// How often a command starts again from its facts when they went stale.
    pub commit_tries: u32,
    pub rate: Rates,
}

/// How often one caller may ask, by the class of the route.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    pub enabled: bool,
    /// GET of the API.
    pub read: ClassRates,
    /// Everything that changes something.
    pub write: ClassRates,
    /// `/v1/audit` and `/v1/admin`.
    pub admin: ClassRates,
    /// Health, metrics and the API's own description; by address.
    pub public: Rate,
    /// What browsers ask before a request of another origin's page; by address.
    pub preflight: Rate,
}

/// Who has a valid token is counted by its subject, everybody else by address.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRates {
    pub subject: Rate,
    pub address: Rate,
}

/// So many requests in a second or a minute, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub requests: NonZeroU32,
    pub per: Per,
    pub burst: NonZeroU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Second,
    Minute,
}

impl Rate {
    const fn per_second(requests: u32, burst: u32) -> Self {
        Self {
            requests: at_least_one(requests),
            per: Per::Second,
            burst: at_least_one(burst),
        }
    }

    /// The time one request takes to be forgotten.
    pub fn interval(self) -> Duration {
        let window = match self.per {
            Per::Second => Duration::from_secs(1),
            Per::Minute => Duration::from_secs(60),
        };
        window / self.requests.get()
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            bodies_bytes: 64 * 1024 * 1024,
            body_timeout_ms: 5_000,
            head_bytes: 16 * 1024,
            headers: 64,
            head_timeout_ms: 15_000,
            write_timeout_ms: 10_000,
            connections: 4_096,
            requests: 1_024,
            request_timeout_ms: 10_000,
            same_request_wait_ms: 2_000,
            commit_tries: 8,
            rate: Rates::default(),
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            enabled: true,
            read: ClassRates {
                subject: Rate::per_second(50, 200),
                address: Rate::per_second(20, 100),
            },
            write: ClassRates {
                subject: Rate::per_second(10, 50),
                address: Rate::per_second(5, 20),
            },
            // Auditors walk whole ledgers, page by page.
            admin: ClassRates {
                subject: Rate::per_second(100, 500),
                address: Rate::per_second(5, 20),
            },
            public: Rate::per_second(20, 100),
            // One for each address that a page calls, whoever of a household or an office it is: as many as reads.
            preflight: Rate::per_second(50, 200),
        }
    }
}

/// Limits that cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    #[error("{0} is 0, and with 0 nothing could be served: it is at least 1")]
    Nothing(&'static str),
    #[error("limits.head_bytes is {0}: it is at least {SMALLEST_HEAD_BYTES}")]
    HeadBytes(usize),
    #[error("limits.bodies_bytes is {bodies}, and one body may have {body}: one has to fit")]
    Bodies { bodies: usize, body: usize },
    #[error("limits.headers is {0}: 1 to {MOST_HEADERS} are possible")]
    Headers(usize),
    #[error("limits.rate: requests and burst are at most {MOST_REQUESTS}")]
    Rate,
}

impl Limits {
    /// Refuses what nothing, or nothing safe, could be served with.
    pub fn check(&self) -> Result<(), LimitsError> {
        let nothing = [
            ("limits.body_bytes", self.body_bytes == 0),
            ("limits.body_timeout_ms", self.body_timeout_ms == 0),
            ("limits.head_timeout_ms", self.head_timeout_ms == 0),
            ("limits.write_timeout_ms", self.write_timeout_ms == 0),
            ("limits.connections", self.connections == 0),
            ("limits.requests", self.requests == 0),
            ("limits.request_timeout_ms", self.request_timeout_ms == 0),
            ("limits.commit_tries", self.commit_tries == 0),
        ];
        if let Some((name, _)) = nothing.iter().find(|(_, is_zero)| *is_zero) {
            return Err(LimitsError::Nothing(name));
        }
        if self.bodies_bytes < self.body_bytes {
            return Err(LimitsError::Bodies {
                bodies: self.bodies_bytes,
                body: self.body_bytes,
            });
        }
        if self.head_bytes < SMALLEST_HEAD_BYTES {
            return Err(LimitsError::HeadBytes(self.head_bytes));
        }
        if !(1..=MOST_HEADERS).contains(&self.headers) {
            return Err(LimitsError::Headers(self.headers));
        }
        let fits =
            |rate: &Rate| rate.requests.get() <= MOST_REQUESTS && rate.burst.get() <= MOST_REQUESTS;
        if !self.rate.all().iter().all(fits) {
            return Err(LimitsError::Rate);
        }
        Ok(())
    }
}

impl Rates {
    fn all(&self) -> [Rate; 8] {
        let Self {
            read,
            write,
            admin,
            public,
            preflight,
            ..
        } = self;
        [
            read.subject,
            read.address,
            write.subject,
            write.address,
            admin.subject,
            admin.address,
            *public,
            *preflight,
        ]
    }
}
