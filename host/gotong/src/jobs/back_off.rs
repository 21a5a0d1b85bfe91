//! How long a job that failed waits before it is tried again.

use sha2::{Digest, Sha256};

/// Twice as long after every attempt, up to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// After the first attempt, at most.
    pub base_ms: i64,
    /// After any attempt, at most.
    pub max_ms: i64,
}

impl BackOff {
    /// The wait after an attempt, the first being 1: between half and all of min(base x 2^(attempt - 1), max). Where in
    /// between goes by a hash of job and attempt, not by chance: jobs that failed together come back apart, and
    /// everybody can say when.
    pub fn wait_ms(self, job_id: &str, attempt: u32) -> i64 {
        let doublings = attempt.saturating_sub(1).min(62);
        let longest = self
            .base_ms
            .saturating_mul(1_i64 << doublings)
            .min(self.max_ms)
            .max(0);
        let shortest = longest / 2;
        let width = u64::try_from(longest - shortest).unwrap_or_default() + 1;
        let jitter = i64::try_from(hash(job_id, attempt) % width).unwrap_or_default();
        shortest + jitter
    }
}

fn hash(job_id: &str, attempt: u32) -> u64 {
    let digest = Sha256::digest(format!("{job_id}\n{attempt}"));
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: BackOff = BackOff {
        base_ms: 1_000,
        max_ms: 60_000,
    };

    proptest! {
        #[test]
        fn a_wait_lies_within_its_bounds_and_is_the_same_every_time(
            job_id in ".{0,40}",
            attempt in any::<u32>(),
            base_ms in 0_i64..=i64::MAX,
            max_ms in 0_i64..=i64::MAX,
        ) {
            let back_off = BackOff { base_ms, max_ms };
            let wait = back_off.wait_ms(&job_id, attempt);
            let doublings = attempt.saturating_sub(1).min(126);
            let longest = (i128::from(base_ms) << doublings.min(62)).min(i128::from(max_ms));
            prop_assert!(i128::from(wait) <= longest, "{wait} of {longest}");
            prop_assert!(i128::from(wait) >= longest / 2, "{wait} of {longest}");
            prop_assert_eq!(wait, back_off.wait_ms(&job_id, attempt));
        }
    }

    #[test]
    fn the_waits_of_a_job_are_known_beforehand() {
        let waits: Vec<i64> = (1..=9).map(|n| USUAL.wait_ms("timer:t:10", n)).collect();
        assert_eq!(
            waits,
            [
                688, 1_217, 3_402, 7_966, 8_995, 28_466, 42_577, 32_439, 52_528
            ],
            "these stand in no store, but on other hosts"
        );
    }

    #[test]
    fn jobs_that_failed_together_come_back_apart() {
        let waits: std::collections::BTreeSet<i64> = (0..100)
            .map(|n| USUAL.wait_ms(&format!("job-{n}"), 7))
            .collect();
        assert!(waits.len() > 90, "{} of 100 differ", waits.len());
        let (first, last) = (waits.first().unwrap(), waits.last().unwrap());
        assert!(last - first > 25_000, "spread over {} ms", last - first);
    }
}
