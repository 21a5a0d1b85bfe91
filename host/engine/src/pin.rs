//! Pinning: a built module becomes a file that never changes, and an entry in the lock. What becomes of it later, in
//! `lifecycle`, changes the lock alone.

use std::io::{self, Write as _};

use cap_std::fs::Dir;

use crate::check::{self, CheckError};
use crate::contract::Family;
use crate::lock::{self, Lock, LockError, Mode, OverrideError, Pin};
use crate::module::label;
use crate::policies::{self, LoadError};
use crate::{MAX_SIZE, input};

/// A module could not be pinned, or the lock not be changed. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It breaks a rule of the load-time check.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The lock is wrong.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// This version is pinned with other bytes.
    #[error(
        "module `{name}` {version} is already pinned with other bytes: raise the version in its Cargo.toml; a pinned version never changes"
    )]
    Version {
        /// The module's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A module that was to be used is not pinned.
    #[error("`{module}` is not pinned: pinned are {}", or_none(known))]
    NotPinned {
        /// `name@version`.
        module: String,
        /// What is pinned.
        known: Vec<String>,
    },
    /// It decides already.
    #[error("`{0}` is active already: nothing was changed")]
    ActiveAlready(String),
    /// There is no active module of this name to go back from.
    #[error("no version of `{name}` is active: active are {}", or_none(active))]
    NotActive {
        /// The module's name.
        name: String,
        /// `name@version` of what is active.
        active: Vec<String>,
    },
    /// There is nothing to go back to.
    #[error("there is no retired version of `{name}` below the active {version} to go back to")]
    NothingBefore {
        /// The module's name.
        name: String,
        /// The active version.
        version: String,
    },
    /// It never decided, so there is no going back to it.
    #[error("`{module}` is {}, not retired: make it decide with `gotong policy activate {module}`", mode.as_str())]
    NotRetired {
        /// `name@version`.
        module: String,
        /// What the lock says of it.
        mode: Mode,
    },
    /// A module cannot decide for that scope.
    #[error("override of `{scope}`")]
    Override {
        /// The scope.
        scope: String,
        /// Why not.
        source: OverrideError,
    },
    /// There is no such override.
    #[error("the family {family} is not overridden in `{scope}`")]
    NotOverridden {
        /// The scope.
        scope: String,
        /// The family.
        family: Family,
    },
    /// The folder is not as its lock says: a host would refuse it, and so does who would change it.
    #[error(transparent)]
    Refused(#[from] Box<LoadError>),
    /// A file cannot be read or written.
    #[error("`{file}` in the policies folder cannot be read or written")]
    File {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

fn or_none(modules: &[String]) -> String {
    if modules.is_empty() {
        return "none".into();
    }
    modules.join(", ")
}

/// What pinning did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The entry in the lock.
    pub pin: Pin,
    /// `name@version` of the modules that were active for the family before, and are retired.
    pub retired: Vec<String>,
    /// `name@version` of those that were active before, and now decide only where an override names them.
    pub scoped: Vec<String>,
    /// Whether it had been pinned before, with these very bytes; its mode is what it was then.
    pub unchanged: bool,
}

/// Pins a module in a policies folder: `pinned/NAME@VERSION.wasm` and the lock's entry. A new
/// version becomes active and the former one retired.
///
/// # Errors
/// When the module fails the check, or the version is pinned with other bytes.
pub fn pin(dir: &Dir, bytes: &[u8]) -> Result<Pinned, PinError> {
    pin_as(dir, bytes, Mode::Active)
}

/// As [`pin`], in another mode: only an active one displaces another.
///
/// # Errors
/// As [`pin`].
pub fn pin_as(dir: &Dir, bytes: &[u8], mode: Mode) -> Result<Pinned, PinError> {
    let pin = Pin::new(&check::check(bytes)?, mode);
    let mut lock = read_lock(dir)?;
    let other = || PinError::Version {
        name: pin.name.clone(),
        version: pin.version.clone(),
    };
    let before = lock.pin(&pin.name, &pin.version).cloned();
    if before
        .as_ref()
        .is_some_and(|before| before.digest != pin.digest)
    {
        return Err(other());
    }
    if before.is_none() {
        may_change(dir, &lock, None)?;
    }
    match input::read_in(dir, &pin.file, MAX_SIZE) {
        Ok(present) if present == bytes => {}
        Ok(_) => return Err(other()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write(dir, &pin.file, bytes)?,
        Err(source) => {
            return Err(PinError::File {
                file: pin.file,
                source,
            });
        }
    }
    if let Some(pin) = before {
        return Ok(Pinned {
            pin,
            retired: Vec::new(),
            scoped: Vec::new(),
            unchanged: true,
        });
    }
    let displaced = lock.add(pin.clone());
    write_lock(dir, &lock)?;
    Ok(Pinned {
        pin,
        retired: labels(&displaced, Mode::Retired),
        scoped: labels(&displaced, Mode::Scoped),
        unchanged: false,
    })
}

pub(crate) fn labels(pins: &[Pin], mode: Mode) -> Vec<String> {
    pins.iter()
        .filter(|pin| pin.mode == mode)
        .map(label)
        .collect()
}

/// The lock of a policies folder; an empty one where there is none yet.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_lock(dir: &Dir) -> Result<Lock, PinError> {
    match input::read_text_in(dir, lock::FILE) {
        Ok(text) => Ok(Lock::parse(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(source) => Err(PinError::File {
            file: lock::FILE.to_owned(),
            source,
        }),
    }
}

/// Refuses to build on a folder that a host would refuse.
pub(crate) fn may_change(dir: &Dir, lock: &Lock, deciding: Option<&Pin>) -> Result<(), PinError> {
    policies::may_change(dir, lock, deciding).map_err(|error| Box::new(error).into())
}

/// Replaces the lock, once its text reads back as what was meant.
pub(crate) fn write_lock(dir: &Dir, lock: &Lock) -> Result<(), PinError> {
    let text = lock.to_toml();
    Lock::parse(&text)?;
    write(dir, lock::FILE, text.as_bytes())
}

/// Writes beside the file, syncs and renames, so that a file is whole or as it was.
pub(crate) fn write(dir: &Dir, file: &str, bytes: &[u8]) -> Result<(), PinError> {
    let failed = |source| PinError::File {
        file: file.to_owned(),
        source,
    };
    let beside = format!("{file}.new");
    if let Some((folder, _)) = file.split_once('/') {
        dir.create_dir_all(folder).map_err(failed)?;
    }
    let mut new = dir.create(&beside).map_err(failed)?;
    let written = new
        .write_all(bytes)
        .and_then(|()| new.sync_all())
        .and_then(|()| dir.rename(&beside, dir, file));
    if written.is_err() {
        let _ = dir.remove_file(&beside);
    }
    written.map_err(failed)
}
