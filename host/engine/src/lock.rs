//! `policies.lock`: the digest of every pinned module, and which one is active.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::check::Checked;
use crate::contract::Family;
use crate::digest::Digest;
use crate::metadata;
use crate::scope::{Override, is_scope};

/// The name of the lock in the policies folder.
pub(crate) const FILE: &str = "policies.lock";

const VERSION: i64 = 1;

/// What the host does with a pinned module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides.
    Active,
    /// It is evaluated beside the active one, and never acted on.
    Shadow,
    /// It decides in the scopes whose override names it, and nowhere else.
    Scoped,
    /// It decided once: its old decisions still replay.
    Retired,
}

impl Mode {
    /// The word in the lock.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadow => "shadow",
            Self::Scoped => "scoped",
            Self::Retired => "retired",
        }
    }
}

/// One pinned module, as the lock names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The module's name.
    pub name: String,
    /// The family it answers for.
    pub family: Family,
    /// Its version, `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// The contract it was built for.
    pub abi: String,
    /// The digest of the file.
    pub digest: Digest,
    /// The file, relative to the policies folder.
    pub file: String,
    /// What the host does with it.
    pub mode: Mode,
}

impl Pin {
    /// The entry of a module that passed the check.
    pub(crate) fn new(checked: &Checked, mode: Mode) -> Self {
        let says = &checked.metadata;
        Self {
            name: says.name.clone(),
            family: says.family,
            version: says.version.clone(),
            abi: checked.abi.clone(),
            digest: checked.digest,
            file: file_of(&says.name, &says.version),
            mode,
        }
    }
}

/// The lock: every pinned module, sorted by name and version, and every override, sorted by scope and family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pins: Vec<Pin>,
    overrides: Vec<Override>,
}

/// The lock cannot be read. Each error names the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is no TOML, has an unknown key or misses one.
    #[error("policies.lock, line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// It is of another format.
    #[error(
        "policies.lock, line {line}: lock_version {found} is not {VERSION}: use the gotong that wrote it"
    )]
    Version {
        /// The line, from 1.
        line: usize,
        /// What it says.
        found: i64,
    },
    /// Two entries for one module.
    #[error("policies.lock, line {line}: `{name}` {version} is listed twice: remove one entry")]
    Duplicate {
        /// The line of the second entry, from 1.
        line: usize,
        /// The module's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A value that is not what it should be.
    #[error("policies.lock, line {line}: {field} `{value}` of `{name}` {fix}")]
    Value {
        /// The line of the entry, from 1.
        line: usize,
        /// The module's name.
        name: String,
        /// The key.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it should be.
        fix: String,
    },
    /// An override that cannot be meant.
    #[error("policies.lock, line {line}: override of `{scope}`: {why}")]
    Override {
        /// The line of the entry, from 1.
        line: usize,
        /// The scope it is for.
        scope: String,
        /// What is wrong, and how to fix it.
        why: OverrideError,
    },
}

/// Why a module cannot decide for a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// The scope is none.
    #[error("a scope has 1 to 7 levels of lower-case letters, digits, `-` and `_`, joined by `/`")]
    Scope,
    /// The module is no `NAME@VERSION`.
    #[error("module `{0}` is no NAME@VERSION")]
    Module(String),
    /// The module is not in the lock.
    #[error("`{0}` is not pinned: pin it with `gotong policy pin --mode scoped`")]
    NotPinned(String),
    /// The module answers for another family.
    #[error("`{module}` is of the family {family}: name a module of the family {expected}")]
    Family {
        /// `name@version`.
        module: String,
        /// Its family.
        family: Family,
        /// The override's family.
        expected: Family,
    },
    /// The module may not decide anything.
    #[error("`{module}` is {}: an override names a module that is active or scoped", mode.as_str())]
    Mode {
        /// `name@version`.
        module: String,
        /// What the lock says of it.
        mode: Mode,
    },
    /// The scope has two overrides of one family.
    #[error("the family {0} is overridden there twice: remove one entry")]
    Duplicate(Family),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    lock_version: toml::Spanned<i64>,
    #[serde(default)]
    module: Vec<toml::Spanned<Pin>>,
    #[serde(default, rename = "override")]
    overrides: Vec<toml::Spanned<OverrideEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideEntry {
    scope: String,
    family: Family,
    /// `NAME@VERSION`
    module: String,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// On anything that this version does not know, with the line.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let line_of = |offset: usize| line_of(text, offset);
        let document: Document = toml::from_str(text).map_err(|error| LockError::Syntax {
            line: error.span().map_or(1, |span| line_of(span.start)),
            message: error.message().to_owned(),
        })?;
        if *document.lock_version.get_ref() != VERSION {
            return Err(LockError::Version {
                line: line_of(document.lock_version.span().start),
                found: *document.lock_version.get_ref(),
            });
        }
        let mut seen = BTreeSet::new();
        let mut pins = Vec::new();
        for entry in document.module {
            let line = line_of(entry.span().start);
            let pin = entry.into_inner();
            check_entry(&pin, line)?;
            if !seen.insert((pin.name.clone(), pin.version.clone())) {
                return Err(LockError::Duplicate {
                    line,
                    name: pin.name,
                    version: pin.version,
                });
            }
            pins.push(pin);
        }
        let mut lock = Self {
            pins,
            overrides: Vec::new(),
        };
        for entry in document.overrides {
            let line = line_of(entry.span().start);
            let OverrideEntry {
                scope,
                family,
                module,
            } = entry.into_inner();
            let wrong = |why| LockError::Override {
                line,
                scope: scope.clone(),
                why,
            };
            let (name, version) = module
                .split_once('@')
                .ok_or_else(|| wrong(OverrideError::Module(module.clone())))?;
            let one = Override {
                scope: scope.clone(),
                family,
                name: name.to_owned(),
                version: version.to_owned(),
            };
            if lock.overridden(&scope, family).is_some() {
                return Err(wrong(OverrideError::Duplicate(family)));
            }
            lock.may_decide(&one).map_err(wrong)?;
            lock.overrides.push(one);
        }
        lock.sort();
        Ok(lock)
    }

    /// Every pinned module, sorted by name and version.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// One pinned module.
    pub fn pin(&self, name: &str, version: &str) -> Option<&Pin> {
        self.pins
            .iter()
            .find(|pin| pin.name == name && pin.version == version)
    }

    /// Every override, sorted by scope and family.
    pub fn overrides(&self) -> &[Override] {
        &self.overrides
    }

    /// The active module of a family.
    pub fn active(&self, family: Family) -> Option<&Pin> {
        self.pins
            .iter()
            .find(|pin| pin.family == family && pin.mode == Mode::Active)
    }

    fn overridden(&self, scope: &str, family: Family) -> Option<&Override> {
        self.overrides
            .iter()
            .find(|one| one.scope == scope && one.family == family)
    }

    /// Whether an override can be meant.
    fn may_decide(&self, one: &Override) -> Result<(), OverrideError> {
        if !is_scope(&one.scope) {
            return Err(OverrideError::Scope);
        }
        let pin = self
            .pin(&one.name, &one.version)
            .ok_or_else(|| OverrideError::NotPinned(one.module()))?;
        if pin.family != one.family {
            return Err(OverrideError::Family {
                module: one.module(),
                family: pin.family,
                expected: one.family,
            });
        }
        match pin.mode {
            Mode::Active | Mode::Scoped => Ok(()),
            mode @ (Mode::Shadow | Mode::Retired) => Err(OverrideError::Mode {
                module: one.module(),
                mode,
            }),
        }
    }

    /// Adds a module. As active it displaces the one that was active for its family, which is the answer.
    pub(crate) fn add(&mut self, pin: Pin) -> Vec<Pin> {
        let displaced = match pin.mode {
            Mode::Active => self.displace(pin.family),
            _ => Vec::new(),
        };
        self.pins
            .retain(|other| (&other.name, &other.version) != (&pin.name, &pin.version));
        self.pins.push(pin);
        self.sort();
        displaced
    }

    /// What is active for a family is so no more: retired, unless an override names it.
    fn displace(&mut self, family: Family) -> Vec<Pin> {
        let overrides = &self.overrides;
        let is_active = |pin: &&mut Pin| pin.family == family && pin.mode == Mode::Active;
        self.pins
            .iter_mut()
            .filter(is_active)
            .map(|pin| {
                let is_named = overrides
                    .iter()
                    .any(|one| one.names(&pin.name, &pin.version));
                pin.mode = if is_named {
                    Mode::Scoped
                } else {
                    Mode::Retired
                };
                pin.clone()
            })
            .collect()
    }

    /// Sets or replaces an override. A retired module that it names is scoped from now on; a scoped one that no
    /// override names any more is retired, and is the answer.
    pub(crate) fn set_override(&mut self, one: Override) -> Result<Option<Pin>, OverrideError> {
        let mut next = self.clone();
        if let Some(pin) = next
            .pins
            .iter_mut()
            .find(|pin| one.names(&pin.name, &pin.version) && pin.mode == Mode::Retired)
        {
            pin.mode = Mode::Scoped;
        }
        next.may_decide(&one)?;
        let former = next.remove_override(&one.scope, one.family);
        next.overrides.push(one);
        next.sort();
        let freed = former.and_then(|former| next.free(&former));
        *self = next;
        Ok(freed)
    }

    /// Takes an override away, which is the answer.
    pub(crate) fn remove_override(&mut self, scope: &str, family: Family) -> Option<Override> {
        let place = self
            .overrides
            .iter()
            .position(|one| one.scope == scope && one.family == family)?;
        Some(self.overrides.remove(place))
    }

    /// Retires a scoped module that no override names any more.
    pub(crate) fn free(&mut self, former: &Override) -> Option<Pin> {
        let is_named = |one: &Override| one.names(&former.name, &former.version);
        if self.overrides.iter().any(is_named) {
            return None;
        }
        let pin = self
            .pins
            .iter_mut()
            .find(|pin| former.names(&pin.name, &pin.version) && pin.mode == Mode::Scoped)?;
        pin.mode = Mode::Retired;
        Some(pin.clone())
    }

    fn sort(&mut self) {
        self.pins
            .sort_by_key(|pin| (pin.name.clone(), metadata::version(&pin.version)));
        self.overrides.sort();
    }

    /// The lock as text, always the same for the same pins.
    pub fn to_toml(&self) -> String {
        let mut text = format!(
            "# Written by `gotong policy`. A pinned file is never changed: a new rule is a new version.\n\
             lock_version = {VERSION}\n"
        );
        for pin in &self.pins {
            // None of the values can hold a quote: names, versions and digests are checked, and the
            // file name is made of them.
            let _ = write!(
                text,
                "\n[[module]]\nname = \"{}\"\nfamily = \"{}\"\nversion = \"{}\"\nabi = \"{}\"\ndigest = \"{}\"\nfile = \"{}\"\nmode = \"{}\"\n",
                pin.name,
                pin.family,
                pin.version,
                pin.abi,
                pin.digest,
                pin.file,
                pin.mode.as_str(),
            );
        }
        for one in &self.overrides {
            let _ = write!(
                text,
                "\n[[override]]\nscope = \"{}\"\nfamily = \"{}\"\nmodule = \"{}\"\n",
                one.scope,
                one.family,
                one.module(),
            );
        }
        text
    }
}

/// The line, from 1, of a byte's place in a text.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    1 + before.filter(|byte| *byte == b'\n').count()
}

/// The file a module is pinned as, relative to the policies folder.
pub(crate) fn file_of(name: &str, version: &str) -> String {
    format!("pinned/{name}@{version}.wasm")
}

fn check_entry(pin: &Pin, line: usize) -> Result<(), LockError> {
    let wrong = |field, value: &str, fix: &str| {
        Err(LockError::Value {
            line,
            name: pin.name.clone(),
            field,
            value: value.to_owned(),
            fix: fix.to_owned(),
        })
    };
    if !metadata::is_name(&pin.name) {
        return wrong(
            "name",
            &pin.name,
            "must be lower-case letters, digits and `-`, beginning with a letter",
        );
    }
    if metadata::version(&pin.version).is_none() {
        return wrong("version", &pin.version, "must be MAJOR.MINOR.PATCH");
    }
    if !crate::contract::ABIS.contains(&pin.abi.as_str()) {
        let known = crate::contract::ABIS.join("`, `");
        return wrong(
            "abi",
            &pin.abi,
            &format!("is none that this host speaks: `{known}`"),
        );
    }
    let file = file_of(&pin.name, &pin.version);
    if pin.file != file {
        return wrong("file", &pin.file, &format!("must be `{file}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
