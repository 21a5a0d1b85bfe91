//! The way of an author: a new policy, its tests, what they say when something is wrong, a comparison, a pin.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod tool;

use gotong_engine::Family;
use serde_json::Value;
use tempfile::TempDir;
use tool::{Author, ended, root};

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_new_policy_of_every_family_passes_at_once() {
    for family in Family::ALL {
        let name = format!("first-{family}");
        let author = Author::new(family.as_str(), &name);
        let args = ["test", "--require-coverage", "--json", &name];
        let report = json(&ended(author.here(), 0, &args));
        assert_eq!(report["failed"], 0, "{report}");
        assert_eq!(report["unreached"], serde_json::json!([]), "{report}");
    }
}

#[test]
fn an_author_is_told_what_does_not_hold_and_pins_what_does() {
    let author = Author::new("gate", "village-gate");
    let here = author.here();
    let test = |code: i32| ended(here, code, &["test", "village-gate", "--require-coverage"]);

    // An expectation that is not met, field by field.
    author.edit(
        "cases/first.json",
        "\"window_hours\": 48",
        "\"window_hours\": 24",
    );
    let says = test(1);
    assert!(
        says.contains("village-gate/cases/first.json:2 (a step is decided by a vote): plan"),
        "{says}"
    );
    assert!(
        says.contains("terms.window_hours: expected 24, found 48"),
        "{says}"
    );
    author.edit(
        "cases/first.json",
        "\"window_hours\": 24",
        "\"window_hours\": 48",
    );

    // A rule that no case reaches.
    author.edit(
        "src/lib.rs",
        "    ballots:",
        "    never: \"Nobody asks.\" [asked];\n    ballots:",
    );
    let says = test(1);
    assert!(
        says.contains("no case reaches the rule never: Nobody asks."),
        "{says}"
    );
    ended(here, 0, &["test", "village-gate"]);
    author.edit("src/lib.rs", "    never: \"Nobody asks.\" [asked];\n", "");

    // A panic, with its text, its place, the rule and the input.
    author.edit(
        "src/lib.rs",
        "facts.eligible.div_ceil(3)",
        "facts.eligible.div_ceil(facts.members - 9)",
    );
    let says = test(1);
    assert!(
        says.contains("src/lib.rs:") && says.contains("attempt to divide by zero"),
        "{says}"
    );
    assert!(
        says.contains("expected rule: vote") && says.contains("\"members\":9"),
        "{says}"
    );
    author.edit(
        "src/lib.rs",
        "facts.eligible.div_ceil(facts.members - 9)",
        "facts.eligible.div_ceil(3)",
    );

    // Native and wasm that are not the same.
    author.edit(
        "src/lib.rs",
        "const VOTE_HOURS: u32 = 48;",
        "const VOTE_HOURS: u32 = if cfg!(target_arch = \"wasm32\") { 48 } else { 49 };",
    );
    let says = test(1);
    assert!(says.contains("native and wasm differ"), "{says}");
    author.edit(
        "src/lib.rs",
        "const VOTE_HOURS: u32 = if cfg!(target_arch = \"wasm32\") { 48 } else { 49 };",
        "const VOTE_HOURS: u32 = 48;",
    );

    // Pinned, measured, changed, compared.
    let folder = TempDir::new().unwrap();
    let policies = folder.path().display().to_string();
    let with =
        |args: &[&str], code: i32| ended(here, code, &[args, &["--policies", &policies]].concat());
    with(&["pin", "village-gate"], 0);
    with(
        &[
            "bench",
            "village-gate",
            "--times",
            "3",
            "--max-fuel-increase",
            "0",
        ],
        0,
    );
    author.edit("Cargo.toml", "version = \"1.0.0\"", "version = \"1.1.0\"");
    author.edit(
        "src/lib.rs",
        "facts.eligible.div_ceil(3)",
        "facts.eligible.div_ceil(4)",
    );
    with(&["pin", "village-gate"], 0);
    with(
        &[
            "diff",
            "village-gate@1.0.0",
            "village-gate@1.0.0",
            "--cases",
            "village-gate",
        ],
        0,
    );
    let args = [
        "diff",
        "village-gate@1.0.0",
        "village-gate@1.1.0",
        "--cases",
        "village-gate",
    ];
    let says = with(&args, 1);
    assert!(
        says.contains("terms.quorum differs") && says.contains("rule `vote`"),
        "{says}"
    );
    assert_eq!(says, with(&args, 1), "the same questions every time");
    assert!(with(&["inspect", "village-gate"], 0).contains("village-gate 1.1.0"));
}

#[test]
fn a_fuel_regression_is_an_exit_code() {
    // 1.0.1 takes a little more than 1.0.0.
    let args = [
        "bench",
        "gate@1.0.1",
        "--against",
        "gate@1.0.0",
        "--times",
        "1",
        "--json",
    ];
    let exact = [&args[..], &["--max-fuel-increase", "0"]].concat();
    let report: Value = serde_json::from_str(&ended(&root(), 1, &exact)).unwrap();
    assert_eq!(report["holds"], false, "{report}");
    let report: Value = serde_json::from_str(&ended(&root(), 0, &args)).unwrap();
    assert!(
        report["functions"]["plan"]["fuel"].as_u64() > Some(0),
        "{report}"
    );
}

#[test]
fn the_pages_of_the_rules_are_as_the_modules_are() {
    ended(&root(), 0, &["docs", "--check"]);
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("rules").display().to_string();
    ended(&root(), 1, &["docs", "gate", "--check", "--out", &out]);
    ended(&root(), 0, &["docs", "gate", "--out", &out]);
    ended(&root(), 0, &["docs", "gate", "--check", "--out", &out]);
}
