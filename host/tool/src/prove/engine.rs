//! The real engine beside the prover: no example is shown that it does not confirm.

use std::thread::ScopedJoinHandle;

use gotong_engine::{Engine, Module, Outcome as Ended};
use gotong_prover::{Outcome, Rulings};
use serde_json::Value;

use super::{Failed, Subject};
use crate::ToolError;

/// The engine's outcome of one input, as the prover has it.
pub(crate) fn ask(module: &Module, function: &str, facts: &Value) -> Result<Outcome, ToolError> {
    let record = module.ask(function, facts)?.record;
    Ok(match record.outcome {
        Ended::Ruled => Outcome::Ruled(record.output.unwrap_or_default()),
        Ended::FuelExhausted => Outcome::FuelExhausted,
        Ended::Trapped { trap_code } => Outcome::Trapped(trap_code.as_str()),
        Ended::EngineError => return Err("the engine failed to evaluate an example".into()),
    })
}

/// Modules of the engine, compiled when the first of them is needed.
pub(crate) struct Confirm<'a> {
    subjects: Vec<&'a Subject>,
    modules: Option<Vec<Module>>,
}

impl<'a> Confirm<'a> {
    pub(crate) fn new(subjects: Vec<&'a Subject>) -> Self {
        Self {
            subjects,
            modules: None,
        }
    }

    fn modules(&mut self) -> Result<&[Module], ToolError> {
        if self.modules.is_none() {
            let engine = Engine::new()?;
            let load = |subject: &Subject| Module::from_bytes(&engine, &subject.bytes);
            // Compiling takes longer than proving where the engine itself is not optimised.
            let loaded: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = self
                    .subjects
                    .iter()
                    .map(|subject| scope.spawn(move || load(subject)))
                    .collect();
                threads.into_iter().map(ScopedJoinHandle::join).collect()
            });
            let mut modules = Vec::new();
            for module in loaded {
                modules.push(module.map_err(|_| "a thread of the engine panicked")??);
            }
            self.modules = Some(modules);
        }
        Ok(self.modules.as_deref().unwrap_or_default())
    }

    /// What each module says to an input.
    pub(crate) fn ask(&mut self, function: &str, facts: &Value) -> Result<Vec<Outcome>, ToolError> {
        self.modules()?
            .iter()
            .map(|module| ask(module, function, facts))
            .collect()
    }

    /// Holds the smallest inputs of so many cubes against one of the modules.
    pub(crate) fn sample(
        &mut self,
        of: usize,
        rulings: &Rulings,
        most: usize,
    ) -> Result<usize, ToolError> {
        if most == 0 {
            return Ok(0);
        }
        let every = rulings.covered().0.div_ceil(most);
        let (mut place, mut drawn) = (0, Vec::new());
        rulings.visit(&mut |cube, outcome| {
            if place % every == 0 {
                drawn.push((rulings.domain.smallest(cube), outcome.clone()));
            }
            place += 1;
        });
        let Some(module) = self.modules()?.get(of) else {
            return Ok(0);
        };
        for (facts, outcome) in &drawn {
            let found = ask(module, &rulings.function, facts)?;
            if !outcome.admits(&found) {
                return Err(disagree(&rulings.function, facts, &found).into());
            }
        }
        Ok(drawn.len())
    }
}

pub(crate) fn disagree(function: &str, facts: &Value, found: &Outcome) -> Failed {
    Failed::Engine {
        function: function.to_owned(),
        facts: facts.to_string(),
        found: found.in_words(),
    }
}
