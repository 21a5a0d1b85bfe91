//! Every family: the pinned modules rule as their sources do, over the case files and over facts drawn from the
//! contract's own types; and golden decisions are made from the cases.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod cases;
#[path = "../modules/mod.rs"]
mod modules;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use gotong_engine::draw::Draw;
use gotong_engine::{
    Circumstances, Decision, Engine, Family, Outcome, Policies, Record, Verdict, replay,
};
use modules::{active, repository, workspace};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

static POLICIES: LazyLock<Policies> =
    LazyLock::new(|| Policies::load(&Engine::new().unwrap(), &repository(), None).unwrap());

/// Asks the active module of a family.
fn ask(family: Family, function: &str, facts: &Value) -> Record {
    let asked = POLICIES.active(family).ask(function, facts);
    let record = asked
        .unwrap_or_else(|error| panic!("{family}.{function} of {facts}: {error}"))
        .record;
    assert_eq!(record.outcome, Outcome::Ruled, "{}", record.input);
    record
}

/// The same question to the policy's source.
fn native(family: Family, function: &str, facts: &str) -> String {
    let answer = match family {
        Family::RoleMatrix => gotong_role_matrix::answer,
        Family::Gate => gotong_gate::answer,
        Family::Moderation => gotong_moderation::answer,
        Family::Retention => gotong_retention::answer,
        Family::EdgePod => gotong_edge_pod::answer,
    };
    answer(function, facts).unwrap_or_else(|error| panic!("{facts}: {error}"))
}

/// The families whose golden decisions are made from their cases; the others' are a demo's.
fn with_golden_cases() -> [Family; 3] {
    [Family::Moderation, Family::Retention, Family::EdgePod]
}

#[test]
fn every_case_holds_and_every_rule_is_reached() {
    for family in Family::ALL.iter().copied() {
        let mut reached = BTreeSet::new();
        for case in cases::of(family) {
            let record = ask(family, &case.function, &case.input);
            let output: Value = serde_json::from_str(record.output.as_ref().unwrap()).unwrap();
            if let Some(unlike) = cases::unlike(&case.expect, &output) {
                panic!("{family}, `{}`: {unlike}\n{output}", case.name);
            }
            let native = native(family, &case.function, &record.input);
            assert_eq!(record.output.as_ref(), Some(&native), "{}", case.name);
            reached.extend(cases::rulings(&output).map(|(rule, _)| rule.to_owned()));
        }
        let rules = POLICIES.active(family).rules().iter();
        let unreached: Vec<_> = rules.filter(|rule| !reached.contains(&rule.id)).collect();
        assert!(unreached.is_empty(), "{family}: {unreached:?}");
    }
}

/// Facts of the whole contract, and such as differ a little from a case: by chance alone, few of them get past the
/// first condition of a rule.
#[test]
fn every_function_rules_as_its_source_over_the_whole_contract() {
    for family in Family::ALL {
        let active = &active(&repository(), *family).file;
        let module = repository().read(active).unwrap();
        let cases = cases::of(*family);
        let reached = RefCell::new(BTreeSet::new());
        for function in family.functions() {
            let draw = Draw::new(*family, function, &[&module]).unwrap();
            let known: Vec<&Value> = cases
                .iter()
                .filter(|case| case.function == *function)
                .map(|case| &case.input)
                .collect();
            let mut runner = TestRunner::new(ProptestConfig {
                cases: 800,
                failure_persistence: None,
                ..ProptestConfig::default()
            });
            let begin = option::of(any::<prop::sample::Index>());
            // Numbers to choose by, of which fewer and smaller ones make plainer facts.
            let outcome = runner.run(&(begin, vec(any::<u64>(), 0..64)), |(begin, numbers)| {
                let like = begin
                    .filter(|_| !known.is_empty())
                    .map(|at| *at.get(&known));
                let mut numbers = numbers.into_iter();
                let facts = draw.facts(like, &mut || numbers.next().unwrap_or(0));
                let record = ask(*family, function, &facts);
                let native = native(*family, function, &record.input);
                let output: Value = serde_json::from_str(&native).unwrap();
                prop_assert_eq!(record.output, Some(native), "{}", record.input);
                let rules = cases::rulings(&output).map(|(rule, _)| rule.to_owned());
                reached.borrow_mut().extend(rules);
                Ok(())
            });
            if let Err(error) = outcome {
                panic!(
                    "{family}.{function}: {error}\nIf the sources are newer than the pins: `make policies`."
                );
            }
        }
        // A comparison that only ever saw the first denial would prove nothing.
        let rules = POLICIES.active(*family).rules();
        let reached = reached.into_inner().len();
        assert!(
            reached * 10 >= rules.len() * 9,
            "{family}: {reached} of {} rules",
            rules.len()
        );
    }
}

/// A page is 50 at most and a sweep 100: as many fit into a module's memory, whatever they are answered.
#[test]
fn a_sweep_of_a_hundred_fits() {
    for (family, one, many) in [
        (Family::Moderation, "expire", "expire-many"),
        (Family::Moderation, "view", "view-many"),
        (Family::Retention, "classify", "classify-many"),
        (Family::Retention, "due", "due-many"),
        (Family::EdgePod, "duplicate", "duplicates"),
        (Family::EdgePod, "media", "media-many"),
    ] {
        for case in cases::of(family).iter().filter(|case| case.function == one) {
            let answer = ask(family, one, &case.input).output.unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let record = ask(family, many, &json!({ "items": vec![&case.input; 100] }));
            let all: Value = serde_json::from_str(&record.output.unwrap()).unwrap();
            assert_eq!(all, Value::from(vec![answer; 100]), "{family}.{many}");
        }
    }
}

#[test]
fn every_golden_decision_replays_and_every_reason_of_a_case_has_one() {
    for family in Family::ALL {
        let golden = golden(*family);
        assert!(!golden.is_empty(), "{family}");
        for decision in &golden {
            let record = decision.clone().into_record().unwrap();
            let verdict = replay(&*POLICIES, &record);
            assert_eq!(verdict, Verdict::Match, "{}", decision.decision_id);
        }
    }
    for family in with_golden_cases() {
        let missing = without_golden(family);
        let questions = missing.iter().map(|record| &record.input);
        assert_eq!(questions.count(), 0, "write them: {WRITE}");
    }
}

const WRITE: &str =
    "`cargo test -p gotong-engine --test families -- --ignored golden_decisions_are_added`";

/// Adds what is missing to `fixtures/decisions`; a line that stands there is never changed.
#[test]
#[ignore = "writes fixtures"]
fn golden_decisions_are_added() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    for family in with_golden_cases() {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(golden_file(family))
            .unwrap();
        let before = golden(family).len();
        for (place, record) in without_golden(family).into_iter().enumerate() {
            // A UUIDv7 that differs between families and rises with the place.
            let id = format!(
                "{:08x}-{:04x}-7{place:03x}-8000-{:012x}",
                now >> 16,
                now & 0xffff,
                family as u8
            );
            let asked = Circumstances {
                decision_id: id.clone(),
                at_ms: i64::try_from(now).unwrap(),
                entity_id: format!("case:{family}"),
                request_id: format!("golden-{family}-{:03}", before + place + 1),
                correlation_id: id,
                trace_id: None,
            };
            let line = serde_json_canonicalizer::to_string(&Decision::new(record, asked)).unwrap();
            writeln!(file, "{line}").unwrap();
        }
    }
}

fn golden_file(family: Family) -> std::path::PathBuf {
    workspace().join(format!("fixtures/decisions/{family}.ndjson"))
}

fn golden(family: Family) -> Vec<Decision> {
    let text = std::fs::read_to_string(golden_file(family)).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// For each function, rule and reason that the cases meet and no golden decision shows yet, the first case that
/// meets it, as the active module rules it.
fn without_golden(family: Family) -> Vec<Record> {
    let meets = |function: &str, output: Option<&String>| -> BTreeSet<[String; 3]> {
        let output = serde_json::from_str(output.unwrap()).unwrap();
        cases::rulings(&output)
            .map(|(rule, reason)| [function.into(), rule.into(), reason.into()])
            .collect()
    };
    let mut shown: BTreeSet<[String; 3]> = golden(family)
        .iter()
        .flat_map(|decision| meets(&decision.function, decision.output.as_ref()))
        .collect();
    let mut records = Vec::new();
    for case in cases::of(family) {
        let record = ask(family, &case.function, &case.input);
        let meets = meets(&case.function, record.output.as_ref());
        if !meets.is_subset(&shown) {
            shown.extend(meets);
            records.push(record);
        }
    }
    records
}
