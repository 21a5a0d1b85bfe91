//! Pinning: a built module becomes a file that never changes, and an entry in the lock.

use std::io;

use cap_std::fs::Dir;

use crate::check::{self, CheckError};
use crate::lock::{self, Lock, LockError, Mode, Pin};

/// A module could not be pinned. Nothing has been changed then.
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

/// What pinning did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The entry in the lock.
    pub pin: Pin,
    /// `name@version` of the modules that were active for the family before.
    pub retired: Vec<String>,
    /// Whether it had been pinned before, with these very bytes.
    pub unchanged: bool,
}

/// Pins a module in a policies folder: `pinned/NAME@VERSION.wasm` and the lock's entry. A new
/// version becomes active and the former one retired.
///
/// # Errors
/// When the module fails the check, or the version is pinned with other bytes.
pub fn pin(dir: &Dir, bytes: &[u8]) -> Result<Pinned, PinError> {
    let pin = Pin::new(&check::check(bytes)?, Mode::Active);
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
    match dir.read(&pin.file) {
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
            unchanged: true,
        });
    }
    let former = |other: &&Pin| other.family == pin.family && other.mode == Mode::Active;
    let retired = lock
        .pins()
        .iter()
        .filter(former)
        .map(crate::module::label)
        .collect();
    lock.add(pin.clone());
    write(dir, lock::FILE, lock.to_toml().as_bytes())?;
    Ok(Pinned {
        pin,
        retired,
        unchanged: false,
    })
}

/// The lock of a policies folder; an empty one where there is none yet.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_lock(dir: &Dir) -> Result<Lock, PinError> {
    match dir.read_to_string(lock::FILE) {
        Ok(text) => Ok(Lock::parse(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::default()),
        Err(source) => Err(PinError::File {
            file: lock::FILE.to_owned(),
            source,
        }),
    }
}

/// Writes beside the file and renames, so that a pin is whole or not there.
fn write(dir: &Dir, file: &str, bytes: &[u8]) -> Result<(), PinError> {
    let failed = |source| PinError::File {
        file: file.to_owned(),
        source,
    };
    let beside = format!("{file}.new");
    if let Some((folder, _)) = file.split_once('/') {
        dir.create_dir_all(folder).map_err(failed)?;
    }
    dir.write(&beside, bytes)
        .and_then(|()| dir.rename(&beside, dir, file))
        .map_err(failed)
}
