//! `docs/dependencies.md` names what the manifests name: every crate with its purpose, and none that has gone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Where it is named, whether for tests alone, and its name.
type Named = (String, bool, String);

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// The folders that a pattern of `members` means.
fn folders(pattern: &str) -> Vec<PathBuf> {
    let Some(parent) = pattern.strip_suffix("/*") else {
        return vec![root().join(pattern)];
    };
    let inside = fs::read_dir(root().join(parent)).unwrap();
    let folders = inside.map(|entry| entry.unwrap().path());
    folders
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .collect()
}

/// Every table of dependencies in a manifest, for tests alone or not.
fn tables(manifest: &Table) -> Vec<(bool, &Table)> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(|targets| targets.values());
    for of in targets.filter_map(Value::as_table).chain([manifest]) {
        for (name, dev) in [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
        ] {
            found.extend(
                of.get(name)
                    .and_then(Value::as_table)
                    .map(|table| (dev, table)),
            );
        }
    }
    found
}

fn manifest(folder: &Path) -> Table {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

/// The packages of the workspace, and those that are workspaces of their own.
fn patterns() -> Vec<String> {
    let workspace = manifest(&root());
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members = members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned());
    let apart = ["fuzz", "fixtures/surrealdb-server"].map(str::to_owned);
    members.chain(apart).collect()
}

fn in_manifests() -> BTreeSet<Named> {
    let mut named = BTreeSet::new();
    for pattern in patterns() {
        for folder in folders(&pattern) {
            for (dev, table) in tables(&manifest(&folder)) {
                let names = table.keys();
                named.extend(names.map(|name| (pattern.clone(), dev, name.clone())));
            }
        }
    }
    named
}

/// A section is headed by a package and its folder; the first cell of a row has the crates.
fn in_the_page() -> BTreeSet<Named> {
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let mut named = BTreeSet::new();
    let mut folder = None;
    for line in page.lines() {
        if line.starts_with("## ") {
            let inside = line
                .split_once("(`")
                .and_then(|(_, rest)| rest.split_once("`)"));
            folder = inside.map(|(path, _)| path.to_owned());
        }
        let cell = line.strip_prefix("| ").and_then(|row| row.split_once(" |"));
        let (Some(folder), Some((cell, _))) = (&folder, cell) else {
            continue;
        };
        if cell == "crate" || cell.starts_with("--") {
            continue;
        }
        // `*dev:*`, `*build:*` or the feature that wants it.
        let (kind, crates) = cell.split_once(":* ").unwrap_or(("", cell));
        let crates = crates.split(", ").map(str::to_owned);
        named.extend(crates.map(|name| (folder.clone(), kind == "*dev", name)));
    }
    named
}

#[test]
fn the_page_of_dependencies_names_what_the_manifests_name() {
    let (manifests, page) = (in_manifests(), in_the_page());
    let missing: Vec<_> = manifests.difference(&page).collect();
    let gone: Vec<_> = page.difference(&manifests).collect();
    assert!(
        missing.is_empty(),
        "not in docs/dependencies.md: {missing:?}"
    );
    assert!(gone.is_empty(), "in no manifest: {gone:?}");
}

#[test]
fn every_version_is_exact() {
    let workspace = manifest(&root());
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap();
    let apart = patterns().into_iter().flat_map(|pattern| folders(&pattern));
    let manifests: Vec<Table> = apart.map(|folder| manifest(&folder)).collect();
    let tables = manifests.iter().flat_map(tables).map(|(_, table)| table);
    for table in tables.chain([shared]) {
        for (name, asked) in table {
            let version = match asked {
                Value::Table(asked) => asked.get("version"),
                version => Some(version),
            };
            let is_exact = version.is_none_or(|version| version.as_str().unwrap().starts_with('='));
            assert!(is_exact, "{name}: {asked}");
        }
    }
}
