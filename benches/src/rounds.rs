//! Contenders measured in turns: every round runs each of them for a while, so that noise hits all alike, and the
//! median of the rounds is reported.

use std::time::Instant;

use serde::Serialize;

use crate::BenchError;
use crate::percentiles::Percentiles;

/// One thing to measure.
pub struct Contender<'a> {
    /// What stands in the table.
    pub name: String,
    /// Calls for one reading of the clock: 1, unless a call is not much longer than reading the clock.
    pub batch: u32,
    /// One call. `false` when it failed: a failed call is no measurement.
    pub run: Box<dyn FnMut() -> bool + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

impl<'a> Contender<'a> {
    /// Each call is timed by itself.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> bool + 'a) -> Self {
        Self::batched(name, 1, run)
    }

    /// So many calls are timed together.
    pub fn batched(name: impl Into<String>, batch: u32, run: impl FnMut() -> bool + 'a) -> Self {
        Self {
            name: name.into(),
            batch,
            run: Box::new(run),
        }
    }
}

/// The median of the rounds, for each percentile. Of a batch, a call is its share.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub name: String,
    pub p50_ns: f64,
    pub p99_ns: f64,
    pub p999_ns: f64,
    /// The p50 of the quickest and of the slowest round.
    pub p50_range_ns: [f64; 2],
    pub calls: usize,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// Readings of the clock in a round, for one contender.
    pub readings: usize,
    /// A contender's turn ends early after this long, so that a slow one does not hold up the others.
    pub turn: std::time::Duration,
}

impl Effort {
    /// A tenth of a second for a turn where quick is wanted, half a second where it is not.
    pub fn of(quick: bool) -> Self {
        let (rounds, readings, millis) = if quick {
            (7, 8_000, 100)
        } else {
            (15, 40_000, 400)
        };
        Self {
            rounds,
            readings,
            turn: std::time::Duration::from_millis(millis),
        }
    }

    /// Half the rounds, for figures that no aim depends on.
    #[must_use]
    pub fn shortened(self) -> Self {
        Self {
            rounds: self.rounds.div_ceil(2),
            ..self
        }
    }
}

/// Measures all contenders in turns, each round beginning with another one.
///
/// # Errors
/// When a call fails.
pub fn measure(
    contenders: &mut [Contender<'_>],
    effort: Effort,
) -> Result<Vec<Measured>, BenchError> {
    let mut rounds: Vec<Vec<(Percentiles, f64)>> = vec![Vec::new(); contenders.len()];
    for round in 0..effort.rounds {
        for turn in 0..contenders.len() {
            let place = (round + turn) % contenders.len();
            rounds[place].push(take_turn(&mut contenders[place], effort)?);
        }
    }
    Ok(contenders
        .iter()
        .zip(rounds)
        .map(|(contender, rounds)| {
            let of = |pick: fn(&Percentiles) -> u64| {
                median(
                    rounds
                        .iter()
                        .map(|(each, batch)| pick(each) as f64 / batch)
                        .collect(),
                )
            };
            let p50s = || {
                rounds
                    .iter()
                    .map(|(each, batch)| each.p50_ns as f64 / batch)
            };
            Measured {
                name: contender.name.clone(),
                p50_ns: of(|each| each.p50_ns),
                p99_ns: of(|each| each.p99_ns),
                p999_ns: of(|each| each.p999_ns),
                p50_range_ns: [
                    p50s().fold(f64::INFINITY, f64::min),
                    p50s().fold(0.0, f64::max),
                ],
                calls: rounds
                    .iter()
                    .map(|(each, batch)| each.n * *batch as usize)
                    .sum(),
            }
        })
        .collect())
}

fn take_turn(
    contender: &mut Contender<'_>,
    effort: Effort,
) -> Result<(Percentiles, f64), BenchError> {
    let mut held = true;
    let started = Instant::now();
    // The caches belong to whoever ran before: the first part of a turn is not counted.
    let warm = effort.turn / 10;
    while started.elapsed() < warm {
        held &= (contender.run)();
    }
    let mut durations = Vec::with_capacity(effort.readings);
    for _ in 0..effort.readings {
        let reading = Instant::now();
        for _ in 0..contender.batch {
            held &= (contender.run)();
        }
        durations.push(reading.elapsed());
        if started.elapsed() > effort.turn {
            break;
        }
    }
    if !held {
        return Err(format!("`{}`: a call failed while it was timed", contender.name).into());
    }
    Ok((Percentiles::of(durations), f64::from(contender.batch)))
}

/// The middle one; of none, 0.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort {
        rounds: 3,
        readings: 10,
        turn: std::time::Duration::from_millis(1),
    };

    #[test]
    fn every_contender_has_its_figures() {
        let mut contenders = [
            Contender::new("one", || true),
            Contender::batched("two", 10, || true),
        ];
        let measured = measure(&mut contenders, EFFORT).unwrap();
        assert_eq!(measured.len(), 2);
        assert_eq!(measured[1].name, "two");
        assert!(measured[1].calls >= 30, "{measured:?}");
    }

    #[test]
    fn a_failing_call_is_no_measurement() {
        let mut contenders = [Contender::new("broken", || false)];
        assert!(measure(&mut contenders, EFFORT).is_err());
    }
}
