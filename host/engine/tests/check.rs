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
        assert_eq!(
            checked.memory_initial, 65_536,
            "what is reset after every call"
        );
    }
}

/// Each rule with the modules that break it: `.wat` files of `fixtures/modules`, whole components as they are,
/// core modules encoded for the gate's world; and a few that are only bytes, or too long to be written out.
fn broken() -> Vec<(Rule, &'static str, Vec<u8>)> {
    let component = |rule, name| (rule, name, assembled(name));
    let module = |rule, name| (rule, name, gate(name));
    vec![
        (Rule::IsWasm, "a lock", b"lock_version = 1".to_vec()),
        (Rule::IsWasm, "nothing", Vec::new()),
        (Rule::Size, "too large a file", vec![0; MAX_SIZE + 1]),
        component(Rule::IsComponent, "core-module"),
        component(Rule::IsValid, "invalid"),
        module(Rule::Proposals, "relaxed-simd"),
        module(Rule::Proposals, "exceptions"),
        module(Rule::Proposals, "atomics"),
        module(Rule::Proposals, "tail-call"),
        module(Rule::Proposals, "references"),
        component(Rule::Proposals, "memory64"),
        component(Rule::Proposals, "shared-memory"),
        component(Rule::NoImports, "importing"),
        component(Rule::NoImports, "core-import"),
        component(Rule::World, "wrong-world"),
        component(Rule::World, "exported-module"),
        component(Rule::Interface, "other-types"),
        component(Rule::OneModule, "two-modules"),
        component(Rule::OneModule, "twice"),
        component(Rule::OneModule, "empty"),
        module(Rule::OneMemory, "two-memories"),
        module(Rule::MemoryMaximum, "growing"),
        module(Rule::MemorySize, "large-memory"),
        module(Rule::Table, "unbounded-table"),
        module(Rule::Table, "two-tables"),
        module(Rule::Table, "large-table"),
        module(Rule::NoStart, "starting"),
        component(Rule::NoStart, "component-start"),
        (Rule::Functions, "10,001 functions", with_functions(10_001)),
        module(Rule::Locals, "many-locals"),
        module(Rule::Params, "many-params"),
        module(Rule::Params, "many-results"),
        (Rule::Section, "no section", unnamed("trapping")),
    ]
}

/// The fixture `trapping` with so many functions more than it needs.
fn with_functions(count: usize) -> Vec<u8> {
    let path = modules::workspace().join("fixtures/modules/trapping.wat");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, end) = text.rsplit_once(')').unwrap();
    let text = format!("{before}{}){end}", "(func)".repeat(count));
    let core = wat::parse_str(&text).unwrap();
    componentize_for(Family::Gate, &core, &metadata("9.0.0")).unwrap()
}

/// A fixture without its last section, which is what it says of itself.
fn unnamed(name: &str) -> Vec<u8> {
    let whole = gate(name);
    whole[..section_of(&whole)].to_vec()
}

/// Where the section `gotong:policy` begins: its id, its length, its name, and then its content.
fn section_of(whole: &[u8]) -> usize {
    let name = b"gotong:policy{";
    let place = whole
        .windows(name.len())
        .rposition(|window| window == name)
        .unwrap();
    whole[..place].iter().rposition(|byte| *byte == 0).unwrap()
}

#[test]
fn a_module_that_breaks_a_rule_is_refused_by_that_rule() {
    for (rule, name, bytes) in broken() {
        assert_eq!(refusal(&bytes).rule, rule, "{name}: {}", refusal(&bytes));
    }
}

#[test]
fn every_rule_has_a_module_that_breaks_it() {
    let refused: Vec<Rule> = broken().into_iter().map(|(rule, ..)| rule).collect();
    for rule in Rule::ALL {
        assert!(refused.contains(&rule), "{}", rule.id());
    }
    // The list is whole: nothing but `ALL` itself says how many there are.
    assert_eq!(
        Rule::ALL.map(|rule| rule as usize).to_vec(),
        (0..Rule::ALL.len()).collect::<Vec<_>>()
    );
}

#[test]
fn a_module_must_say_what_it_is() {
    let whole = gate("trapping");
    let section = section_of(&whole);
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
