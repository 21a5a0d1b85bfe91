//! Percentiles of measured durations.

use std::time::Duration;

use serde::Serialize;

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    pub n: usize,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
}

impl Percentiles {
    /// Of at least one duration; of none, all are 0.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let at = |permille: usize| {
            let place = (durations.len() * permille / 1_000).min(durations.len().saturating_sub(1));
            durations.get(place).map_or(0, |duration| {
                u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
            })
        };
        Self {
            n: durations.len(),
            p50_ns: at(500),
            p99_ns: at(990),
            p999_ns: at(999),
        }
    }
}
