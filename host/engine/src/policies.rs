//! The modules of a policies folder, loaded as its lock says or not at all.

use std::collections::HashMap;
use std::fmt;

use cap_std::fs::Dir;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::check::{self, CheckError};
use crate::contract::Family;
use crate::digest::Digest;
use crate::engine::Engine;
use crate::lock::{self, Lock, LockError, Mode, Pin};
use crate::module::{Module, label};
use crate::question::Question;

/// Why the policies cannot be loaded. The host does not start without them.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The lock cannot be read.
    #[error("policies.lock cannot be read")]
    NoLock(#[source] std::io::Error),
    /// The lock is wrong.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A pinned file is missing or unreadable.
    #[error(
        "module `{module}`: `{file}` cannot be read: restore it from the repository, or pin a new version"
    )]
    File {
        /// `name@version`.
        module: String,
        /// The file in the policies folder.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A pinned file is not what was pinned.
    #[error(
        "module `{module}`: digest is {found}, the lock says {expected}: restore the pinned file; a changed rule is a new version"
    )]
    Digest {
        /// `name@version`.
        module: String,
        /// What the lock says.
        expected: Digest,
        /// What the file has.
        found: Digest,
    },
    /// A module breaks a rule of the load-time check.
    #[error("module `{module}` fails the load-time check")]
    Check {
        /// `name@version`.
        module: String,
        /// Which rule, where, and how to fix it.
        #[source]
        source: CheckError,
    },
    /// A module says something else about itself than the lock does.
    #[error(
        "module `{module}`: its section says {field} `{found}`, the lock `{expected}`: pin it again"
    )]
    Section {
        /// `name@version`.
        module: String,
        /// The key.
        field: &'static str,
        /// What the module says.
        found: String,
        /// What the lock says.
        expected: String,
    },
    /// Two modules are active for one family.
    #[error(
        "family `{family}`: `{first}` and `{second}` are both active: set one of them to shadow or retired"
    )]
    TwoActive {
        /// The family.
        family: Family,
        /// `name@version`.
        first: String,
        /// `name@version`.
        second: String,
    },
    /// No module is active for a family.
    #[error("family `{0}`: no module is active: pin one, or set one in policies.lock to active")]
    NoneActive(Family),
    /// A module passed the check and still does not work.
    #[error("module `{module}` cannot be used: {message}")]
    Unusable {
        /// `name@version`.
        module: String,
        /// What the engine says.
        message: String,
    },
}

/// Every pinned module, loaded. Shared between threads behind an `Arc`.
pub struct Policies {
    engine: Engine,
    modules: Vec<Module>,
    /// The place of the active module of each family, in the order of [`Family::ALL`].
    active: Vec<usize>,
    by_digest: HashMap<Digest, usize>,
}

impl Policies {
    /// Loads the lock in `dir` and every module it pins; the retired ones too, for their decisions replay.
    ///
    /// # Errors
    /// When anything is not as the lock says: nothing is loaded then.
    pub fn load(engine: &Engine, dir: &Dir, cache: Option<&Cache>) -> Result<Self, LoadError> {
        let lock = Lock::parse(&dir.read_to_string(lock::FILE).map_err(LoadError::NoLock)?)?;
        let active = active(&lock)?;
        let mut modules = Vec::new();
        let mut by_digest = HashMap::new();
        for pin in lock.pins() {
            let bytes = read(dir, pin)?;
            let component = prepare(engine, pin, &bytes, cache)?;
            by_digest.insert(pin.digest, modules.len());
            modules.push(Module::new(engine, pin, &component)?);
        }
        Ok(Self {
            engine: engine.clone(),
            modules,
            active,
            by_digest,
        })
    }

    /// The module that decides for a family.
    pub fn active(&self, family: Family) -> &Module {
        // `load` refuses a folder in which a family has no active module.
        &self.modules[self.active[family as usize]]
    }

    /// The module that decides `Q`.
    pub fn for_question<Q: Question>(&self) -> &Module {
        self.active(Q::FAMILY)
    }

    /// The modules that run beside the active one of a family.
    pub fn shadows(&self, family: Family) -> impl Iterator<Item = &Module> {
        self.modules
            .iter()
            .filter(move |module| module.family() == family && module.mode() == Mode::Shadow)
    }

    /// The module of a digest, whatever its mode.
    pub fn by_digest(&self, digest: &Digest) -> Option<&Module> {
        self.by_digest
            .get(digest)
            .and_then(|place| self.modules.get(*place))
    }

    /// Every module, sorted by name and version.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The engine they run in.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("modules", &self.modules)
            .finish_non_exhaustive()
    }
}

/// The place of the active pin of every family.
fn active(lock: &Lock) -> Result<Vec<usize>, LoadError> {
    let place = |family: Family| {
        let mut found = lock
            .pins()
            .iter()
            .enumerate()
            .filter(|(_, pin)| pin.family == family && pin.mode == Mode::Active);
        match (found.next(), found.next()) {
            (None, _) => Err(LoadError::NoneActive(family)),
            (Some((place, _)), None) => Ok(place),
            (Some((_, first)), Some((_, second))) => Err(LoadError::TwoActive {
                family,
                first: label(first),
                second: label(second),
            }),
        }
    };
    Family::ALL.iter().map(|family| place(*family)).collect()
}

/// The bytes of a pin, which are those of its digest.
fn read(dir: &Dir, pin: &Pin) -> Result<Vec<u8>, LoadError> {
    let bytes = dir.read(&pin.file).map_err(|source| LoadError::File {
        module: label(pin),
        file: pin.file.clone(),
        source,
    })?;
    let found = Digest::of(&bytes);
    if found != pin.digest {
        return Err(LoadError::Digest {
            module: label(pin),
            expected: pin.digest,
            found,
        });
    }
    Ok(bytes)
}

/// The module of a pin whose own words are those of the lock, compiled.
fn prepare(
    engine: &Engine,
    pin: &Pin,
    bytes: &[u8],
    cache: Option<&Cache>,
) -> Result<Component, LoadError> {
    let checked = check::check(bytes).map_err(|source| LoadError::Check {
        module: label(pin),
        source,
    })?;
    let says = &checked.metadata;
    let section = [
        ("name", says.name.as_str(), pin.name.as_str()),
        ("version", &says.version, &pin.version),
        ("family", says.family.as_str(), pin.family.as_str()),
        ("abi", &checked.abi, &pin.abi),
    ];
    let differs = |(_, found, expected): &(&str, &str, &str)| found != expected;
    if let Some((field, found, expected)) = section.into_iter().find(differs) {
        return Err(LoadError::Section {
            module: label(pin),
            field,
            found: found.into(),
            expected: expected.into(),
        });
    }
    let fresh = || compile(engine, pin, bytes);
    match cache {
        Some(cache) => cache.component(engine, &pin.digest, fresh),
        None => fresh(),
    }
}

pub(crate) fn compile(engine: &Engine, pin: &Pin, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine.wasmtime(), bytes).map_err(|error| LoadError::Unusable {
        module: label(pin),
        message: format!("{error:#}"),
    })
}
