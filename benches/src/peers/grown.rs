//! The peers' lists of rules and of findings for [`crate::growth`].

use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Value};

use crate::BenchError;
use crate::growth::name;
use crate::rounds::Contender;

/// Cedar and Rego with so many rules, asked for the last, their requests built per call.
///
/// # Errors
/// When a policy is refused, or does not answer with the last rule.
pub fn contenders(rules: usize) -> Result<Vec<Contender<'static>>, BenchError> {
    Ok(vec![cedar(rules)?, rego(rules)?])
}

fn cedar(rules: usize) -> Result<Contender<'static>, BenchError> {
    let mut text = String::new();
    for rule in 1..=rules {
        writeln!(
            text,
            "@rule(\"{}\") permit (principal, action, resource) when {{ context.number == {rule} && \
             context.relations.containsAny([\"participant\", \"pic\"]) }};",
            name(rule)
        )?;
    }
    let policies = PolicySet::from_str(&text)?;
    let (principal, action, resource) = (
        EntityUid::from_str("Role::\"user\"")?,
        EntityUid::from_str("Action::\"ask\"")?,
        EntityUid::from_str("Privacy::\"open\"")?,
    );
    let authorizer = Authorizer::new();
    let entities = Entities::empty();
    let number = i64::try_from(rules)?;
    let ask = move || -> Result<Option<String>, BenchError> {
        let context = Context::from_pairs([
            ("number".to_owned(), RestrictedExpression::new_long(number)),
            (
                "relations".to_owned(),
                RestrictedExpression::new_set([RestrictedExpression::new_string(
                    "participant".to_owned(),
                )]),
            ),
        ])?;
        let request = Request::new(
            principal.clone(),
            action.clone(),
            resource.clone(),
            context,
            None,
        )?;
        let response = authorizer.is_authorized(&request, &policies, &entities);
        Ok(match response.decision() {
            Decision::Allow => response
                .diagnostics()
                .reason()
                .next()
                .and_then(|policy| policies.annotation(policy, "rule"))
                .map(str::to_owned),
            Decision::Deny => None,
        })
    };
    let answer = ask()?;
    if answer.as_deref() != Some(&name(rules)) {
        return Err(format!("Cedar with {rules} rules answers {answer:?}").into());
    }
    Ok(Contender::new("Cedar, request built per call", move || {
        black_box(ask()).is_ok()
    }))
}

fn rego(rules: usize) -> Result<Contender<'static>, BenchError> {
    const ENTRY: &str = "data.grown.rule";
    let mut text = String::from("package grown\n\nimport rego.v1\n\n");
    for rule in 1..=rules {
        writeln!(
            text,
            "rule := \"{}\" if {{\n\tinput.number == {rule}\n\tsome relation in input.relations\n\t\
             relation in {{\"participant\", \"pic\"}}\n}}\n",
            name(rule)
        )?;
    }
    let mut machine = machine(text, ENTRY)?;
    let [number, relations, participant] = ["number", "relations", "participant"].map(Value::from);
    let asked = Value::from(rules);
    let mut ask = move || -> Result<Value, BenchError> {
        let input = std::collections::BTreeMap::from([
            (number.clone(), asked.clone()),
            (relations.clone(), Value::from(vec![participant.clone()])),
        ]);
        machine.set_input(Value::from(input));
        Ok(machine.execute()?)
    };
    let answer = ask()?;
    if answer != Value::from(name(rules)) {
        return Err(format!("Rego with {rules} rules answers {answer}").into());
    }
    Ok(Contender::new(
        "regorus virtual machine, input built per call",
        move || black_box(ask()).is_ok(),
    ))
}

/// Cedar and Rego with so many findings in a request that is built per call. The last one blocks; the others are all
/// different, for a set holds nothing twice.
///
/// # Errors
/// When a policy is refused, or does not block.
pub fn findings(findings: usize) -> Result<Vec<Contender<'static>>, BenchError> {
    let mut found: Vec<String> = (1..findings)
        .map(|each| format!("spam_{each:03}"))
        .collect();
    found.push("hate".to_owned());
    Ok(vec![cedar_findings(found.clone())?, rego_findings(&found)?])
}

fn cedar_findings(found: Vec<String>) -> Result<Contender<'static>, BenchError> {
    let policies = PolicySet::from_str(
        "permit (principal, action, resource) when { context.findings.containsAny( \
         [\"hate\", \"violence\", \"harassment\", \"illegal\", \"child_safety\"]) };",
    )?;
    let (principal, action, resource) = (
        EntityUid::from_str("Role::\"user\"")?,
        EntityUid::from_str("Action::\"block\"")?,
        EntityUid::from_str("Privacy::\"open\"")?,
    );
    let authorizer = Authorizer::new();
    let entities = Entities::empty();
    let ask = move || -> Result<bool, BenchError> {
        let findings = RestrictedExpression::new_set(
            found
                .iter()
                .map(|each| RestrictedExpression::new_string(each.clone())),
        );
        let context = Context::from_pairs([("findings".to_owned(), findings)])?;
        let request = Request::new(
            principal.clone(),
            action.clone(),
            resource.clone(),
            context,
            None,
        )?;
        let response = authorizer.is_authorized(&request, &policies, &entities);
        Ok(response.decision() == Decision::Allow)
    };
    if !ask()? {
        return Err("Cedar does not find the finding that blocks".into());
    }
    Ok(Contender::new("Cedar: the one test", move || {
        black_box(ask()).is_ok_and(|blocks| blocks)
    }))
}

fn rego_findings(found: &[String]) -> Result<Contender<'static>, BenchError> {
    const ENTRY: &str = "data.grown.block";
    let text = "package grown\n\nimport rego.v1\n\nblock if {\n\tsome finding in input.findings\n\t\
                finding in {\"hate\", \"violence\", \"harassment\", \"illegal\", \"child_safety\"}\n}\n";
    let mut machine = machine(text.to_owned(), ENTRY)?;
    let key = Value::from("findings");
    let found: Vec<Value> = found
        .iter()
        .map(|each| Value::from(each.as_str()))
        .collect();
    let mut ask = move || -> Result<bool, BenchError> {
        let input = std::collections::BTreeMap::from([(key.clone(), Value::from(found.clone()))]);
        machine.set_input(Value::from(input));
        Ok(machine.execute()? == Value::from(true))
    };
    if !ask()? {
        return Err("Rego does not find the finding that blocks".into());
    }
    Ok(Contender::new(
        "regorus virtual machine: the one test",
        move || black_box(ask()).is_ok_and(|blocks| blocks),
    ))
}

/// A policy without data, loaded into the virtual machine.
fn machine(text: String, entry: &str) -> Result<RegoVM, BenchError> {
    let mut engine = Engine::new();
    engine.add_policy("grown.rego".into(), text)?;
    let policy = engine.compile_with_entrypoint(&entry.into())?;
    let program = Compiler::compile_from_policy(&policy, &[entry])?;
    let mut machine = RegoVM::new_with_policy(policy);
    machine.load_program(program);
    machine.set_data(Value::new_object())?;
    machine.set_max_instructions(usize::MAX);
    Ok(machine)
}
