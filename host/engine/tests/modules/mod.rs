//! The modules the tests load: those of the repository, and the misbehaving ones of `fixtures/modules`.

#![allow(clippy::unwrap_used, dead_code)] // Each test file uses its part.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::build::componentize_for;
use gotong_engine::{Engine, Family, Metadata, Mode, Module, Pin, pin};
use tempfile::TempDir;

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The bytes of a `.wat` fixture, as they are.
pub(crate) fn assembled(name: &str) -> Vec<u8> {
    wat::parse_file(workspace().join(format!("fixtures/modules/{name}.wat"))).unwrap()
}

pub(crate) fn metadata(version: &str) -> Metadata {
    Metadata {
        name: "gate".into(),
        version: version.into(),
        family: Family::Gate,
        source: "sha256:none".into(),
        toolchain: "wat".into(),
    }
}

/// A fixture as a component of the gate world.
pub(crate) fn gate(name: &str) -> Vec<u8> {
    gate_version(name, "9.0.0")
}

pub(crate) fn gate_version(name: &str, version: &str) -> Vec<u8> {
    componentize_for(Family::Gate, &assembled(name), &metadata(version)).unwrap()
}

pub(crate) fn gate_module(engine: &Engine, name: &str) -> Module {
    Module::from_bytes(engine, &gate(name)).unwrap()
}

pub(crate) fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

/// The repository's own policies folder.
pub(crate) fn repository() -> Dir {
    open(&workspace().join("policies"))
}

/// A folder with the active modules of the repository alone, to spoil.
pub(crate) fn copy() -> (TempDir, Dir) {
    let folder = TempDir::new().unwrap();
    let dir = open(folder.path());
    let from = repository();
    for module in pin::read_lock(&from).unwrap().pins() {
        if module.mode == Mode::Active {
            pin::pin(&dir, &from.read(&module.file).unwrap()).unwrap();
        }
    }
    (folder, dir)
}

/// The active module of a family in a folder.
pub(crate) fn active(dir: &Dir, family: Family) -> Pin {
    let lock = pin::read_lock(dir).unwrap();
    let mut pins = lock.pins().iter();
    pins.find(|pin| (pin.family, pin.mode) == (family, Mode::Active))
        .unwrap()
        .clone()
}

/// An error with all that is behind it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    assert!(!text.contains('\n'), "{text}");
    text
}
