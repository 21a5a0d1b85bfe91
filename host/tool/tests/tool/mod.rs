//! The real binary, as an author runs it.

#![allow(clippy::unwrap_used, dead_code)] // Each test file uses its part.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Runs `gotong-policy` in a folder. What it builds outside the repository is kept in one place for all tests.
pub(crate) fn run(here: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gotong-policy"));
    command.current_dir(here).args(args);
    if !here.starts_with(root()) {
        command.env(
            "CARGO_TARGET_DIR",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/authors"),
        );
    }
    command.output().unwrap()
}

/// The one line on stderr of a command that could not run.
pub(crate) fn refused(here: &Path, args: &[&str]) -> String {
    let output = run(here, args);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{args:?}: {line}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert!(line.starts_with("gotong-policy: "), "{line}");
    line
}

/// What a command said that ended with an exit code.
pub(crate) fn ended(here: &Path, code: i32, args: &[&str]) -> String {
    let output = run(here, args);
    let (says, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(
        output.status.code(),
        Some(code),
        "{args:?}: {says}\n{stderr}"
    );
    says
}

/// An author outside the repository, who has just made a policy.
pub(crate) struct Author {
    folder: TempDir,
    name: String,
}

impl Author {
    pub(crate) fn new(family: &str, name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        ended(folder.path(), 0, &["new", family, name]);
        Self {
            folder,
            name: name.to_owned(),
        }
    }

    pub(crate) fn here(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the crate.
    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.here().join(&self.name).join(file), text).unwrap();
    }

    /// Replaces a text that stands in a file of the crate.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.here().join(&self.name).join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }
}
