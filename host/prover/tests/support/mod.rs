//! The real engine beside the prover: one question by name, and the modules that the tests look at.

#![allow(clippy::unwrap_used, dead_code)] // Each test file uses its part.

use std::path::PathBuf;

use gotong_engine::build::componentize_for;
use gotong_engine::{Engine, Evaluation, Family, Metadata, Question, gate, role_matrix};
use gotong_prover::{Domain, Evaluated, FUEL, Function, Kind, Module, Outcome, Range, Rulings};
use serde_json::Value;

pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub(crate) fn pinned(name: &str) -> Vec<u8> {
    std::fs::read(workspace().join(format!("policies/pinned/{name}.wasm"))).unwrap()
}

/// A `.wat` fixture as a component of the gate world.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let core = wat::parse_file(workspace().join(format!("fixtures/modules/{name}.wat"))).unwrap();
    let metadata = Metadata {
        name: "gate".into(),
        version: "9.0.0".into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    componentize_for(Family::Gate, &core, &metadata).unwrap()
}

/// One module, for the prover and for the engine.
pub(crate) struct Both {
    pub(crate) prover: Module,
    pub(crate) engine: gotong_engine::Module,
}

pub(crate) fn both(bytes: &[u8]) -> Both {
    Both {
        prover: Module::read(bytes).unwrap(),
        engine: gotong_engine::Module::from_bytes(&Engine::new().unwrap(), bytes).unwrap(),
    }
}

impl Both {
    /// All rulings of a function, which must be provable.
    pub(crate) fn rulings(&self, function: &str) -> Rulings {
        gotong_prover::rulings(&self.prover, self.prover.function(function).unwrap(), 2).unwrap()
    }

    /// What the engine says.
    pub(crate) fn ask(&self, function: &str, facts: &Value) -> Evaluated {
        let module = &self.engine;
        match (module.family(), function) {
            (Family::RoleMatrix, "authorize") => ask::<role_matrix::AuthorizeFacts>(module, facts),
            (Family::RoleMatrix, "permitted") => ask::<role_matrix::PermittedFacts>(module, facts),
            (Family::RoleMatrix, "project") => ask::<role_matrix::ProjectFacts>(module, facts),
            (Family::Gate, "plan") => ask::<gate::PlanFacts>(module, facts),
            (Family::Gate, "object") => ask::<gate::ObjectFacts>(module, facts),
            (Family::Gate, "challenge") => ask::<gate::ChallengeFacts>(module, facts),
            (Family::Gate, "close") => ask::<gate::CloseFacts>(module, facts),
            (Family::Gate, "stages") => ask::<gate::StagesFacts>(module, facts),
            (Family::Gate, "weigh") => ask::<gate::WeighFacts>(module, facts),
            other => panic!("no such question: {other:?}"),
        }
    }

    /// Holds one input against the engine: the outcome and the fuel.
    pub(crate) fn agree(&self, function: &Function, domain: &Domain, values: &[u64]) -> Evaluated {
        let facts = domain.json(values);
        let asked = self.ask(&function.name, &facts);
        let proved = gotong_prover::evaluate(&self.prover, function, values).unwrap();
        assert_eq!(
            told(&proved.outcome),
            told(&asked.outcome),
            "{} {facts}",
            function.name
        );
        // The engine does not count to the end of what traps.
        if matches!(proved.outcome, Outcome::Ruled(_) | Outcome::FuelExhausted) {
            assert_eq!(
                proved.fuel.min(FUEL),
                asked.fuel,
                "{} {facts}",
                function.name
            );
        }
        proved
    }
}

fn ask<Q: Question>(module: &gotong_engine::Module, facts: &Value) -> Evaluated {
    let facts: Q = serde_json::from_value(facts.clone()).unwrap();
    let Evaluation {
        outcome,
        ruling,
        fuel,
        ..
    } = module.evaluate(&facts);
    let outcome = match outcome {
        gotong_engine::Outcome::Ruled => Outcome::Ruled(serde_json::to_string(&ruling).unwrap()),
        gotong_engine::Outcome::FuelExhausted => Outcome::FuelExhausted,
        gotong_engine::Outcome::Trapped { trap_code } => Outcome::Trapped(trap_code.as_str()),
        gotong_engine::Outcome::EngineError => panic!("the engine failed"),
    };
    Evaluated { outcome, fuel }
}

/// An outcome as JSON, to compare whatever the order of its fields.
pub(crate) fn told(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Ruled(_) => outcome.ruling().unwrap(),
        other => Value::from(format!("{other:?}")),
    }
}

/// A value of a range, picked by a number.
pub(crate) fn pick(kind: &Kind, range: &Range, by: u64) -> u64 {
    match range {
        Range::Words(words) => {
            let set: Vec<u64> = (0..64).filter(|bit| words >> bit & 1 == 1).collect();
            set[(by % set.len() as u64) as usize]
        }
        Range::Flags { clear, set } => {
            let Kind::Flags(words) = kind else {
                panic!("{kind:?}")
            };
            by & ((1 << words.len()) - 1) & !clear | set
        }
        Range::Number(lo, hi) => match by % 4 {
            0 => *lo,
            1 => *hi,
            2 => lo + (hi - lo).min(by >> 60),
            _ => lo + ((u128::from(by) * (u128::from(hi - lo) + 1)) >> 64) as u64,
        },
    }
}
