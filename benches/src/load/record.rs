//! What a user met with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::BenchError;
use crate::host::Answer;
use crate::percentiles::Percentiles;

/// Durations of what was answered as it should be, by operation; everything else by what came instead.
#[derive(Debug, Default)]
pub struct Record {
    took: BTreeMap<&'static str, Vec<Duration>>,
    errors: BTreeMap<String, u64>,
}

/// Of one phase.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Over the time until the last answer.
    pub per_second: f64,
    /// Requests that were due before the end and that nobody was free to send. None of the times below is theirs.
    pub never_sent: u64,
    pub all: Percentiles,
    pub by_operation: BTreeMap<&'static str, Percentiles>,
    /// By operation, status and code: `vote: 429 rate_limited`.
    pub errors: BTreeMap<String, u64>,
}

impl Record {
    /// Notes an answer to a request that was due then. Gives it back if it is a success.
    pub fn note(
        &mut self,
        operation: &'static str,
        due: Instant,
        answer: Result<Answer, BenchError>,
    ) -> Option<Answer> {
        match answer {
            Ok(answer) if answer.status.is_success() => {
                self.took.entry(operation).or_default().push(due.elapsed());
                Some(answer)
            }
            Ok(answer) => {
                let code = answer.body["code"].as_str().unwrap_or("");
                self.error(format!("{operation}: {} {code}", answer.status.as_u16()));
                None
            }
            Err(error) => {
                self.error(format!("{operation}: no answer: {error}"));
                None
            }
        }
    }

    fn error(&mut self, what: String) {
        *self.errors.entry(what).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        for (operation, took) in other.took {
            self.took.entry(operation).or_default().extend(took);
        }
        for (what, times) in other.errors {
            *self.errors.entry(what).or_default() += times;
        }
    }

    pub fn figures(self, elapsed: Duration, never_sent: u64) -> Figures {
        let all: Vec<Duration> = self.took.values().flatten().copied().collect();
        Figures {
            per_second: all.len() as f64 / elapsed.as_secs_f64(),
            never_sent,
            all: Percentiles::of(all),
            by_operation: self
                .took
                .into_iter()
                .map(|(operation, took)| (operation, Percentiles::of(took)))
                .collect(),
            errors: self.errors,
        }
    }
}
