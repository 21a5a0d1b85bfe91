//! When requests are due.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Hands out the times at which the requests of a phase are due, to whoever asks next; none when the phase is over.
#[derive(Debug)]
pub struct Pace {
    begins: Instant,
    phase: Duration,
    /// None: at once.
    every: Option<Duration>,
    handed_out: AtomicU32,
    /// Of those, the ones that were taken while the phase lasted.
    sent: AtomicU32,
}

impl Pace {
    /// Requests are due when somebody has time for them, for so long from now on.
    pub fn none(phase: Duration) -> Self {
        Self::every(None, phase)
    }

    /// So many a second, evenly, for so long from now on.
    pub fn per_second(rate: u32, phase: Duration) -> Self {
        Self::every(Some(Duration::from_secs(1) / rate.max(1)), phase)
    }

    fn every(every: Option<Duration>, phase: Duration) -> Self {
        Self {
            begins: Instant::now(),
            phase,
            every,
            handed_out: AtomicU32::new(0),
            sent: AtomicU32::new(0),
        }
    }

    /// Waits until the next request is due, and says when it was: before now, if everybody was busy. None when the
    /// phase is over, also for a request that was due before: it is not sent any more.
    pub async fn next(&self) -> Option<Instant> {
        let due = match self.every {
            Some(every) => self.begins + every * self.handed_out.fetch_add(1, Ordering::Relaxed),
            None => Instant::now(),
        };
        let ends = self.begins + self.phase;
        tokio::time::sleep_until(due.min(ends).into()).await;
        if due >= ends || self.is_over() {
            return None;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Some(due)
    }

    pub fn is_over(&self) -> bool {
        self.elapsed() >= self.phase
    }

    /// Since the phase began, past its end too.
    pub fn elapsed(&self) -> Duration {
        self.begins.elapsed()
    }

    /// Requests that were due before the phase ended and that nobody was free to send: their times, the longest of all,
    /// are in no percentile.
    pub fn never_sent(&self) -> u64 {
        let Some(every) = self.every else { return 0 };
        let due = self.phase.as_nanos().div_ceil(every.as_nanos());
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        due.saturating_sub(self.sent.load(Ordering::Relaxed).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[tokio::test]
    async fn turns_are_due_at_even_times_also_for_those_who_come_late() {
        let pace = Pace::per_second(100, Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(55)).await;
        for turn in 0..5 {
            let due = pace.next().await.unwrap();
            assert_eq!(due - pace.begins, Duration::from_millis(10) * turn);
            assert!(due < Instant::now());
        }
    }

    #[tokio::test]
    async fn what_was_due_and_never_sent_is_counted() {
        let pace = Pace::per_second(100, Duration::from_millis(95));
        for _ in 0..3 {
            pace.next().await.unwrap();
        }
        // Everybody is busy from here on: of ten requests seven are due and never sent, late as they are asked for.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(pace.next().await.is_none() && pace.is_over());
        assert_eq!(pace.never_sent(), 7);
        assert!(pace.elapsed() > Duration::from_millis(95));
    }

    #[tokio::test]
    async fn nothing_is_left_unsent_by_those_who_are_in_time() {
        let pace = Pace::per_second(200, Duration::from_millis(100));
        let mut sent = 0;
        while pace.next().await.is_some() {
            sent += 1;
        }
        assert_eq!((sent, pace.never_sent()), (20, 0));
        let pace = Pace::none(Duration::ZERO);
        assert!(pace.next().await.is_none());
        assert_eq!(pace.never_sent(), 0);
    }
}
