//! Isolated evaluations on one thread and on all: what a core gives.

use std::hint::black_box;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gotong_engine::Module;
use serde::Serialize;

use crate::rounds::median;
use crate::{BenchError, may_vote};

/// Calls between two looks at whether the time is over.
const STRIDE: u64 = 64;

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Throughput {
    pub threads: usize,
    pub decisions_per_second: f64,
    pub decisions_per_second_per_core: f64,
}

/// From one thread to as many as there are cores, the median of `rounds` rounds of `turn` each.
///
/// # Errors
/// When an evaluation does not rule.
pub fn run(module: &Module, rounds: usize, turn: Duration) -> Result<Vec<Throughput>, BenchError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut measured: Vec<Vec<f64>> = vec![Vec::new(); cores];
    for _ in 0..rounds {
        for (place, rates) in measured.iter_mut().enumerate() {
            rates.push(rate(module, place + 1, turn)?);
        }
    }
    Ok(measured
        .into_iter()
        .enumerate()
        .map(|(place, rates)| {
            let decisions_per_second = median(rates);
            Throughput {
                threads: place + 1,
                decisions_per_second,
                decisions_per_second_per_core: decisions_per_second / (place + 1) as f64,
            }
        })
        .collect())
}

fn rate(module: &Module, threads: usize, turn: Duration) -> Result<f64, BenchError> {
    let over = AtomicBool::new(false);
    let started = Instant::now();
    let (calls, held) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| decide_until(module, &over)))
            .collect();
        std::thread::sleep(turn);
        over.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .fold((0, true), |(calls, held), worker| {
                worker
                    .join()
                    .map_or((calls, false), |(more, all)| (calls + more, held && all))
            })
    });
    if !held {
        return Err("an evaluation did not rule while it was counted".into());
    }
    Ok(calls as f64 / started.elapsed().as_secs_f64())
}

fn decide_until(module: &Module, over: &AtomicBool) -> (u64, bool) {
    let (mut calls, mut held) = (0, true);
    while !over.load(Ordering::Relaxed) {
        for _ in 0..STRIDE {
            held &= black_box(module.evaluate(black_box(&may_vote())))
                .ruling
                .is_some();
        }
        calls += STRIDE;
    }
    (calls, held)
}
