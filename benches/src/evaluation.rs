//! The other questions a host asks, the decision record beside the ruling, and loading.

use std::hint::black_box;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::role_matrix::AuthorizeFacts;
use gotong_engine::{Cache, Engine, Policies};
use serde::Serialize;

use crate::rounds::{Contender, Effort, Measured, measure as measure_in_turns};
use crate::{BenchError, may_vote, plan_a_vote, plan_a_vote_natively, plan_natively};

/// A native call is shorter than reading a clock: so many are timed at once.
const NATIVE_BATCH: u32 = 1_000;

#[derive(Debug, Serialize)]
pub struct Report {
    pub questions: Vec<Measured>,
    /// Loading every pinned module: compiled, and from a filled cache.
    pub load_ms: u128,
    pub load_cached_ms: u128,
}

/// # Errors
/// When the policies cannot be loaded, or do not rule.
pub fn measure(policies: &Policies, effort: Effort) -> Result<Report, BenchError> {
    let loading = Instant::now();
    crate::policies()?;
    let load_ms = loading.elapsed().as_millis();
    let load_cached_ms = load_from_cache()?;
    let authorize = policies.for_question::<AuthorizeFacts>();
    let plan = policies.for_question::<gotong_engine::gate::PlanFacts>();
    let mut contenders = [
        // As a command does it: evaluated, input and output put into canonical JSON, digests taken.
        Contender::new("role-matrix authorize, with its decision record", || {
            black_box(authorize.rule(black_box(&may_vote())))
                .0
                .is_some()
        }),
        Contender::new("gate plan, isolated", || {
            black_box(plan.evaluate(black_box(&plan_a_vote())))
                .ruling
                .is_some()
        }),
        Contender::batched("gate plan, native call", NATIVE_BATCH, || {
            black_box(plan_natively(black_box(plan_a_vote_natively())));
            true
        }),
    ];
    Ok(Report {
        questions: measure_in_turns(&mut contenders, effort)?,
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
