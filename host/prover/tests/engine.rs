//! The prover rules as the engine does: outcome, ruling and fuel, in every cube and wherever one looks.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod support;

use gotong_prover::{Count, Domain, FUEL, Function, Module, Outcome, ProveError};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::{Both, both, fixture, pick, pinned};

/// Numbers to pick inputs by: the same in every run.
fn picks() -> impl Iterator<Item = u64> {
    // SplitMix64's increments, mixed by one multiplication: enough to spread over ranges.
    (1_u64..).map(|step| {
        let mixed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    })
}

/// Every cube of a function, or every so many-th: its smallest input and one inside it.
fn cubes_agree(module: &Both, function: &str, every: usize) {
    let rulings = module.rulings(function);
    let (cubes, inputs) = rulings.covered();
    assert_eq!(
        inputs,
        rulings.inputs(),
        "{function}: the cubes are not the whole"
    );
    assert!(cubes <= rulings.cases);
    let (mut picks, mut place) = (picks(), 0);
    let function = module.prover.function(function).unwrap();
    let mut dearest = 0;
    rulings.visit(&mut |cube, outcome| {
        place += 1;
        if place % every != 0 {
            return;
        }
        let facts = rulings.domain.facts.iter().zip(cube);
        let inside: Vec<u64> = facts
            .map(|(fact, range)| pick(&fact.kind, range, picks.next().unwrap()))
            .collect();
        let asked = module.agree(function, &rulings.domain, &inside);
        assert!(outcome.admits(&asked.outcome), "{outcome:?} {asked:?}");
        let asked = module.ask(&function.name, &rulings.domain.smallest(cube));
        assert!(outcome.admits(&asked.outcome), "{outcome:?} {asked:?}");
        dearest = dearest.max(asked.fuel);
    });
    assert!(dearest <= rulings.most_fuel);
    if every == 1 {
        assert!(
            dearest * 2 > rulings.most_fuel,
            "{dearest} of {}",
            rulings.most_fuel
        );
    }
}

#[test]
fn every_cube_of_the_role_matrix_is_the_engines() {
    for version in ["role-matrix@1.0.0", "role-matrix@1.0.1"] {
        let module = both(&pinned(version));
        cubes_agree(&module, "authorize", 1);
        cubes_agree(&module, "project", 1);
        cubes_agree(&module, "permitted", 61);
    }
}

#[test]
fn every_cube_of_the_gates_is_the_engines() {
    let module = both(&pinned("gate@1.0.1"));
    for function in ["plan", "object", "challenge", "stages"] {
        cubes_agree(&module, function, 1);
    }
}

fn any_input(domain: &Domain) -> impl Strategy<Value = Vec<u64>> + use<> {
    let whole = domain.whole();
    let kinds: Vec<_> = domain.facts.iter().map(|fact| fact.kind.clone()).collect();
    proptest::collection::vec(any::<u64>(), kinds.len()).prop_map(move |picks| {
        let each = kinds.iter().zip(&whole).zip(picks);
        each.map(|((kind, range), by)| pick(kind, range, by))
            .collect()
    })
}

fn drawn_inputs_agree(module: &Both, function: &Function, cases: u32) {
    let domain = function.finite().unwrap();
    let rulings = gotong_prover::rulings(&module.prover, function, 2).ok();
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let ran = runner.run(&any_input(domain), |values| {
        let asked = module.agree(function, domain, &values);
        if let Some(rulings) = &rulings {
            let (cube, outcome) = rulings.find(&values).unwrap();
            prop_assert!(outcome.admits(&asked.outcome), "{outcome:?} {asked:?}");
            prop_assert!(domain.count(&cube) > Count::ZERO && asked.fuel <= rulings.most_fuel);
        }
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{}: {error}", function.name);
    }
}

#[test]
fn inputs_drawn_at_random_are_ruled_as_the_engine_rules_them() {
    for name in ["role-matrix@1.0.1", "gate@1.0.1"] {
        let module = both(&pinned(name));
        // `close` and `weigh` compute with numbers: not provable, and yet each input is followed.
        for function in &module.prover.functions {
            drawn_inputs_agree(&module, function, 400);
        }
    }
}

#[test]
fn misbehaving_modules_end_as_in_the_engine() {
    for (name, function) in [
        ("trapping-plan", "plan"),
        ("looping-plan", "plan"),
        ("remembering", "weigh"),
        ("invalid-answer", "plan"),
        ("looping", "weigh"),
    ] {
        let module = both(&fixture(name));
        let function = module.prover.function(function).unwrap();
        drawn_inputs_agree(&module, function, 3);
    }
    let looping = both(&fixture("looping-plan"));
    let rulings = looping.rulings("plan");
    assert_eq!(rulings.outcomes, [Outcome::FuelExhausted]);
    assert_eq!((rulings.cases, rulings.most_fuel), (1, FUEL));
    // Where the engine's own stack ends depends on the machine: nothing is proved about that.
    let recursing = Module::read(&fixture("recursing")).unwrap();
    let refused = recursing
        .functions
        .iter()
        .map(|function| gotong_prover::rulings(&recursing, function, 1));
    assert!(
        refused
            .into_iter()
            .any(|ended| matches!(ended, Err(ProveError::TooDeep { .. })))
    );
}
