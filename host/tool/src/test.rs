//! `policy test`: the case files against the built module, and the module against its source.

use std::collections::BTreeSet;

use clap::Args;
use gotong_engine::build::{self, Package};
use gotong_engine::{Asked, Engine, Module, Outcome as Ended, TrapCode};
use serde_json::{Value, json};

use crate::cases::{self, Case};
use crate::expect::{rulings_of, unlike};
use crate::folder::Policies;
use crate::given;
use crate::native::{Answer, Native};
use crate::{Outcome, ToolError, out, printable};

/// The arguments of `policy test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Folders of policy crates, or modules of the workspace around the policies folder
    #[arg(value_name = "DIR|NAME", required = true)]
    names: Vec<String>,
    /// Fail when a rule is reached by no case
    #[arg(long)]
    require_coverage: bool,
    /// One JSON object a policy instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    policies: Policies,
}

/// What the cases of one policy showed.
#[derive(Debug)]
struct Report {
    module: String,
    cases: usize,
    failures: Vec<Failure>,
    rules: usize,
    /// Rules that no case reached: id and text.
    unreached: Vec<(String, String)>,
}

#[derive(Debug)]
struct Failure {
    case: String,
    function: String,
    input: Value,
    /// One line for each thing that is not as it should be.
    lines: Vec<String>,
}

impl Test {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        // All are looked at before the first is built.
        let mut policies = Vec::new();
        for name in &self.names {
            let package = given::package(name, &self.policies)?;
            let cases = cases::read(package.family, &package.folder)?;
            policies.push((package, cases));
        }
        let engine = Engine::new()?;
        let mut holds = true;
        for (package, cases) in &policies {
            let report = report(&engine, package, cases)?;
            holds &= report.failures.is_empty()
                && (report.unreached.is_empty() || !self.require_coverage);
            if self.json {
                out::json(&report.to_json());
            } else {
                report.print(self.require_coverage);
            }
        }
        Ok(Outcome::of(holds))
    }
}

/// Builds the policy both ways and asks it everything.
fn report(engine: &Engine, package: &Package, cases: &[Case]) -> Result<Report, ToolError> {
    let built = given::build(package)?;
    let program = build::native(package)?;
    let module = Module::from_bytes(engine, &built.bytes)?;
    let mut native = Native::start(&program)?;
    let mut reached = BTreeSet::new();
    let mut failures = Vec::new();
    for case in cases {
        let asked = module
            .ask(&case.function, &case.input)
            .map_err(|error| case.wrong(format!("input: {error}")))?;
        let mut lines = Vec::new();
        match &asked.record.output {
            Some(output) => {
                let ruling: Value = serde_json::from_str(output)?;
                rulings_of(&ruling, &mut |rule, _| {
                    reached.insert(rule.to_owned());
                });
                for field in unlike(&case.expect, &ruling) {
                    lines.push(format!(
                        "{}: expected {}, found {}",
                        field.at, field.expected, field.found
                    ));
                }
            }
            None => lines.push(format!("the module gave no ruling: {}", how(&asked))),
        }
        lines.extend(compare_native(&mut native, case, &asked)?);
        if !lines.is_empty() {
            failures.push(Failure {
                case: case.label(),
                function: case.function.clone(),
                input: case.input.clone(),
                lines,
            });
        }
    }
    let unreached = module
        .rules()
        .iter()
        .filter(|rule| !reached.contains(&rule.id))
        .map(|rule| (rule.id.clone(), rule.text.clone()))
        .collect();
    Ok(Report {
        module: format!("{} {}", module.name(), module.version()),
        cases: cases.len(),
        failures,
        rules: module.rules().len(),
        unreached,
    })
}

/// How an evaluation without a ruling ended.
fn how(asked: &Asked) -> String {
    let outcome = asked.record.outcome;
    match outcome.trap_code() {
        Some(code) => format!("{} ({})", outcome.as_str(), code.as_str()),
        None => outcome.as_str().to_owned(),
    }
}

/// Whether the native program says the same; a panic tells its text.
fn compare_native(
    native: &mut Native,
    case: &Case,
    asked: &Asked,
) -> Result<Option<String>, ToolError> {
    let panics = Ended::Trapped {
        trap_code: TrapCode::UnreachableCodeReached,
    };
    let (output, outcome) = (&asked.record.output, asked.record.outcome);
    // What burns its fuel or its stack in the engine would not end here.
    if output.is_none() && outcome != panics {
        return Ok(None);
    }
    let rule = case.expect.get("rule").and_then(Value::as_str);
    Ok(match (native.ask(&case.function, &case.input)?, output) {
        (Answer::Ruling { ruling }, Some(output)) if ruling == *output => None,
        (Answer::Ruling { ruling }, Some(output)) => Some(format!(
            "native and wasm differ: native says {ruling}, wasm says {output}"
        )),
        (Answer::Ruling { ruling }, None) => {
            Some(format!("native and wasm differ: native says {ruling}"))
        }
        (Answer::Panic { panic, at }, _) => Some(format!(
            "the policy panics at {at}: {panic} (expected rule: {})",
            rule.unwrap_or("not stated")
        )),
        (Answer::Error { error }, _) => Some(format!(
            "native and wasm differ: native does not take the question: {error}"
        )),
    })
}

impl Report {
    fn print(&self, coverage_required: bool) {
        for failure in &self.failures {
            say!("FAILED {}: {}", printable(&failure.case), failure.function);
            for line in &failure.lines {
                say!("  {}", printable(line));
            }
            say!("  input: {}", printable(&failure.input.to_string()));
        }
        for (id, text) in &self.unreached {
            let word = if coverage_required { "FAILED " } else { "" };
            say!(
                "{word}no case reaches the rule {}: {}",
                printable(id),
                printable(text)
            );
        }
        say!(
            "{}: {} of {} cases hold, native and wasm compared; {} of {} rules reached",
            self.module,
            self.cases - self.failures.len(),
            self.cases,
            self.rules - self.unreached.len(),
            self.rules
        );
    }

    fn to_json(&self) -> Value {
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|failure| {
                json!({
                    "case": failure.case,
                    "function": failure.function,
                    "input": failure.input,
                    "differences": failure.lines,
                })
            })
            .collect();
        let unreached: Vec<&str> = self.unreached.iter().map(|(id, _)| id.as_str()).collect();
        json!({
            "module": self.module,
            "cases": self.cases,
            "failed": self.failures.len(),
            "failures": failures,
            "rules": self.rules,
            "unreached": unreached,
        })
    }
}
