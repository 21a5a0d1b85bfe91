//! What is proved of the role matrix: versions beside each other, changed rules, and stated properties.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod support;

use gotong_prover::{
    Change, Comparison, Module, Properties, PropertyError, ProveError, Relation, Rulings, Verdict,
    compare, rulings,
};
use serde_json::json;
use support::{both, pinned, told, workspace};

fn of(module: &Module, function: &str) -> Rulings {
    rulings(module, module.function(function).unwrap(), 2).unwrap()
}

fn compared(a: &[u8], b: &[u8], function: &str) -> Comparison {
    let (a, b) = (Module::read(a).unwrap(), Module::read(b).unwrap());
    let (first, second) = (of(&a, function), of(&b, function));
    let mut comparison = compare(&first, &second).unwrap();
    assert_eq!(
        comparison.compared, comparison.inputs,
        "not the whole domain"
    );
    comparison.settle(&a, &b).unwrap();
    comparison
}

/// A module in which one constant of the code is another, of the same length.
fn with_constant(module: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..module.len() - from.len())
        .filter(|at| module[*at..].starts_with(from))
        .collect();
    let [place] = places[..] else {
        panic!("the constant stands at {places:?}");
    };
    let mut changed = module.to_vec();
    changed[place..place + to.len()].copy_from_slice(to);
    changed
}

/// `i64.const` and its value, as the binary has them.
fn i64_const(mut value: i64) -> Vec<u8> {
    let mut bytes = vec![0x42];
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 && byte & 0x40 == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[test]
fn a_module_is_equivalent_to_itself() {
    let module = pinned("role-matrix@1.0.1");
    for function in ["authorize", "project", "permitted"] {
        let comparison = compared(&module, &module, function);
        assert_eq!(comparison.relation, Relation::Equivalent);
        assert!(comparison.groups.is_empty());
    }
}

#[test]
fn the_second_role_matrix_is_stricter_and_the_differences_are_the_engines() {
    let (old_bytes, new_bytes) = (pinned("role-matrix@1.0.0"), pinned("role-matrix@1.0.1"));
    let comparison = compared(&old_bytes, &new_bytes, "authorize");
    assert_eq!(comparison.relation, Relation::Stricter);
    let told_of: Vec<(Change, &str, &str)> = comparison
        .groups
        .iter()
        .map(|group| (group.change, group.from.as_str(), group.to.as_str()))
        .collect();
    assert_eq!(
        told_of,
        [
            (
                Change::Loses,
                "allow pic_accept.nominee",
                "deny pic_accept.no_longer_takes_part"
            ),
            (
                Change::Loses,
                "allow pic_accept.nominee",
                "deny pic_accept.verifikator_stays_uninvolved"
            ),
        ]
    );
    let (old, new) = (both(&old_bytes), both(&new_bytes));
    for group in &comparison.groups {
        assert_ne!(
            told(&old.ask("authorize", &group.example).outcome),
            told(&new.ask("authorize", &group.example).outcome)
        );
    }
    // What a person may do shrinks by as much; 10,935 cubes are told in few.
    let buttons = compared(&old_bytes, &new_bytes, "permitted");
    let [group] = &buttons.groups[..] else {
        panic!("{:?}", buttons.groups);
    };
    assert_eq!(
        (group.from.as_str(), group.to.as_str()),
        ("loses pic_accept", "gains nothing")
    );
    assert!(group.cubes.len() <= 10, "{}", group.cubes.len());
    // The other way round.
    let back = compared(
        &pinned("role-matrix@1.0.1"),
        &pinned("role-matrix@1.0.0"),
        "authorize",
    );
    assert_eq!(back.relation, Relation::Looser);
    assert_eq!(
        back.groups
            .iter()
            .map(|group| group.inputs)
            .collect::<Vec<_>>(),
        comparison
            .groups
            .iter()
            .map(|group| group.inputs)
            .collect::<Vec<_>>()
    );
}

#[test]
fn one_millisecond_more_is_found_exactly() {
    let original = pinned("role-matrix@1.0.1");
    // `seed_age_ms <= 900_000`, as the compiler wrote it.
    let longer = with_constant(&original, &i64_const(900_001), &i64_const(900_002));
    let comparison = compared(&original, &longer, "authorize");
    assert_eq!(comparison.relation, Relation::Looser);
    let [group] = &comparison.groups[..] else {
        panic!("{:?}", comparison.groups);
    };
    assert_eq!(group.from, "deny entity_edit.edit_window_over");
    assert_eq!(group.to, "allow entity_edit.within_edit_window");
    assert_eq!(group.example["action"], "entity_edit");
    assert_eq!(group.example["standing"]["seed_age_ms"], 900_001);
    assert_eq!(group.example["standing"]["relations"], json!(["author"]));
    let module = Module::read(&original).unwrap();
    let domain = module
        .function("authorize")
        .unwrap()
        .finite()
        .unwrap()
        .clone();
    assert!(
        group
            .cubes
            .iter()
            .all(|cube| domain.words(cube).contains("seed_age_ms=900001")),
        "{:?}",
        group.cubes
    );
    let (original, longer) = (both(&original), both(&longer));
    assert_eq!(
        original
            .ask("authorize", &group.example)
            .outcome
            .ruling()
            .unwrap()["effect"],
        "deny"
    );
    assert_eq!(
        longer
            .ask("authorize", &group.example)
            .outcome
            .ruling()
            .unwrap()["effect"],
        "allow"
    );
}

#[test]
fn another_number_in_the_answer_is_found_where_it_is_a_formula() {
    let comparison = compared(&pinned("gate@1.0.0"), &pinned("gate@1.0.1"), "plan");
    assert_eq!(comparison.relation, Relation::Different);
    assert!(comparison.groups.iter().all(|group| group.at_most));
    let (old, new) = (both(&pinned("gate@1.0.0")), both(&pinned("gate@1.0.1")));
    for group in &comparison.groups {
        assert!(group.from.contains("track_change"), "{}", group.from);
        assert_ne!(
            told(&old.ask("plan", &group.example).outcome),
            told(&new.ask("plan", &group.example).outcome)
        );
    }
}

#[test]
fn what_is_computed_with_is_refused_by_name() {
    let gate = Module::read(&pinned("gate@1.0.1")).unwrap();
    let error = rulings(&gate, gate.function("close").unwrap(), 2).unwrap_err();
    assert!(matches!(error, ProveError::Arithmetic { .. }));
    let text = error.to_string();
    assert!(
        text.starts_with("`close` is not provable: it computes with `yes`") && !text.contains('\n'),
        "{text}"
    );
}

fn held(name: &str, text: &str) -> Vec<Verdict> {
    let module = Module::read(&pinned(name)).unwrap();
    let properties = Properties::read(text, &module).unwrap();
    let mut rulings: Vec<Rulings> = Vec::new();
    let each = properties.list.iter().map(|property| {
        if !rulings
            .iter()
            .any(|known| known.function == property.function)
        {
            rulings.push(of(&module, &property.function));
        }
        let known = rulings
            .iter()
            .find(|known| known.function == property.function)
            .unwrap();
        property.hold(known).unwrap()
    });
    each.collect()
}

/// The version that decides: NAME@VERSION.
fn active(name: &str) -> String {
    let lock = std::fs::read_to_string(workspace().join("policies/policies.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let is = |module: &&toml::Value| {
        module["name"].as_str() == Some(name) && module["mode"].as_str() == Some("active")
    };
    let module = lock["module"].as_array().unwrap().iter().find(is).unwrap();
    format!("{name}@{}", module["version"].as_str().unwrap())
}

#[test]
fn a_list_form_is_known_by_its_types() {
    let module = Module::read(&pinned("role-matrix@1.1.0")).unwrap();
    let many = module.function("project_many").unwrap();
    assert_eq!(module.list_form_of(many).unwrap().name, "project");
    let error = rulings(&module, many, 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "`project-many` is not provable: its fact `items` is a list, and there is no end of those"
    );
    assert!(
        module
            .list_form_of(module.function("permitted").unwrap())
            .is_none()
    );
}

#[test]
fn every_stated_property_of_the_role_matrix_holds() {
    let file = workspace().join("policies/role-matrix/properties.toml");
    let verdicts = held(
        &active("role-matrix"),
        &std::fs::read_to_string(file).unwrap(),
    );
    assert!(verdicts.len() >= 14);
    for verdict in verdicts {
        assert!(verdict.violation.is_none(), "{verdict:?}");
        assert_ne!(verdict.inputs.to_string(), "0");
    }
}

#[test]
fn a_property_that_does_not_hold_shows_the_smallest_input() {
    let verdicts = held(
        "role-matrix@1.0.1",
        r#"
[[property]]
name = "only the author discusses"
when = { action = "discuss", relations = { lacks = ["author"] } }
then = { effect = "deny" }

[[property]]
name = "the youngest hour is enough"
when = { action = "entity_edit", relations = { has = ["author"] }, role = "user", privacy = "open", seed_age_ms = { at_most = 3600000 } }
then = { effect = "allow" }

[[property]]
name = "a stranger is shown no media"
function = "project"
when = { relations = { is = [] }, privacy = ["l2", "l3"] }
then = { fields = { lacks = ["media"] } }
"#,
    );
    let engine = both(&pinned("role-matrix@1.0.1"));
    let violations: Vec<_> = verdicts
        .iter()
        .map(|verdict| verdict.violation.clone().unwrap())
        .collect();
    assert_eq!(
        violations[0].example["standing"]["relations"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(violations[0].example["standing"]["privacy"], "open");
    assert_eq!(violations[1].example["standing"]["seed_age_ms"], 900_001);
    assert_eq!(violations[1].ruling, "deny entity_edit.edit_window_over");
    assert!(
        violations[2]
            .ruling
            .starts_with("visible project_l2.access_on_request")
    );
    for (verdict, violation) in verdicts.iter().zip(&violations) {
        assert!(violation.inputs < verdict.inputs);
        let asked = engine.ask(&verdict.function, &violation.example);
        let ruling = asked.outcome.ruling().unwrap();
        assert!(
            violation.ruling.contains(ruling["rule"].as_str().unwrap()),
            "{ruling} {violation:?}"
        );
    }
}

fn refused(text: &str) -> PropertyError {
    let module = Module::read(&pinned("role-matrix@1.0.1")).unwrap();
    Properties::read(text, &module).unwrap_err()
}

#[test]
fn a_bad_file_of_properties_is_refused_by_its_line() {
    let property = |when: &str, then: &str| {
        format!("[[property]]\nname = \"a\"\nwhen = {when}\nthen = {then}\n")
    };
    let deny = "{ effect = \"deny\" }";
    for (text, line, says) in [
        (String::new(), 1, "there is no `[[property]]`"),
        (
            "[[properties]]\nname = 1".into(),
            1,
            "`properties` is not known",
        ),
        ("[[property]]\nname = ".into(), 2, ""),
        (
            "[[property]]\nthen = { effect = \"deny\" }".into(),
            1,
            "needs a `name`",
        ),
        ("[[property]]\nname = \"a\"".into(), 1, "needs a `then`"),
        (
            "[[property]]\nname = \"a\"\nfunction = \"vote\"".into(),
            3,
            "no function `vote`",
        ),
        (
            property("{ colour = \"red\" }", deny),
            3,
            "no fact `colour`: expected one of action, role",
        ),
        (
            property("{ action = \"dance\" }", deny),
            3,
            "no word `dance`: expected one of entity_create",
        ),
        (
            property("{ relations = [\"pic\"] }", deny),
            3,
            "`relations` is a set",
        ),
        (
            property(
                "{ relations = { has = [\"pic\"], lacks = [\"pic\"] } }",
                deny,
            ),
            3,
            "excludes itself",
        ),
        (
            property("{ verified = 1 }", deny),
            3,
            "`verified` must be true or false",
        ),
        (
            property("{ seed_age_ms = -1 }", deny),
            3,
            "`seed_age_ms` must be a number from 0",
        ),
        (
            property("{ seed_age_ms = { at_least = 2, at_most = 1 } }", deny),
            3,
            "at least 2 and at most 1",
        ),
        (
            property("{ seed_age_ms = { over = 2 } }", deny),
            3,
            "`over` is not known",
        ),
        (property("{}", "{}"), 4, "nothing would be proved"),
        (
            property("{}", "{ effect = \"maybe\" }"),
            4,
            "no word `maybe`",
        ),
        (
            property("{}", "{ verdict = \"deny\" }"),
            4,
            "`verdict` is not known: expected one of effect",
        ),
        (property("{}", "[]"), 4, "`then` must be"),
        (
            property("{}", deny) + &property("{}", deny),
            5,
            "two properties `a`",
        ),
    ] {
        let error = refused(&text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(
            error.to_string().contains(says) && !error.to_string().contains('\n'),
            "{text}: {error}"
        );
    }
}

/// Names inside a component are its author's to choose: the export is followed, not the name.
#[test]
fn an_export_is_followed_to_the_function_it_calls() {
    let component = |lifted: &str| {
        format!(
            r#"(component
                (core module $m
                    (func (export "test:demo/question@1.0.0#ask") (param i32) (result i32) (local.get 0))
                    (func (export "other") (param i32) (result i32) (i32.eqz (local.get 0)))
                    (memory (export "memory") 1 1))
                (core instance $i (instantiate $m))
                (func $f (param "facts" bool) (result bool) (canon lift (core func $i "{lifted}")))
                (instance $q (export "ask" (func $f)))
                (export "test:demo/question@1.0.0" (instance $q)))"#
        )
    };
    for (lifted, first) in [("test:demo/question@1.0.0#ask", "false"), ("other", "true")] {
        let module = Module::read(&wat::parse_str(component(lifted)).unwrap()).unwrap();
        let rulings = of(&module, "ask");
        let (_, outcome) = rulings.find(&[0]).unwrap();
        assert_eq!(outcome.ruling().unwrap().to_string(), first);
        assert_eq!(rulings.inputs().to_string(), "2");
    }
}

#[test]
fn what_is_no_module_is_refused_in_one_line() {
    let module = pinned("role-matrix@1.0.1");
    for bytes in [
        &b""[..],
        b"no wasm at all",
        &module[..1000],
        &module[..module.len() - 1],
    ] {
        let error = Module::read(bytes).unwrap_err().to_string();
        assert!(
            error.starts_with("it is no policy module") && !error.contains('\n'),
            "{error}"
        );
    }
    let families = Module::read(&pinned("gate@1.0.1")).unwrap();
    assert_eq!(families.family(), "gate");
}
