//! How much more or less fuel a candidate takes, over any number of decisions in bounded memory.

use std::collections::BTreeMap;

use serde::Serialize;

/// How many differences are told apart; beyond, neighbours are counted together.
const TOLD_APART: usize = 4_096;

/// Fuel of the decisions that both modules ruled, under one engine fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fuel {
    /// How many decisions.
    pub compared: u64,
    /// Fuel of the record, added up.
    pub recorded: u64,
    /// Fuel of the candidate, added up.
    pub candidate: u64,
    /// The candidate's sum against the record's, in percent: +10 is a tenth more.
    pub total_percent: f64,
    /// The smallest difference of one decision, candidate minus record.
    pub min: i64,
    /// The middle one.
    pub median: i64,
    /// The one that a hundredth of the decisions exceeds.
    pub p99: i64,
    /// The largest.
    pub max: i64,
    /// The four are rounded down to multiples of this: 1 unless there are thousands of different ones.
    pub step: i64,
}

/// The differences, counted.
#[derive(Clone, Debug)]
pub(super) struct Deltas {
    step: i64,
    counts: BTreeMap<i64, u64>,
    recorded: u64,
    candidate: u64,
}

impl Default for Deltas {
    fn default() -> Self {
        Self {
            step: 1,
            counts: BTreeMap::new(),
            recorded: 0,
            candidate: 0,
        }
    }
}

impl Deltas {
    pub(super) fn add(&mut self, recorded: u64, candidate: u64) {
        // A forged record may hold any number.
        self.recorded = self.recorded.saturating_add(recorded);
        self.candidate = self.candidate.saturating_add(candidate);
        let delta = i64::try_from(i128::from(candidate) - i128::from(recorded)).unwrap_or(i64::MIN);
        self.count(delta, 1);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.recorded = self.recorded.saturating_add(other.recorded);
        self.candidate = self.candidate.saturating_add(other.candidate);
        while self.step < other.step {
            self.coarsen();
        }
        for (delta, count) in other.counts {
            self.count(delta, count);
        }
    }

    fn count(&mut self, delta: i64, count: u64) {
        *self.counts.entry(self.place(delta)).or_default() += count;
        while self.counts.len() > TOLD_APART {
            self.coarsen();
        }
    }

    fn place(&self, delta: i64) -> i64 {
        delta
            - delta
                .rem_euclid(self.step)
                .min(delta.saturating_sub(i64::MIN))
    }

    fn coarsen(&mut self) {
        self.step = self.step.saturating_mul(2);
        for (delta, count) in std::mem::take(&mut self.counts) {
            *self.counts.entry(self.place(delta)).or_default() += count;
        }
    }

    /// The figures; none when nothing was compared.
    pub(super) fn figures(&self) -> Option<Fuel> {
        let compared: u64 = self.counts.values().sum();
        let percentile = |permille: u64| {
            // The first one that so many are not behind.
            let rank = (u128::from(compared) * u128::from(permille))
                .div_ceil(1_000)
                .max(1);
            let mut seen = 0_u128;
            self.counts
                .iter()
                .find(|(_, count)| {
                    seen += u128::from(**count);
                    seen >= rank
                })
                .map(|(delta, _)| *delta)
        };
        let (min, _) = self.counts.first_key_value()?;
        let (max, _) = self.counts.last_key_value()?;
        let percent = if self.recorded == 0 {
            0.0
        } else {
            (self.candidate as f64 / self.recorded as f64 - 1.0) * 100.0
        };
        Some(Fuel {
            compared,
            recorded: self.recorded,
            candidate: self.candidate,
            total_percent: (percent * 1_000.0).round() / 1_000.0,
            min: *min,
            median: percentile(500)?,
            p99: percentile(990)?,
            max: *max,
            step: self.step,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(deltas: impl IntoIterator<Item = i64>) -> Deltas {
        let mut all = Deltas::default();
        for delta in deltas {
            all.add(1_000_000, 1_000_000_u64.saturating_add_signed(delta));
        }
        all
    }

    #[test]
    fn the_figures_are_those_of_the_list() {
        let fuel = of(-50..=50).figures().unwrap();
        assert_eq!(
            (fuel.min, fuel.median, fuel.p99, fuel.max),
            (-50, 0, 49, 50)
        );
        assert_eq!(
            (fuel.compared, fuel.step, fuel.total_percent),
            (101, 1, 0.0)
        );
        let one = of([7]).figures().unwrap();
        assert_eq!((one.min, one.median, one.p99, one.max), (7, 7, 7, 7));
        assert_eq!(Deltas::default().figures(), None);
    }

    #[test]
    fn memory_is_bounded_and_the_error_with_it() {
        let (mut left, right) = (of(-100_000..0), of(0..100_000));
        left.merge(right);
        assert!(left.counts.len() <= TOLD_APART);
        let fuel = left.figures().unwrap();
        assert_eq!(fuel.compared, 200_000);
        assert!(fuel.step > 1 && (fuel.median + 1).abs() <= fuel.step);
        assert!((fuel.p99 - 98_000).abs() <= fuel.step);
        let forged = {
            let mut deltas = Deltas::default();
            deltas.add(u64::MAX, 1);
            deltas.add(1, u64::MAX);
            deltas
        };
        assert_eq!(forged.figures().unwrap().compared, 2);
    }
}
