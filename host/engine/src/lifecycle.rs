//! What becomes of a pinned module: it is activated, another version is gone back to, or one scope gets its own.
//!
//! Each changes the lock alone, in one atomic write, and says what it did. Pinned files stay as they are, and are what
//! the lock says before anything is written: no change is built on a folder that a host would refuse. A running
//! host keeps what it has loaded: the change counts from its next start.

use cap_std::fs::Dir;

use crate::contract::Family;
use crate::lock::{Lock, Mode, Pin};
use crate::module::label;
use crate::pin::{PinError, labels, may_change, read_lock, write_lock};
use crate::policies;
use crate::scope::Override;

/// What a change of the active module did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    /// The entry of the module that decides now.
    pub pin: Pin,
    /// What the lock said of it before.
    pub was: Mode,
    /// `name@version` of what was active before, and is retired.
    pub retired: Vec<String>,
    /// `name@version` of what was active before, and now decides only where an override names it.
    pub scoped: Vec<String>,
}

/// Makes a pinned module the one that decides for its family.
///
/// # Errors
/// When it is not pinned or active already, the folder is not as its lock says, or the
/// lock cannot be read or written.
pub fn activate(dir: &Dir, name: &str, version: &str) -> Result<Activated, PinError> {
    let lock = undoubted(dir)?;
    let pin = pinned(&lock, name, version)?;
    if pin.mode == Mode::Active {
        return Err(PinError::ActiveAlready(label(&pin)));
    }
    make_active(dir, lock, pin)
}

/// Goes back from the active version of a module to the one before it, or to `version`.
///
/// The one before is the highest version below the active one that is retired, or scoped: both have decided.
///
/// # Errors
/// When no version of `name` is active, there is none to go back to, the folder is not as its lock says, or the
/// lock cannot be read or written.
pub fn rollback(dir: &Dir, name: &str, version: Option<&str>) -> Result<Activated, PinError> {
    let lock = undoubted(dir)?;
    let is_former = |pin: &&Pin| matches!(pin.mode, Mode::Retired | Mode::Scoped);
    // Sorted by version number, so that the active one parts those before it from those after it.
    let versions: Vec<&Pin> = lock.pins().iter().filter(|pin| pin.name == name).collect();
    let active = versions.iter().position(|pin| pin.mode == Mode::Active);
    let Some(active) = active else {
        return Err(PinError::NotActive {
            name: name.to_owned(),
            active: labels(lock.pins(), Mode::Active),
        });
    };
    let target = match version {
        Some(version) => {
            let pin = pinned(&lock, name, version)?;
            match pin.mode {
                Mode::Active => return Err(PinError::ActiveAlready(label(&pin))),
                Mode::Shadow => {
                    return Err(PinError::NotRetired {
                        module: label(&pin),
                        mode: pin.mode,
                    });
                }
                Mode::Retired | Mode::Scoped => pin,
            }
        }
        None => versions
            .iter()
            .take(active)
            .rev()
            .copied()
            .find(is_former)
            .cloned()
            .ok_or_else(|| PinError::NothingBefore {
                name: name.to_owned(),
                version: versions[active].version.clone(),
            })?,
    };
    make_active(dir, lock, target)
}

fn make_active(dir: &Dir, mut lock: Lock, pin: Pin) -> Result<Activated, PinError> {
    may_change(dir, &lock, Some(&pin))?;
    let was = pin.mode;
    let pin = Pin {
        mode: Mode::Active,
        ..pin
    };
    let displaced = lock.add(pin.clone());
    write_lock(dir, &lock)?;
    Ok(Activated {
        pin,
        was,
        retired: labels(&displaced, Mode::Retired),
        scoped: labels(&displaced, Mode::Scoped),
    })
}

/// Lets a pinned module decide for its family in a scope and everything below it. Answers with the override, and
/// with `name@version` of a module that no override names any more and is retired.
///
/// # Errors
/// When the module is not pinned or a shadow, the scope is none, the folder is not as its lock says, or the
/// lock cannot be read or written.
pub fn set_override(
    dir: &Dir,
    scope: &str,
    name: &str,
    version: &str,
) -> Result<(Override, Option<String>), PinError> {
    let lock = undoubted(dir)?;
    let pin = pinned(&lock, name, version)?;
    let mut next = lock.clone();
    let one = Override {
        scope: scope.to_owned(),
        family: pin.family,
        name: name.to_owned(),
        version: version.to_owned(),
    };
    let freed = next
        .set_override(one.clone())
        .map_err(|source| PinError::Override {
            scope: scope.to_owned(),
            source,
        })?;
    may_change(dir, &lock, Some(&pin))?;
    write_lock(dir, &next)?;
    Ok((one, freed.as_ref().map(label)))
}

/// Takes an override away. Answers as [`set_override`].
///
/// # Errors
/// When there is none, the folder is not as its lock says, or the
/// lock cannot be read or written.
pub fn remove_override(
    dir: &Dir,
    scope: &str,
    family: Family,
) -> Result<(Override, Option<String>), PinError> {
    let mut lock = undoubted(dir)?;
    let former = lock
        .remove_override(scope, family)
        .ok_or_else(|| PinError::NotOverridden {
            scope: scope.to_owned(),
            family,
        })?;
    let freed = lock.free(&former);
    may_change(dir, &lock, None)?;
    write_lock(dir, &lock)?;
    Ok((former, freed.as_ref().map(label)))
}

/// The lock of a folder, in which no family has two active modules: else nobody knows what a change is of.
fn undoubted(dir: &Dir) -> Result<Lock, PinError> {
    let lock = read_lock(dir)?;
    policies::one_active(&lock).map_err(Box::new)?;
    Ok(lock)
}

fn pinned(lock: &Lock, name: &str, version: &str) -> Result<Pin, PinError> {
    lock.pin(name, version)
        .cloned()
        .ok_or_else(|| PinError::NotPinned {
            module: format!("{name}@{version}"),
            known: lock.pins().iter().map(label).collect(),
        })
}
