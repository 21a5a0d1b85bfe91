//! One loaded module, and one evaluation of it.
//!
//! An evaluation is isolated: a fresh instance from the pool, its memory as the module declares it,
//! its own fuel; when it is over the instance is thrown away, so that nothing survives a call.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Linker,
    Lower, TypedFunc,
};
use wasmtime::{Store, Trap};

use crate::check::check;
use crate::contract::{Family, types::RuleDoc};
use crate::digest::Digest;
use crate::engine::{Engine, FUEL, Fingerprint};
use crate::lock::{Mode, Pin};
use crate::policies::{self, LoadError};
use crate::question::{Question, Visitor};
use crate::text::{printable, steers};

/// How often what the engine failed at is tried again.
const RETRIES: usize = 2;

/// How an evaluation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The module answered.
    Ruled,
    /// The module burnt its fuel.
    FuelExhausted,
    /// The module failed.
    Trapped {
        /// How it failed.
        trap_code: TrapCode,
    },
    /// The engine failed, or stopped a module that ran past the backstop. Never a decision.
    EngineError,
}

impl Outcome {
    /// The word in a decision record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ruled => "ruled",
            Self::FuelExhausted => "fuel_exhausted",
            Self::Trapped { .. } => "trapped",
            Self::EngineError => "engine_error",
        }
    }

    /// Whether it must end so again: not where a stack ends or the backstop strikes, which depends on the machine.
    pub const fn is_replayable(self) -> bool {
        !matches!(
            self,
            Self::EngineError
                | Self::Trapped {
                    trap_code: TrapCode::StackOverflow
                }
        )
    }

    /// How the module failed, if it did.
    pub const fn trap_code(self) -> Option<TrapCode> {
        match self {
            Self::Trapped { trap_code } => Some(trap_code),
            _ => None,
        }
    }
}

/// How a module failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrapCode {
    /// The stack was exhausted. Where it ends depends on the machine: not replayable.
    StackOverflow,
    /// An access beyond the memory.
    MemoryOutOfBounds,
    /// An access beyond the table.
    TableOutOfBounds,
    /// A call through an empty table element.
    IndirectCallToNull,
    /// A call through a table element of another type.
    BadSignature,
    /// An integer operation overflowed.
    IntegerOverflow,
    /// A division by zero.
    IntegerDivisionByZero,
    /// A float that fits no integer.
    BadConversionToInteger,
    /// `unreachable`: what a panic ends in.
    UnreachableCodeReached,
    /// The answer breaks the contract: an unknown case, a text that is no UTF-8, a bad pointer.
    InvalidAnswer,
    /// Another trap.
    Other,
}

impl TrapCode {
    const ALL: [Self; 11] = [
        Self::StackOverflow,
        Self::MemoryOutOfBounds,
        Self::TableOutOfBounds,
        Self::IndirectCallToNull,
        Self::BadSignature,
        Self::IntegerOverflow,
        Self::IntegerDivisionByZero,
        Self::BadConversionToInteger,
        Self::UnreachableCodeReached,
        Self::InvalidAnswer,
        Self::Other,
    ];

    /// The code of a word in a decision record.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// The word in a decision record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StackOverflow => "stack_overflow",
            Self::MemoryOutOfBounds => "memory_out_of_bounds",
            Self::TableOutOfBounds => "table_out_of_bounds",
            Self::IndirectCallToNull => "indirect_call_to_null",
            Self::BadSignature => "bad_signature",
            Self::IntegerOverflow => "integer_overflow",
            Self::IntegerDivisionByZero => "integer_division_by_zero",
            Self::BadConversionToInteger => "bad_conversion_to_integer",
            Self::UnreachableCodeReached => "unreachable_code_reached",
            Self::InvalidAnswer => "invalid_answer",
            Self::Other => "other",
        }
    }
}

/// The result of one evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation<R> {
    /// How it ended.
    pub outcome: Outcome,
    /// The answer; present exactly when the outcome is [`Outcome::Ruled`].
    pub ruling: Option<R>,
    /// The fuel it took.
    pub fuel: u64,
    /// Whether it must end so again.
    pub replayable: bool,
    /// What the engine says of a failure, for the log: no part of the decision.
    pub detail: Option<String>,
}

/// A loaded module: checked, compiled, its exports looked up.
pub struct Module {
    pin: Pin,
    rules: Vec<RuleDoc>,
    engine: Engine,
    pre: InstancePre<()>,
    /// The functions of the family, in the order of [`Family::functions`]; none where the module's version
    /// of the contract has not got the function yet.
    exports: Vec<Option<ComponentExportIndex>>,
}

impl Module {
    /// Prepares a compiled module and asks it for its rules.
    pub(crate) fn new(
        engine: &Engine,
        pin: &Pin,
        component: &Component,
    ) -> Result<Self, LoadError> {
        let unusable = |message: String| LoadError::Unusable {
            module: label(pin),
            message,
        };
        let family = pin.family;
        let pre = Linker::new(engine.wasmtime())
            .instantiate_pre(component)
            .map_err(|error| unusable(format!("{error:#}")))?;
        let name = family.interface_of(&pin.abi);
        let interface = component
            .get_export_index(None, &name)
            .ok_or_else(|| unusable(format!("it does not export `{name}`")))?;
        // The check held the module to every function of its own version of the contract.
        let export = |function: &str| component.get_export_index(Some(&interface), function);
        let exports = family.functions().iter().map(|name| export(name)).collect();
        let describe =
            export("describe").ok_or_else(|| unusable("it does not export `describe`".into()))?;
        let mut module = Self {
            pin: pin.clone(),
            rules: Vec::new(),
            engine: engine.clone(),
            pre,
            exports,
        };
        module.check_types().map_err(unusable)?;
        let described =
            module.run::<(), Vec<RuleDoc>>(|store| module.instantiate(store, &describe), (), FUEL);
        module.rules = described.ruling.ok_or_else(|| {
            unusable(format!(
                "`describe` ended as {}: {}",
                described.outcome.as_str(),
                described.detail.unwrap_or_default()
            ))
        })?;
        let steers = |rule: &&RuleDoc| rule.id.chars().chain(rule.text.chars()).any(steers);
        if let Some(rule) = module.rules.iter().find(steers) {
            let id = printable(&rule.id);
            return Err(unusable(format!(
                "its rule `{id}` holds a control character: a rule is an id and one line of text"
            )));
        }
        Ok(module)
    }

    /// One module by itself, outside any lock: to look at it, or to measure it.
    ///
    /// # Errors
    /// When it fails the check or cannot be used.
    pub fn from_bytes(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let checked = check(bytes).map_err(|source| LoadError::Check {
            module: "of this file".into(),
            source,
        })?;
        let pin = Pin::new(&checked, Mode::Retired);
        let component = policies::compile(engine, &pin, bytes)?;
        Self::new(engine, &pin, &component)
    }

    /// The module's name.
    pub fn name(&self) -> &str {
        &self.pin.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.pin.version
    }

    /// The family it answers for.
    pub fn family(&self) -> Family {
        self.pin.family
    }

    /// The digest it is pinned by.
    pub fn digest(&self) -> Digest {
        self.pin.digest
    }

    /// The contract it was built for.
    pub fn abi(&self) -> &str {
        &self.pin.abi
    }

    /// What the host does with it.
    pub fn mode(&self) -> Mode {
        self.pin.mode
    }

    /// The rules it decides by, as it describes them.
    pub fn rules(&self) -> &[RuleDoc] {
        &self.rules
    }

    /// The text of one rule.
    pub fn rule_text(&self, id: &str) -> Option<&str> {
        self.rules
            .iter()
            .find(|rule| rule.id == id)
            .map(|rule| rule.text.as_str())
    }

    /// Whether it has an answer to this question: a module of an older contract has none to newer functions.
    pub fn answers<Q: Question>(&self) -> bool {
        Q::FAMILY == self.pin.family && self.exports.get(Q::INDEX).is_some_and(Option::is_some)
    }

    /// The fingerprint of the engine it runs in.
    pub fn fingerprint(&self) -> Fingerprint {
        self.engine.fingerprint()
    }

    /// Evaluates one question in a fresh instance. It blocks for microseconds, never for longer
    /// than three times the backstop of 50 ms.
    ///
    /// What the engine itself fails at is tried again, which a pure function allows: the backstop goes by the
    /// wall clock, and a thread that was kept off its core for that long is no failing module.
    pub fn evaluate<Q: Question>(&self, facts: &Q) -> Evaluation<Q::Ruling> {
        match self.exports.get(Q::INDEX) {
            Some(Some(export)) if Q::FAMILY == self.pin.family => {
                let run = || {
                    self.run::<(&Q,), Q::Ruling>(
                        |store| self.instantiate_checked::<Q>(store, export),
                        (facts,),
                        FUEL,
                    )
                };
                let failed =
                    |evaluation: &Evaluation<Q::Ruling>| evaluation.outcome == Outcome::EngineError;
                let first = run();
                if !failed(&first) {
                    return first;
                }
                (0..RETRIES)
                    .map(|_| run())
                    .find(|again| !failed(again))
                    .unwrap_or(first)
            }
            _ => Evaluation::failed(format!(
                "`{}`, which speaks {}, has no `{}` of the family {}",
                label(&self.pin),
                self.pin.abi,
                Q::FUNCTION,
                Q::FAMILY
            )),
        }
    }

    /// A call of one function in a fresh instance.
    fn run<P, R>(
        &self,
        instantiate: impl FnOnce(&mut Store<()>) -> wasmtime::Result<TypedFunc<P, (R,)>>,
        params: P,
        budget: u64,
    ) -> Evaluation<R>
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let mut store = self.engine.store();
        let function = match instantiate(&mut store) {
            Ok(function) => function,
            Err(error) => return Evaluation::failed(format!("{error:#}")),
        };
        // Fuel comes after the instance: what instantiation takes is the engine's affair.
        if let Err(error) = store.set_fuel(budget) {
            return Evaluation::failed(format!("{error:#}"));
        }
        let result = function.call(&mut store, params);
        let fuel = budget.saturating_sub(store.get_fuel().unwrap_or_default());
        match result {
            Ok((ruling,)) => Evaluation {
                outcome: Outcome::Ruled,
                ruling: Some(ruling),
                fuel,
                replayable: true,
                detail: None,
            },
            Err(error) => {
                let (outcome, replayable) = classify(&error);
                Evaluation {
                    outcome,
                    ruling: None,
                    fuel,
                    replayable,
                    detail: Some(format!("{error:#}")),
                }
            }
        }
    }

    /// A fresh instance, and one of its functions, whose types are compared with the contract's: that walks
    /// every name of every type, and so happens once, when the module is loaded.
    fn instantiate<P, R>(
        &self,
        store: &mut Store<()>,
        export: &ComponentExportIndex,
    ) -> wasmtime::Result<TypedFunc<P, (R,)>>
    where
        P: ComponentNamedList + Lower,
        (R,): ComponentNamedList + Lift,
    {
        let instance: Instance = self.pre.instantiate(&mut *store)?;
        let function = instance.get_typed_func::<P, (R,)>(&mut *store, export)?;
        Ok(function)
    }

    /// As [`Module::instantiate`], of a function whose types were compared when the module was loaded.
    fn instantiate_checked<'a, Q: Question>(
        &self,
        store: &mut Store<()>,
        export: &ComponentExportIndex,
    ) -> wasmtime::Result<TypedFunc<(&'a Q,), (Q::Ruling,)>> {
        let instance: Instance = self.pre.instantiate(&mut *store)?;
        let function = instance
            .get_func(&mut *store, export)
            .ok_or_else(|| wasmtime::Error::msg(format!("`{}` is missing", Q::FUNCTION)))?;
        // SAFETY: the function must have exactly these types. `evaluate` hands in the export at `Q::INDEX` of a
        // module of `Q::FAMILY`, and no module exists for which `check_types` has not compared the types of
        // that very export, of the same component, with these very types.
        #[allow(unsafe_code)]
        let function = unsafe { TypedFunc::new_unchecked(function) };
        Ok(function)
    }

    /// Every function must have the contract's own types, so that no later call can fail over them.
    fn check_types(&self) -> Result<(), String> {
        struct Typed<'a>(&'a Module);
        impl Visitor for Typed<'_> {
            type Output = Result<(), String>;

            fn visit<Q: Question>(self) -> Self::Output {
                let Some(Some(export)) = self.0.exports.get(Q::INDEX) else {
                    return Ok(());
                };
                let mut store = self.0.engine.store();
                self.0
                    .instantiate::<(&Q,), Q::Ruling>(&mut store, export)
                    .map(drop)
                    .map_err(|error| format!("`{}`: {error:#}", Q::FUNCTION))
            }
        }
        for function in self.pin.family.functions() {
            crate::contract::visit(self.pin.family, function, Typed(self))
                .unwrap_or_else(|| Err(format!("`{function}` is no question")))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}

impl<R> Evaluation<R> {
    /// The engine's own failure.
    pub(crate) fn failed(detail: String) -> Self {
        Self {
            outcome: Outcome::EngineError,
            ruling: None,
            fuel: 0,
            replayable: false,
            detail: Some(detail),
        }
    }
}

/// `name@version`, as errors name a module.
pub(crate) fn label(pin: &Pin) -> String {
    format!("{}@{}", pin.name, pin.version)
}

/// The outcome of a failed call, and whether it must be the same again.
fn classify(error: &wasmtime::Error) -> (Outcome, bool) {
    let Some(trap) = error.downcast_ref::<Trap>() else {
        // No trap: the engine could not read the module's answer or write into its memory.
        return (
            Outcome::Trapped {
                trap_code: TrapCode::InvalidAnswer,
            },
            true,
        );
    };
    let trap_code = match trap {
        Trap::OutOfFuel => return (Outcome::FuelExhausted, true),
        Trap::Interrupt => return (Outcome::EngineError, false),
        Trap::StackOverflow => {
            return (
                Outcome::Trapped {
                    trap_code: TrapCode::StackOverflow,
                },
                false,
            );
        }
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
        Trap::BadSignature => TrapCode::BadSignature,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
        Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
        Trap::UnreachableCodeReached => TrapCode::UnreachableCodeReached,
        Trap::StringOutOfBounds | Trap::ListOutOfBounds | Trap::InvalidChar => {
            TrapCode::InvalidAnswer
        }
        _ => TrapCode::Other,
    };
    (Outcome::Trapped { trap_code }, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::componentize_for;
    use crate::contract::gate::{WeighFacts, Weight};
    use crate::metadata::Metadata;

    fn looping() -> Module {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/modules/looping.wat"
        );
        let metadata = Metadata {
            name: "looping".into(),
            version: "1.0.0".into(),
            family: Family::Gate,
            source: "sha256:none".into(),
            toolchain: "wat".into(),
        };
        let bytes = componentize_for(Family::Gate, &wat::parse_file(path).unwrap(), &metadata);
        Module::from_bytes(&Engine::new().unwrap(), &bytes.unwrap()).unwrap()
    }

    #[test]
    fn the_backstop_ends_what_fuel_does_not_and_it_is_no_decision() {
        let module = looping();
        let facts = WeighFacts {
            influence_permille: 1,
        };
        let export = module.exports[<WeighFacts as Question>::INDEX]
            .as_ref()
            .unwrap();
        let ended = module.run::<(&WeighFacts,), Weight>(
            |store| module.instantiate(store, export),
            (&facts,),
            u64::MAX,
        );
        assert_eq!(
            (ended.outcome, ended.replayable),
            (Outcome::EngineError, false)
        );
    }
}
