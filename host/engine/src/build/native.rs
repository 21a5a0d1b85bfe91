//! A policy crate as a native program: its example of the module's name, which answers questions as JSON. It is
//! built as `cargo test` builds, so that what an author has compiled for that serves here too.

use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;

use super::{BuildError, Package, cargo};

/// What cargo says of a file that it made.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    executable: Option<PathBuf>,
}

/// Builds the program, and says where it is.
///
/// # Errors
/// When the crate does not compile, or has no such example.
pub fn native(package: &Package) -> Result<PathBuf, BuildError> {
    let example = package.folder.join(format!("examples/{}.rs", package.name));
    if !example.is_file() {
        return Err(BuildError::Manifest {
            package: package.package.clone(),
            message: format!(
                "it has no example `{}`, by which its rules answer natively",
                package.name
            ),
        });
    }
    let mut command = cargo(&package.folder);
    command
        .args([
            "build",
            "--locked",
            "--message-format",
            "json-render-diagnostics",
        ])
        .args(["-p", &package.package, "--example", &package.name])
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|source| BuildError::Tool {
        tool: "cargo",
        source,
    })?;
    let failed = |message: String| BuildError::Failed {
        command: format!(
            "cargo build -p {} --example {}",
            package.package, package.name
        ),
        message,
    };
    if !output.status.success() {
        return Err(failed(format!(
            "{}; the compiler's messages are above",
            output.status
        )));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .find_map(|message| message.executable)
        .ok_or_else(|| failed("it made no program".into()))
}
