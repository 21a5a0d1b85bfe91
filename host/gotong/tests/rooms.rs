//! Who may know of whom: the table of docs/architecture.md, "Rooms", held against the source.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a room must not name. That nobody names another's tables the compiler holds: every `store` is private.
const MUST_NOT_KNOW: [(&str, &[&str]); 7] = [
    (
        "rulings",
        &["cli", "entities", "evidence", "http", "jobs", "transitions"],
    ),
    (
        "ledger",
        &["cli", "entities", "evidence", "http", "jobs", "transitions"],
    ),
    (
        "jobs",
        &["cli", "entities", "evidence", "http", "transitions"],
    ),
    (
        "command",
        &["cli", "entities", "evidence", "http", "jobs", "transitions"],
    ),
    (
        "entities",
        &["cli", "evidence", "http", "jobs", "transitions"],
    ),
    ("evidence", &["cli", "http", "jobs", "transitions"]),
    ("transitions", &["cli", "http"]),
];

/// Parts of the web server that lie beside what they serve.
fn is_of_the_web_server(file: &Path) -> bool {
    file.ends_with("routes.rs") || file.ends_with("command/answer.rs")
}

fn is_a_test(file: &Path) -> bool {
    file.components().any(|part| {
        ["tests", "tests.rs"]
            .iter()
            .any(|name| part.as_os_str() == *name)
    })
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The modules that a text names behind `crate::`, alone and in braces.
fn named(text: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut names = BTreeSet::new();
    for behind in text.split("crate::").skip(1) {
        let Some(group) = behind.strip_prefix('{') else {
            names.insert(word(behind));
            continue;
        };
        let mut depth = 1;
        let mut rest = group;
        names.insert(word(rest));
        while let Some(at) = rest.find(['{', '}', ',']) {
            match rest.as_bytes()[at] {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ if depth == 1 => _ = names.insert(word(&rest[at + 1..])),
                _ => {}
            }
            if depth == 0 {
                break;
            }
            rest = &rest[at + 1..];
        }
    }
    names
}

#[test]
fn no_room_names_one_that_it_must_not_know() {
    for (room, forbidden) in MUST_NOT_KNOW {
        let mut found = Vec::new();
        files(&source().join(room), &mut found);
        assert!(found.len() > 2, "{room} is empty");
        for file in found {
            if is_of_the_web_server(&file) || is_a_test(&file) {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for name in named(text) {
                assert!(
                    !forbidden.contains(&name.as_str()),
                    "{} names `{name}`",
                    file.display()
                );
            }
            assert!(!text.contains("axum::"), "{} names axum", file.display());
        }
    }
}

#[test]
fn surrealql_stands_in_stores_alone() {
    let mut found = Vec::new();
    files(&source(), &mut found);
    for file in found {
        if file.ends_with("store.rs") || is_a_test(&file) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for word in [
            "SELECT", "INSERT ", "UPSERT ", "UPDATE $", "CREATE $", "DELETE $", ".read(\"",
        ] {
            assert!(!text.contains(word), "{} has `{word}`", file.display());
        }
    }
}

#[test]
fn modules_are_found_however_they_are_named() {
    let names = named(
        "use crate::http::auth;\nuse crate::{app::{App, x}, entities,\n    jobs::kind};\ncrate::ledger::verify()",
    );
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(names, ["app", "entities", "http", "jobs", "ledger"]);
}
