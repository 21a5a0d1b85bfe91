//! The policies folder, and the workspace around it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use clap::Args;

/// Where the lock and the pinned modules are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Policies {
    /// Folder that holds the lock and the pinned modules
    #[arg(long = "policies", value_name = "DIR", default_value = "policies")]
    pub(crate) folder: PathBuf,
}

/// A folder that is not what a command needs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` is not inside a cargo workspace: no folder above it has a Cargo.lock", .0.display())]
    NoWorkspace(PathBuf),
}

impl Policies {
    /// The folder as a capability.
    pub(crate) fn open(&self) -> Result<Dir, FolderError> {
        Dir::open_ambient_dir(&self.folder, ambient_authority())
            .map_err(|source| unreadable(&self.folder, source))
    }

    /// The workspace around it.
    pub(crate) fn workspace(&self) -> Result<PathBuf, FolderError> {
        workspace(&self.folder)
    }
}

/// The nearest folder at or above `folder` with a `Cargo.lock`.
pub(crate) fn workspace(folder: &Path) -> Result<PathBuf, FolderError> {
    let folder = folder
        .canonicalize()
        .map_err(|source| unreadable(folder, source))?;
    folder
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map(Path::to_owned)
        .ok_or(FolderError::NoWorkspace(folder))
}

/// Brings `Cargo.lock` up to the manifests of the workspace: a new member, a raised version. The versions of
/// dependencies that are there stay. Without the network when it can.
pub(crate) fn lock(folder: &Path) -> Result<(), String> {
    let update = |arguments: &[&str]| {
        Command::new("cargo")
            .current_dir(folder)
            .args(["update", "--workspace", "--quiet"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())
    };
    if update(&["--offline"])?.status.success() {
        return Ok(());
    }
    let online = update(&[])?;
    if online.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&online.stderr).trim().to_owned())
}

fn unreadable(path: &Path, source: std::io::Error) -> FolderError {
    FolderError::Read {
        path: path.to_owned(),
        source,
    }
}
