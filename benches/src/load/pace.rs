//! When requests are due.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Hands out the times at which requests are due, to whoever asks next.
#[derive(Debug)]
pub struct Pace {
    begins: Instant,
    /// None: at once.
    every: Option<Duration>,
    handed_out: AtomicU32,
}

impl Pace {
    /// Requests are due when somebody has time for them.
    pub fn none() -> Self {
        Self::every(None)
    }

    /// So many a second, evenly, from now on.
    pub fn per_second(rate: u32) -> Self {
        Self::every(Some(Duration::from_secs(1) / rate.max(1)))
    }

    fn every(every: Option<Duration>) -> Self {
        Self {
            begins: Instant::now(),
            every,
            handed_out: AtomicU32::new(0),
        }
    }

    /// Waits until the next request is due, and says when it was: before now, if everybody was busy.
    pub async fn next(&self) -> Instant {
        let Some(every) = self.every else {
            return Instant::now();
        };
        let due = self.begins + every * self.handed_out.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep_until(due.into()).await;
        due
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[tokio::test]
    async fn turns_are_due_at_even_times_also_for_those_who_come_late() {
        let pace = Pace::per_second(100);
        tokio::time::sleep(Duration::from_millis(55)).await;
        for turn in 0..5 {
            let due = pace.next().await;
            assert_eq!(due - pace.begins, Duration::from_millis(10) * turn);
            assert!(due < Instant::now());
        }
    }
}
