//! Building: the pinned modules are what their sources give, in whatever folder they are built.

#![allow(clippy::unwrap_used)] // A test ends where something is not as it says.

mod modules;

use std::fs;
use std::path::Path;

use gotong_engine::build::{BuildError, build, packages};
use gotong_engine::{Family, pin};
use modules::{repository, workspace};
use tempfile::TempDir;

/// Everything of the workspace but what is built or belongs to git.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, path) = (entry.file_name(), entry.path());
        if path.is_dir() {
            if name != "target" && name != ".git" {
                copy_tree(&path, &to.join(name));
            }
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn the_sources_give_the_pinned_bytes_in_another_folder() {
    let elsewhere = TempDir::new().unwrap();
    let folder = elsewhere.path().join("a folder/of another depth");
    copy_tree(&workspace(), &folder);
    let lock = pin::read_lock(&repository()).unwrap();
    for package in packages(&folder).unwrap() {
        let built = build(&folder, &package.name).unwrap();
        let pinned = lock
            .pin(&package.name, &package.version)
            .map(|pin| pin.digest);
        let fix = "its sources changed: raise its version and `gotong policy pin` it";
        assert_eq!(
            pinned,
            Some(built.checked.digest),
            "{} {}: {fix}",
            package.name,
            package.version
        );
    }
}

#[test]
fn every_family_has_a_policy_in_the_workspace() {
    let packages = packages(&workspace()).unwrap();
    for family in Family::ALL {
        assert!(
            packages.iter().any(|package| package.family == *family),
            "{family}"
        );
    }
}

#[test]
fn a_policy_that_is_not_there_is_named_beside_those_that_are() {
    let error = build(&workspace(), "oracle").unwrap_err();
    assert!(matches!(error, BuildError::Unknown { .. }));
    assert!(
        error
            .to_string()
            .ends_with("known are edge-pod, gate, moderation, retention, role-matrix"),
        "{error}"
    );
}
