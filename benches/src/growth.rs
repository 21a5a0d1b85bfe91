//! How the cost of one decision grows with the number of rules: a list of conditions, of which the last one holds, as
//! a module, as Cedar policies and as Rego rules.
//!
//! And with the input: so many findings in a scan, of which the last one decides; so many questions in one list.
//!
//! Each rule asks for one number and for one of two relations. Nobody may index: the module is a list of tests too, so
//! that what is compared is what one more rule costs.

use std::fmt::Write as _;

use gotong_engine::build::componentize_for;
use gotong_engine::moderation::{self, AssessFacts, Category, MediaScan, Severity, Violation};
use gotong_engine::role_matrix::{AuthorizeFacts, ProjectFacts, ProjectManyFacts};
use gotong_engine::types::TrustTier;
use gotong_engine::{Engine, Family, Metadata, Module, Policies};
use serde::Serialize;

use crate::rounds::{Contender, Effort, Measured, measure};
use crate::{BenchError, may_vote};

pub const RULES: [usize; 5] = [10, 30, 100, 300, 1_000];

/// Findings of a scan, questions of a list.
pub const ITEMS: [usize; 5] = [1, 3, 10, 30, 100];

/// One measured point of all curves.
#[derive(Debug, Serialize)]
pub struct Point {
    /// Rules, or items of the input.
    pub size: usize,
    pub measured: Vec<Measured>,
}

/// # Errors
/// When a policy is refused, an answer is another one, or a call fails.
pub fn rules(engine: &Engine, effort: Effort) -> Result<Vec<Point>, BenchError> {
    RULES
        .into_iter()
        .map(|size| {
            let module = Module::from_bytes(engine, &module_of(size)?)?;
            let last = asks_for(size);
            let ruling = module
                .evaluate(&last)
                .ruling
                .ok_or("the grown module gave no ruling")?;
            if ruling.rule != name(size) {
                return Err(format!("the module of {size} rules answers `{}`", ruling.rule).into());
            }
            let mut contenders = vec![Contender::new("gotong, isolated", || {
                std::hint::black_box(module.evaluate(std::hint::black_box(&last)))
                    .ruling
                    .is_some()
            })];
            #[cfg(feature = "peers")]
            contenders.extend(crate::peers::grown::contenders(size)?);
            Ok(Point {
                size,
                measured: measure(&mut contenders, effort)?,
            })
        })
        .collect()
}

/// A scan with so many findings, of which the last one decides: the moderation module, and the same test alone as a
/// Cedar policy and as a Rego rule.
///
/// # Errors
/// When a policy is refused, an answer is another one, or a call fails.
pub fn findings(policies: &Policies, effort: Effort) -> Result<Vec<Point>, BenchError> {
    let module = policies.for_question::<AssessFacts>();
    ITEMS
        .into_iter()
        .map(|size| {
            let facts = scan(size);
            let ruling = module
                .evaluate(&facts)
                .ruling
                .ok_or("moderation gave no ruling")?;
            if ruling.action != moderation::Action::Block {
                return Err(format!("{size} findings end as `{}`", ruling.action).into());
            }
            let mut contenders = vec![Contender::new("gotong, isolated: all of `assess`", || {
                std::hint::black_box(module.evaluate(std::hint::black_box(&facts)))
                    .ruling
                    .is_some()
            })];
            #[cfg(feature = "peers")]
            contenders.extend(crate::peers::grown::findings(size)?);
            Ok(Point {
                size,
                measured: measure(&mut contenders, effort)?,
            })
        })
        .collect()
}

/// A page of so many entities: one list to one instance, and a question and an instance for each.
///
/// # Errors
/// When a call fails.
pub fn lists(policies: &Policies, effort: Effort) -> Result<Vec<Point>, BenchError> {
    let module = policies.for_question::<ProjectFacts>();
    ITEMS
        .into_iter()
        .map(|size| {
            let one = ProjectFacts {
                standing: may_vote().standing,
            };
            let many = ProjectManyFacts {
                items: vec![one.clone(); size],
            };
            let mut contenders = [
                Contender::new("gotong, isolated: one list", || {
                    std::hint::black_box(module.evaluate(std::hint::black_box(&many)))
                        .ruling
                        .is_some_and(|all| all.len() == size)
                }),
                Contender::new("gotong, isolated: one question at a time", || {
                    (0..size).all(|_| {
                        std::hint::black_box(module.evaluate(std::hint::black_box(&one)))
                            .ruling
                            .is_some()
                    })
                }),
            ];
            Ok(Point {
                size,
                measured: measure(&mut contenders, effort)?,
            })
        })
        .collect()
}

fn scan(findings: usize) -> AssessFacts {
    let found = |category| Violation {
        category,
        severity: Severity::High,
    };
    let mut violations = vec![found(Category::Spam); findings - 1];
    violations.push(found(Category::Hate));
    AssessFacts {
        ai_answered: true,
        confidence_permille: 980,
        violations,
        media: MediaScan::None,
        author_tier: TrustTier::Pemula,
        reports: 0,
    }
}

/// The id of a rule; the first is 1.
pub fn name(rule: usize) -> String {
    format!("rule_{rule:04}")
}

fn asks_for(rule: usize) -> AuthorizeFacts {
    let mut facts = may_vote();
    // The one number among the facts.
    facts.standing.seed_age_ms = rule as u64;
    facts
}

/// A module whose `authorize` tries so many rules in order.
fn module_of(rules: usize) -> Result<Vec<u8>, BenchError> {
    let metadata = Metadata {
        name: "grown".into(),
        version: "1.0.0".into(),
        family: Family::RoleMatrix,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    };
    let core = wat::parse_str(text_of(rules)?)?;
    Ok(componentize_for(Family::RoleMatrix, &core, &metadata)?)
}

/// Memory: the answer at 16, the reason at 64, the rules' ids from 1024 on.
fn text_of(rules: usize) -> Result<String, BenchError> {
    const IDS: usize = 1_024;
    const RELATIONS: i32 = 0b1100;
    let width = name(1).len();
    let mut tests = String::new();
    let mut ids = String::new();
    for rule in 1..=rules {
        let at = IDS + (rule - 1) * width;
        writeln!(
            tests,
            "(if (i32.and (i64.eq (local.get $age) (i64.const {rule}))
                          (i32.ne (i32.and (local.get $relations) (i32.const {RELATIONS})) (i32.const 0)))
                 (then (return (call $allow (i32.const {at})))))"
        )?;
        ids.push_str(&name(rule));
    }
    Ok(format!(
        r#"(module
  (memory (export "memory") 1 1)
  (data (i32.const 64) "relation_held")
  (data (i32.const {IDS}) "{ids}")
  (func $ruling (param $effect i32) (param $rule i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 16) (local.get $effect))
    (i32.store (i32.const 20) (i32.const 64))
    (i32.store (i32.const 24) (i32.const 13))
    (i32.store (i32.const 28) (local.get $rule))
    (i32.store (i32.const 32) (local.get $length))
    (i32.const 16))
  (func $allow (param $rule i32) (result i32)
    (call $ruling (i32.const 0) (local.get $rule) (i32.const {width})))
  (func (export "gotong:policy/role-matrix@1.0.0#describe") (result i32) (i32.const 512))
  (func (export "gotong:policy/role-matrix@1.0.0#authorize")
    (param $action i32) (param $role i32) (param $verified i32) (param $tier i32) (param $trigger i32)
    (param $relations i32) (param $privacy i32) (param $has-pic i32) (param $nomination i32) (param $age i64)
    (param $snapshot i32) (param $approvals i32) (param $sought i32) (param $subject i32) (param $is-actor i32)
    (result i32)
    {tests}
    (call $ruling (i32.const 1) (i32.const {IDS}) (i32.const 0)))
  (func (export "gotong:policy/role-matrix@1.0.0#permitted")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32) (result i32) (i32.const 512))
  (func (export "gotong:policy/role-matrix@1.0.0#project")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32) (i32.const 512))
)"#
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_grown_module_answers_by_its_first_its_last_and_by_no_rule() {
        let module = Module::from_bytes(&Engine::new().unwrap(), &module_of(30).unwrap()).unwrap();
        let rule = |number| module.evaluate(&asks_for(number)).ruling.unwrap().rule;
        assert_eq!(rule(1), "rule_0001");
        assert_eq!(rule(30), "rule_0030");
        assert_eq!(rule(31), "");
    }
}
