//! Isolated evaluations: a fresh pooled instance a call, fuel and NaN canonicalization on, against a native call of the
//! same rules.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::{Cache, Engine, Module, Policies, Question};
use serde::Serialize;

use crate::percentiles::Percentiles;
use crate::{
    BenchError, authorize_natively, may_vote, may_vote_natively, plan_a_vote, plan_a_vote_natively,
    plan_natively, policies,
};

/// A native call is shorter than reading a clock: so many are timed at once.
const NATIVE_BATCH: u32 = 1_000;

#[derive(Debug, Serialize)]
pub struct Report {
    pub authorize: Case,
    pub plan: Case,
    /// As a command does it: evaluated, input and output put into canonical JSON, digests taken.
    pub authorize_recorded: Percentiles,
    /// Loading every pinned module: compiled, and from a filled cache.
    pub load_ms: u128,
    pub load_cached_ms: u128,
}

#[derive(Debug, Serialize)]
pub struct Case {
    pub isolated: Percentiles,
    pub native_p50_ns: f64,
    /// Isolated divided by native, p50.
    pub ratio: f64,
    pub fuel: u64,
}

/// # Errors
/// When the policies cannot be loaded, or do not rule.
pub fn measure(calls: usize) -> Result<Report, BenchError> {
    let loading = Instant::now();
    let policies = policies()?;
    let load_ms = loading.elapsed().as_millis();
    let load_cached_ms = load_from_cache()?;
    let authorize = case(&policies, &may_vote(), calls, || {
        black_box(authorize_natively(black_box(may_vote_natively())));
    })?;
    let plan = case(&policies, &plan_a_vote(), calls, || {
        black_box(plan_natively(black_box(plan_a_vote_natively())));
    })?;
    let module = policies.for_question::<gotong_engine::role_matrix::AuthorizeFacts>();
    let facts = may_vote();
    let authorize_recorded = timed(calls, || {
        black_box(module.rule(black_box(&facts)));
    });
    Ok(Report {
        authorize,
        plan,
        authorize_recorded,
        load_ms,
        load_cached_ms,
    })
}

/// Fills a cache and loads from it.
fn load_from_cache() -> Result<u128, BenchError> {
    let folder = std::env::temp_dir().join(format!("gotong-benches-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let measured = (|| {
        let cache = Cache::open(Dir::open_ambient_dir(&folder, ambient_authority())?)?;
        let dir = Dir::open_ambient_dir(crate::root().join("policies"), ambient_authority())?;
        let engine = Engine::new()?;
        Policies::load(&engine, &dir, Some(&cache))?;
        let loading = Instant::now();
        Policies::load(&engine, &dir, Some(&cache))?;
        Ok(loading.elapsed().as_millis())
    })();
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn case<Q: Question>(
    policies: &Policies,
    facts: &Q,
    calls: usize,
    native: impl Fn(),
) -> Result<Case, BenchError> {
    let module: &Module = policies.for_question::<Q>();
    let evaluation = module.evaluate(facts);
    if evaluation.ruling.is_none() {
        return Err(format!("{} gave no ruling: {:?}", module.name(), evaluation.outcome).into());
    }
    let isolated = timed(calls, || {
        black_box(module.evaluate(black_box(facts)));
    });
    let batches = timed(calls / 100, || {
        for _ in 0..NATIVE_BATCH {
            native();
        }
    });
    let native_p50_ns = batches.p50_ns as f64 / f64::from(NATIVE_BATCH);
    Ok(Case {
        isolated,
        native_p50_ns,
        ratio: isolated.p50_ns as f64 / native_p50_ns,
        fuel: evaluation.fuel,
    })
}

fn timed(calls: usize, run: impl Fn()) -> Percentiles {
    for _ in 0..calls / 10 {
        run();
    }
    let durations: Vec<Duration> = (0..calls.max(1))
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed()
        })
        .collect();
    Percentiles::of(durations)
}
