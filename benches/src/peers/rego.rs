//! The action matrix as a Rego policy in regorus, in both of its ways to run one: the interpreter, and the virtual
//! machine that the policy is compiled for.
//!
//! An input is built the fast way: keys and words are made once and shared, never parsed from JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotong_engine::role_matrix::{Action, AuthorizeFacts, Nomination};
use gotong_engine::types::{PrivacyLevel, Relations, TokenRole, Trigger};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Value};

use crate::BenchError;
use crate::inputs::{Answer, Extra};

const POLICY: &str = include_str!("../../peers/role-matrix.rego");
const DATA: &str = include_str!("../../peers/role-matrix.json");
const RULING: &str = "data.gotong.role_matrix.ruling";
const ALLOW: &str = "data.gotong.role_matrix.allow";

/// Both ways.
#[derive(Debug)]
pub struct Rego {
    pub interpreter: Interpreter,
    pub machine: Machine,
}

impl Rego {
    /// # Errors
    /// When regorus refuses the policy.
    pub fn new() -> Result<Self, BenchError> {
        Ok(Self {
            interpreter: Interpreter::new()?,
            machine: Machine::new()?,
        })
    }
}

/// The policy and its data.
fn engine() -> Result<Engine, BenchError> {
    let mut engine = Engine::new();
    engine.add_policy("role-matrix.rego".into(), POLICY.into())?;
    engine.add_data_json(DATA)?;
    Ok(engine)
}

/// The words of inputs, made once.
#[derive(Debug)]
pub struct Words {
    keys: BTreeMap<&'static str, Value>,
    actions: Vec<Value>,
    roles: Vec<Value>,
    levels: Vec<Value>,
    relations: Vec<Value>,
    triggers: Vec<Value>,
    nominations: Vec<Value>,
}

impl Words {
    fn new() -> Self {
        let keys = [
            "action",
            "role",
            "privacy",
            "verified",
            "relations",
            "seed_age_ms",
            "trigger",
            "snapshot",
            "nomination",
            "approvals",
            "has_pic",
            "sought",
            "subject",
            "subject_is_actor",
        ];
        Self {
            keys: keys.iter().map(|key| (*key, Value::from(*key))).collect(),
            actions: Action::ALL
                .iter()
                .map(|each| each.as_str().into())
                .collect(),
            roles: TokenRole::ALL
                .iter()
                .map(|each| each.as_str().into())
                .collect(),
            levels: PrivacyLevel::ALL
                .iter()
                .map(|each| each.as_str().into())
                .collect(),
            relations: Relations::ALL
                .iter()
                .filter_map(|each| each.as_str())
                .map(Value::from)
                .collect(),
            triggers: Trigger::ALL
                .iter()
                .map(|each| each.as_str().into())
                .collect(),
            nominations: Nomination::ALL
                .iter()
                .map(|each| each.as_str().into())
                .collect(),
        }
    }

    fn set(&self, held: Relations) -> Value {
        let words = Relations::ALL.iter().zip(&self.relations);
        Value::from(
            words
                .filter(|(each, _)| held.contains(**each))
                .map(|(_, word)| word.clone())
                .collect::<Vec<_>>(),
        )
    }

    /// The input for these facts.
    pub fn input(&self, facts: &AuthorizeFacts) -> Value {
        let here = &facts.standing;
        let mut input = BTreeMap::new();
        let mut put = |key: &str, value| {
            input.insert(self.keys[key].clone(), value);
        };
        put("action", self.actions[facts.action as usize].clone());
        put("role", self.roles[here.role as usize].clone());
        put("privacy", self.levels[here.privacy as usize].clone());
        put("verified", Value::from(here.verified));
        put("relations", self.set(here.relations));
        match Extra::of(facts.action) {
            Extra::None => {}
            Extra::SeedAge => put("seed_age_ms", Value::from(here.seed_age_ms)),
            Extra::Trigger => put("trigger", self.triggers[here.trigger as usize].clone()),
            Extra::Snapshot => put("snapshot", self.set(facts.snapshot)),
            Extra::Nomination => put(
                "nomination",
                self.nominations[here.nomination as usize].clone(),
            ),
            Extra::Approvals => put("approvals", self.set(facts.approvals)),
            Extra::Person => {
                put("has_pic", Value::from(here.has_pic));
                put("sought", self.set(facts.sought));
                put("subject", self.set(facts.subject));
                put("subject_is_actor", Value::from(facts.subject_is_actor));
            }
        }
        Value::from(input)
    }
}

/// The interpreter: an `Engine`, prepared once and used for every question.
#[derive(Debug)]
pub struct Interpreter {
    pub words: Words,
    engine: Engine,
}

impl Interpreter {
    fn new() -> Result<Self, BenchError> {
        Ok(Self {
            words: Words::new(),
            engine: engine()?,
        })
    }

    /// The ruling in full.
    ///
    /// # Errors
    /// When the policy fails.
    pub fn ruling_of(&mut self, input: Value) -> Result<Value, BenchError> {
        self.engine.set_input(input);
        Ok(self.engine.eval_rule(RULING.to_owned())?)
    }

    /// Yes or no alone.
    ///
    /// # Errors
    /// When the policy fails.
    pub fn allow(&mut self, input: Value) -> Result<Value, BenchError> {
        self.engine.set_input(input);
        Ok(self.engine.eval_rule(ALLOW.to_owned())?)
    }

    /// # Errors
    /// When the policy fails, or its answer is no ruling.
    pub fn ruling(&mut self, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
        let input = self.words.input(facts);
        let answer = read(&self.ruling_of(input.clone())?)?;
        agreeing(answer, &self.allow(input)?)
    }
}

/// The answer, if `allow` says the same.
fn agreeing(answer: Answer, allow: &Value) -> Result<Answer, BenchError> {
    if *allow.as_bool()? == answer.allowed {
        Ok(answer)
    } else {
        Err(format!("`allow` is {allow} where the ruling is {answer:?}").into())
    }
}

/// The virtual machine, loaded once and used for every question.
pub struct Machine {
    pub words: Words,
    ruling: RegoVM,
    allow: RegoVM,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    fn new() -> Result<Self, BenchError> {
        Ok(Self {
            words: Words::new(),
            ruling: machine(RULING)?,
            allow: machine(ALLOW)?,
        })
    }

    /// The ruling in full.
    ///
    /// # Errors
    /// When the policy fails.
    pub fn ruling_of(&mut self, input: Value) -> Result<Value, BenchError> {
        self.ruling.set_input(input);
        Ok(self.ruling.execute()?)
    }

    /// Yes or no alone.
    ///
    /// # Errors
    /// When the policy fails.
    pub fn allow(&mut self, input: Value) -> Result<Value, BenchError> {
        self.allow.set_input(input);
        Ok(self.allow.execute()?)
    }

    /// # Errors
    /// When the policy fails, or its answer is no ruling.
    pub fn ruling(&mut self, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
        let input = self.words.input(facts);
        let answer = read(&self.ruling_of(input.clone())?)?;
        agreeing(answer, &self.allow(input)?)
    }
}

fn machine(entry: &str) -> Result<RegoVM, BenchError> {
    let policy = engine()?.compile_with_entrypoint(&entry.into())?;
    let program: Arc<Program> = Compiler::compile_from_policy(&policy, &[entry])?;
    let mut machine = RegoVM::new_with_policy(policy);
    machine.load_program(program);
    machine.set_data(Value::from_json_str(DATA)?)?;
    Ok(machine)
}

fn read(ruling: &Value) -> Result<Answer, BenchError> {
    let ruling = ruling
        .as_object()
        .map_err(|_| format!("the Rego policy answers `{ruling}`, which is no ruling"))?;
    let field = |name: &str| ruling.get(&Value::from(name));
    let text = |name: &str| -> Result<String, BenchError> {
        let value = field(name).ok_or_else(|| format!("the Rego ruling has no `{name}`"))?;
        Ok(value.as_string()?.to_string())
    };
    let obligations = match field("obligations") {
        Some(list) => list
            .as_array()?
            .iter()
            .map(|each| Ok(each.as_string()?.to_string()))
            .collect::<Result<_, BenchError>>()?,
        None => Vec::new(),
    };
    Ok(Answer {
        allowed: text("effect")? == "allow",
        rule: text("rule")?,
        reason: text("reason")?,
        obligations,
    })
}
