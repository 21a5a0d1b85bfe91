//! A module, or the crate of one, as a command line gives it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use gotong_engine::build::{self, Built, Package};
use gotong_engine::{
    CheckError, Checked, Engine, LoadError, MAX_SIZE, Module, Pin, check, input, pin, read_pinned,
};

use crate::ToolError;
use crate::folder::{Policies, lock};
use crate::module::Named;

/// A module that was read and passed the check.
pub(crate) struct Given {
    /// Where it comes from, as messages name it.
    pub(crate) from: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) checked: Checked,
}

/// No such module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GivenError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` fails the load-time check", file.display())]
    Check { file: PathBuf, source: CheckError },
    #[error("`{from}` passes the load-time check and cannot be used")]
    Unusable {
        from: String,
        source: Box<LoadError>,
    },
    #[error("cargo could not lock the dependencies: {0}")]
    Lock(String),
    #[error("`{given}` is neither a file nor a module that `{}` pins: known are {known}", folder.display())]
    Unknown {
        given: String,
        folder: PathBuf,
        known: String,
    },
}

impl Given {
    /// The module, ready to be asked.
    pub(crate) fn load(&self, engine: &Engine) -> Result<Module, GivenError> {
        Module::from_bytes(engine, &self.bytes).map_err(|source| self.unusable(source))
    }

    /// Why it cannot be asked.
    pub(crate) fn unusable(&self, source: LoadError) -> GivenError {
        GivenError::Unusable {
            from: self.from.clone(),
            source: Box::new(source),
        }
    }
}

/// The module in a file, or a pinned one: `NAME@VERSION`, or `NAME` for the version that decides, else the newest.
pub(crate) fn file_or_pin(given: &str, policies: &Policies) -> Result<Given, ToolError> {
    let path = Path::new(given);
    // What looks like a path is one, so that a missing file is told as such.
    if path.is_file() || path.extension().is_some_and(|end| end == "wasm") || given.contains('/') {
        return Ok(file(path)?);
    }
    let dir = policies.open()?;
    let lock = pin::read_lock(&dir)?;
    let pins = lock.pins();
    let found = match given.parse::<Named>() {
        Ok(named) => lock.pin(&named.name, &named.version),
        Err(_) => {
            let of_name = || pins.iter().filter(|pin| pin.name == given);
            of_name()
                .find(|pin| pin.mode == gotong_engine::Mode::Active)
                .or_else(|| of_name().next_back())
        }
    };
    let Some(pin) = found else {
        let known: Vec<String> = pins
            .iter()
            .map(|pin| format!("{}@{}", pin.name, pin.version))
            .collect();
        return Err(GivenError::Unknown {
            given: given.to_owned(),
            folder: policies.folder.clone(),
            known: match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            },
        }
        .into());
    };
    pinned(&dir, pin, policies)
}

/// A pinned module: what its digest in the lock says, or an error.
pub(crate) fn pinned(dir: &Dir, pin: &Pin, policies: &Policies) -> Result<Given, ToolError> {
    let bytes = read_pinned(dir, pin)?;
    Ok(looked_at(&policies.folder.join(&pin.file), bytes)?)
}

/// The policy crate in a folder, or the one of a module's name in the workspace around the policies.
pub(crate) fn package(given: &str, policies: &Policies) -> Result<Package, ToolError> {
    let folder = Path::new(given);
    if folder.is_dir() {
        return Ok(build::package_at(folder)?);
    }
    Ok(build::package_named(&policies.workspace()?, given)?)
}

/// The module in a file.
pub(crate) fn file(path: &Path) -> Result<Given, GivenError> {
    let mut bytes = Vec::new();
    // One byte more than a module may have: the check says that it is too large.
    input::open(path)
        .and_then(|file| file.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| GivenError::Read {
            path: path.to_owned(),
            source,
        })?;
    looked_at(path, bytes)
}

fn looked_at(path: &Path, bytes: Vec<u8>) -> Result<Given, GivenError> {
    let checked = check(&bytes).map_err(|source| GivenError::Check {
        file: path.to_owned(),
        source,
    })?;
    Ok(Given {
        from: path.display().to_string(),
        bytes,
        checked,
    })
}

/// Builds a policy. A version that was just raised is not in `Cargo.lock` yet.
pub(crate) fn build(package: &Package) -> Result<Built, ToolError> {
    lock(&package.workspace).map_err(GivenError::Lock)?;
    Ok(build::build_package(package)?)
}

/// What is said of a module in one line.
pub(crate) fn line(checked: &Checked) -> String {
    let says = &checked.metadata;
    format!(
        "{} {} {} ({} bytes)",
        says.name, says.version, checked.digest, checked.size
    )
}
