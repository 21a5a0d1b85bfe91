//! Tiers of one evaluation, side by side in one run: native, isolated, isolated with its decision record.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gotong_benches::{
    authorize_natively, may_vote, may_vote_natively, plan_a_vote, plan_a_vote_natively,
    plan_natively, policies,
};

fn evaluation(criterion: &mut Criterion) {
    let policies = match policies() {
        Ok(policies) => policies,
        Err(error) => {
            eprintln!("the pinned policies cannot be loaded: {error}");
            std::process::exit(2);
        }
    };
    let mut group = criterion.benchmark_group("role-matrix authorize");
    group.bench_function("native", |bencher| {
        bencher.iter(|| authorize_natively(black_box(may_vote_natively())))
    });
    let (facts, module) = (
        may_vote(),
        policies.for_question::<gotong_engine::role_matrix::AuthorizeFacts>(),
    );
    group.bench_function("isolated", |bencher| {
        bencher.iter(|| module.evaluate(black_box(&facts)))
    });
    group.bench_function("isolated and recorded", |bencher| {
        bencher.iter(|| module.rule(black_box(&facts)))
    });
    group.finish();
    let mut group = criterion.benchmark_group("gate plan");
    group.bench_function("native", |bencher| {
        bencher.iter(|| plan_natively(black_box(plan_a_vote_natively())))
    });
    let (facts, module) = (
        plan_a_vote(),
        policies.for_question::<gotong_engine::gate::PlanFacts>(),
    );
    group.bench_function("isolated", |bencher| {
        bencher.iter(|| module.evaluate(black_box(&facts)))
    });
    group.finish();
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
