//! The load-time check: each rule refuses the module that breaks it, and says so.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use gotong_engine::build::{BuildError, componentize_for};
use gotong_engine::{CheckError, Family, MAX_SIZE, Rule, check};
use modules::{assembled, gate, metadata, repository};

fn refusal(bytes: &[u8]) -> CheckError {
    check(bytes).unwrap_err()
}

#[test]
fn the_pinned_modules_pass() {
    let dir = repository();
    for pin in gotong_engine::pin::read_lock(&dir).unwrap().pins() {
        let checked = check(&dir.read(&pin.file).unwrap()).unwrap();
        assert_eq!(
            (checked.digest, checked.metadata.family),
            (pin.digest, pin.family)
        );
        assert_eq!(checked.memory_maximum, 65_536);
    }
}

#[test]
fn a_module_that_breaks_a_rule_is_refused_by_that_rule() {
    let cases = [
        ("growing", Rule::MemoryMaximum),
        ("large-memory", Rule::MemorySize),
        ("starting", Rule::NoStart),
        ("unbounded-table", Rule::Table),
        ("two-tables", Rule::Table),
        ("many-params", Rule::Params),
        ("many-locals", Rule::Locals),
        ("relaxed-simd", Rule::Proposals),
        ("exceptions", Rule::Proposals),
    ];
    for (name, rule) in cases {
        assert_eq!(refusal(&gate(name)).rule, rule, "{name}");
    }
}

#[test]
fn a_file_that_is_no_module_of_the_contract_is_refused() {
    let cases = [
        ("core-module", Rule::IsComponent),
        ("importing", Rule::NoImports),
        ("wrong-world", Rule::World),
        ("other-types", Rule::Interface),
        ("two-modules", Rule::OneModule),
    ];
    for (name, rule) in cases {
        assert_eq!(refusal(&assembled(name)).rule, rule, "{name}");
    }
    assert_eq!(refusal(b"lock_version = 1").rule, Rule::IsWasm);
    assert_eq!(refusal(b"").rule, Rule::IsWasm);
    assert_eq!(refusal(&vec![0; MAX_SIZE + 1]).rule, Rule::Size);
}

#[test]
fn a_module_must_say_what_it_is() {
    let whole = gate("trapping");
    // The section is the last one: its id, its length, its name and its content.
    let name = b"gotong:policy{";
    let place = whole
        .windows(name.len())
        .rposition(|window| window == name)
        .unwrap();
    let section = whole[..place].iter().rposition(|byte| *byte == 0).unwrap();
    assert_eq!(refusal(&whole[..section]).rule, Rule::Section);

    let mut twice = whole.clone();
    twice.extend_from_slice(&whole[section..]);
    assert_eq!(refusal(&twice).rule, Rule::Section);

    let mut other = metadata("1.0.0");
    other.family = Family::RoleMatrix;
    let other = componentize_for(Family::Gate, &assembled("trapping"), &other).unwrap();
    assert!(
        refusal(&other)
            .found
            .contains("says family `role-matrix` and exports `gate`")
    );
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let whole = gate("trapping");
    for end in (8..whole.len()).step_by(37) {
        assert!(check(&whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_refusal_says_which_rule_where_and_how_to_fix_it() {
    let text = refusal(&gate("growing")).to_string();
    assert!(
        text.starts_with("rule memory_maximum: its memory has no maximum (at byte 0x"),
        "{text}"
    );
    assert!(
        text.ends_with("link with `--max-memory`, as `gotong policy build` does"),
        "{text}"
    );
    let text = refusal(&assembled("importing")).to_string();
    assert!(
        text.contains("it imports `wasi:clocks/monotonic-clock@0.2.0`"),
        "{text}"
    );
}

#[test]
fn a_core_module_of_another_shape_is_no_policy() {
    let error = componentize_for(
        Family::RoleMatrix,
        &assembled("trapping"),
        &metadata("1.0.0"),
    )
    .unwrap_err();
    assert!(matches!(error, BuildError::Encode { .. }), "{error}");
}
