//! The modules of a policies folder, loaded as its lock says or not at all.

use std::collections::HashMap;
use std::fmt;

use cap_std::fs::Dir;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::check::{self, CheckError, MAX_SIZE};
use crate::contract::Family;
use crate::digest::Digest;
use crate::engine::{Engine, EngineError};
use crate::input;
use crate::lock::{self, Lock, LockError, Mode, Pin};
use crate::module::{Module, label};
use crate::question::Question;
use crate::retired::Retired;
use crate::scope::{Override, with_ancestors};
use crate::signature::{self, KeyId, PublicKey, SignatureError};

/// Why the policies cannot be loaded. The host does not start without them.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The lock cannot be read.
    #[error("policies.lock cannot be read")]
    NoLock(#[source] std::io::Error),
    /// The lock is wrong.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock is not signed as it has to be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
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
    /// There is no engine to look at modules with.
    #[error(transparent)]
    Engine(EngineError),
    /// A module passed the check and still does not work.
    #[error("module `{module}` cannot be used: {message}")]
    Unusable {
        /// `name@version`.
        module: String,
        /// What the engine says.
        message: String,
    },
}

/// Why there is no module of a digest.
#[derive(Debug, thiserror::Error)]
pub enum FindError<'a> {
    /// The lock does not pin it.
    #[error("no pinned module has the digest {0}")]
    Unknown(Digest),
    /// It is retired, was to be loaded now, and could not be.
    #[error(transparent)]
    Unusable(&'a LoadError),
}

/// Every pinned module. Shared between threads behind an `Arc`.
///
/// Modules that decide now, or run beside those that do, are loaded at start. A retired one is only compared with its
/// digest then; it is compiled when somebody first asks for it.
pub struct Policies {
    engine: Engine,
    lock: Lock,
    signed_by: Option<KeyId>,
    /// All but the retired ones.
    modules: Vec<Module>,
    retired: Vec<Retired>,
    by_digest: HashMap<Digest, Place>,
    /// The place of the active module of each family, in the order of [`Family::ALL`].
    active: Vec<usize>,
    /// The overrides of each family, in the order of [`Family::ALL`]: scope to place.
    scoped: Vec<HashMap<String, usize>>,
}

/// Where a module is.
#[derive(Clone, Copy)]
enum Place {
    Loaded(usize),
    Retired(usize),
}

impl Policies {
    /// Loads the lock in `dir` and the modules it pins; the retired ones when they are first asked for.
    ///
    /// # Errors
    /// When anything is not as the lock says: nothing is loaded then.
    pub fn load(engine: &Engine, dir: &Dir, cache: Option<&Cache>) -> Result<Self, LoadError> {
        Self::load_lock(engine, dir, &read_lock(dir)?, cache)
    }

    /// As [`Policies::load`], if one of the `trusted` keys signed the lock.
    ///
    /// # Errors
    /// As [`Policies::load`], and when the lock is not signed, was changed, or somebody else signed it.
    pub fn load_signed(
        engine: &Engine,
        dir: &Dir,
        cache: Option<&Cache>,
        trusted: &[PublicKey],
    ) -> Result<Self, LoadError> {
        let lock = read_lock(dir)?;
        let signed_by = signature::verify_text(dir, &lock, trusted)?;
        Ok(Self {
            signed_by: Some(signed_by),
            ..Self::load_lock(engine, dir, &lock, cache)?
        })
    }

    fn load_lock(
        engine: &Engine,
        dir: &Dir,
        lock: &str,
        cache: Option<&Cache>,
    ) -> Result<Self, LoadError> {
        let lock = Lock::parse(lock)?;
        has_active(&lock)?;
        let (mut modules, mut retired) = (Vec::new(), Vec::new());
        let mut by_digest = HashMap::new();
        for pin in lock.pins() {
            let bytes = read_pinned(dir, pin)?;
            let place = if pin.mode == Mode::Retired {
                retired.push(Retired::new(pin, bytes, cache));
                Place::Retired(retired.len() - 1)
            } else {
                modules.push(prepare(engine, pin, &bytes, cache)?);
                Place::Loaded(modules.len() - 1)
            };
            by_digest.insert(pin.digest, place);
        }
        Ok(Self {
            engine: engine.clone(),
            active: active(&modules)?,
            scoped: scoped(&lock, &modules),
            signed_by: None,
            lock,
            modules,
            retired,
            by_digest,
        })
    }

    /// The module that decides for a family where no override says otherwise.
    pub fn active(&self, family: Family) -> &Module {
        // `load` refuses a folder in which a family has no active module.
        &self.modules[self.active[family as usize]]
    }

    /// The module that decides for a family in a scope: that of the nearest override around it, else the active one.
    pub fn deciding(&self, family: Family, scope: &str) -> &Module {
        let scoped = &self.scoped[family as usize];
        if scoped.is_empty() {
            return self.active(family);
        }
        with_ancestors(scope)
            .find_map(|scope| self.modules.get(*scoped.get(scope)?))
            .unwrap_or_else(|| self.active(family))
    }

    /// The module that decides `Q` where no override says otherwise.
    pub fn for_question<Q: Question>(&self) -> &Module {
        self.active(Q::FAMILY)
    }

    /// The modules that run beside the active one of a family.
    pub fn shadows(&self, family: Family) -> impl Iterator<Item = &Module> {
        self.modules
            .iter()
            .filter(move |module| module.family() == family && module.mode() == Mode::Shadow)
    }

    /// The module of a digest, whatever its mode. A retired one is loaded by the first who asks.
    ///
    /// # Errors
    /// When the lock does not pin it, or it is retired and cannot be loaded.
    pub fn find(&self, digest: &Digest) -> Result<&Module, FindError<'_>> {
        let unknown = FindError::Unknown(*digest);
        match self.by_digest.get(digest) {
            Some(Place::Loaded(place)) => self.modules.get(*place).ok_or(unknown),
            Some(Place::Retired(place)) => self
                .retired
                .get(*place)
                .ok_or(unknown)?
                .module(&self.engine)
                .map_err(FindError::Unusable),
            None => Err(unknown),
        }
    }

    /// As [`Policies::find`], for who need not know why there is none.
    pub fn by_digest(&self, digest: &Digest) -> Option<&Module> {
        self.find(digest).ok()
    }

    /// Every module but the retired ones, sorted by name and version.
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// What was loaded: every pin and every override.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The key that signed the lock, if that was asked for.
    pub fn signed_by(&self) -> Option<KeyId> {
        self.signed_by
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

/// Every family has exactly one active pin.
fn has_active(lock: &Lock) -> Result<(), LoadError> {
    for family in Family::ALL.iter().copied() {
        active_pin(lock, family)?.ok_or(LoadError::NoneActive(family))?;
    }
    Ok(())
}

/// The active pin of a family, which has no more than one.
fn active_pin(lock: &Lock, family: Family) -> Result<Option<&Pin>, LoadError> {
    let is_active = |pin: &&Pin| pin.family == family && pin.mode == Mode::Active;
    let mut found = lock.pins().iter().filter(is_active);
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => Err(LoadError::TwoActive {
            family,
            first: label(first),
            second: label(second),
        }),
        (found, _) => Ok(found),
    }
}

/// The place of the active module of every family.
fn active(modules: &[Module]) -> Result<Vec<usize>, LoadError> {
    let place = |family: &Family| {
        modules
            .iter()
            .position(|module| module.family() == *family && module.mode() == Mode::Active)
            .ok_or(LoadError::NoneActive(*family))
    };
    Family::ALL.iter().map(place).collect()
}

/// Per family, which module decides in which scope. The lock has refused overrides of what it does not pin.
fn scoped(lock: &Lock, modules: &[Module]) -> Vec<HashMap<String, usize>> {
    let place = |one: &Override| {
        let is_named = |module: &Module| one.names(module.name(), module.version());
        modules.iter().position(is_named)
    };
    let of_family = |family: &Family| {
        lock.overrides()
            .iter()
            .filter(|one| one.family == *family)
            .filter_map(|one| Some((one.scope.clone(), place(one)?)))
            .collect()
    };
    Family::ALL.iter().map(of_family).collect()
}

fn read_lock(dir: &Dir) -> Result<String, LoadError> {
    input::read_text_in(dir, lock::FILE).map_err(LoadError::NoLock)
}

/// What a host asks of a lock before it starts with it: exactly one active module a family, every file with its
/// digest, every module that is not retired fit to be asked.
pub(crate) fn loads(dir: &Dir, lock: &str) -> Result<(), LoadError> {
    Policies::load_lock(&engine()?, dir, lock, None).map(drop)
}

/// What a command asks of a folder before it changes its lock: no more than one active module a family, every file
/// with its digest, and `deciding` fit to be asked. A family without an active module is left to the next start: a
/// folder is filled one pin at a time.
pub(crate) fn may_change(dir: &Dir, lock: &Lock, deciding: Option<&Pin>) -> Result<(), LoadError> {
    one_active(lock)?;
    for pin in lock.pins() {
        let bytes = read_pinned(dir, pin)?;
        if deciding.is_some_and(|deciding| deciding.digest == pin.digest) {
            prepare(&engine()?, pin, &bytes, None)?;
        }
    }
    Ok(())
}

/// No family has more than one active module.
pub(crate) fn one_active(lock: &Lock) -> Result<(), LoadError> {
    let active = |family: &Family| active_pin(lock, *family).map(drop);
    Family::ALL.iter().try_for_each(active)
}

/// An engine for one look at a module.
fn engine() -> Result<Engine, LoadError> {
    Engine::new().map_err(LoadError::Engine)
}

/// The bytes of a pinned module, which are those of its digest.
///
/// # Errors
/// When its file cannot be read, or is not what was pinned.
pub fn read_pinned(dir: &Dir, pin: &Pin) -> Result<Vec<u8>, LoadError> {
    let bytes = input::read_in(dir, &pin.file, MAX_SIZE).map_err(|source| LoadError::File {
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

/// The module of a pin whose own words are those of the lock, compiled and looked into.
pub(crate) fn prepare(
    engine: &Engine,
    pin: &Pin,
    bytes: &[u8],
    cache: Option<&Cache>,
) -> Result<Module, LoadError> {
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
    let component = match cache {
        Some(cache) => cache.component(engine, &pin.digest, fresh),
        None => fresh(),
    }?;
    Module::new(engine, pin, &component)
}

pub(crate) fn compile(engine: &Engine, pin: &Pin, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine.wasmtime(), bytes).map_err(|error| LoadError::Unusable {
        module: label(pin),
        message: format!("{error:#}"),
    })
}
