//! `policies.lock`: the digest of every pinned module, and which one is active.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::check::Checked;
use crate::contract::Family;
use crate::digest::Digest;
use crate::metadata;

/// The name of the lock in the policies folder.
pub(crate) const FILE: &str = "policies.lock";

const VERSION: i64 = 1;

/// What the host does with a pinned module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides.
    Active,
    /// It is evaluated beside the active one, and never acted on.
    Shadow,
    /// It decided once: its old decisions still replay.
    Retired,
}

impl Mode {
    /// The word in the lock.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadow => "shadow",
            Self::Retired => "retired",
        }
    }
}

/// One pinned module, as the lock names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The lock: every pinned module, sorted by name and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pins: Vec<Pin>,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    lock_version: toml::Spanned<i64>,
    #[serde(default)]
    module: Vec<toml::Spanned<Pin>>,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// On anything that this version does not know, with the line.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let line_of = |offset: usize| {
            1 + text
                .bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count()
        };
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
        let mut lock = Self { pins };
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

    /// Adds a module. As active it retires those that were active for its family.
    pub(crate) fn add(&mut self, pin: Pin) {
        if pin.mode == Mode::Active {
            for other in self
                .pins
                .iter_mut()
                .filter(|other| other.family == pin.family && other.mode == Mode::Active)
            {
                other.mode = Mode::Retired;
            }
        }
        self.pins
            .retain(|other| (&other.name, &other.version) != (&pin.name, &pin.version));
        self.pins.push(pin);
        self.sort();
    }

    fn sort(&mut self) {
        self.pins
            .sort_by_key(|pin| (pin.name.clone(), metadata::version(&pin.version)));
    }

    /// The lock as text, always the same for the same pins.
    pub fn to_toml(&self) -> String {
        let mut text = format!(
            "# Written by `gotong policy pin`. A pinned file is never changed: a new rule is a new version.\n\
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
        text
    }
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
mod tests {
    use super::*;

    fn entry(name: &str, version: &str, mode: &str) -> String {
        let digest = Digest::of(name);
        format!(
            "\n[[module]]\nname = \"{name}\"\nfamily = \"gate\"\nversion = \"{version}\"\nabi = \"gotong:policy@1.0.0\"\n\
             digest = \"{digest}\"\nfile = \"pinned/{name}@{version}.wasm\"\nmode = \"{mode}\"\n"
        )
    }

    fn lock(entries: &[String]) -> String {
        format!("lock_version = 1\n{}", entries.concat())
    }

    #[test]
    fn a_lock_is_written_as_it_is_read_sorted_by_version_number() {
        let text = lock(&[
            entry("gate", "1.10.0", "active"),
            entry("gate", "1.9.0", "retired"),
        ]);
        let parsed = Lock::parse(&text).unwrap();
        let versions: Vec<_> = parsed
            .pins()
            .iter()
            .map(|pin| pin.version.as_str())
            .collect();
        assert_eq!(versions, ["1.9.0", "1.10.0"]);
        assert_eq!(Lock::parse(&parsed.to_toml()).unwrap(), parsed);
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line() {
        let message = |text: &str| Lock::parse(text).unwrap_err().to_string();
        let unknown = lock(&[entry("gate", "1.0.0", "active") + "sha1 = \"x\"\n"]);
        assert!(
            message(&unknown).contains("line 11: unknown field `sha1`"),
            "{}",
            message(&unknown)
        );
        assert!(message("lock_version = 2\n").contains("line 1: lock_version 2"));
        let twice = lock(&[
            entry("gate", "1.0.0", "active"),
            entry("gate", "1.0.0", "retired"),
        ]);
        assert!(
            message(&twice).contains("`gate` 1.0.0 is listed twice"),
            "{}",
            message(&twice)
        );
        assert!(message(&twice).contains("line 12"), "{}", message(&twice));
        let outside = lock(&[entry("gate", "1.0.0", "active").replace("pinned/gate@", "../gate@")]);
        assert!(
            message(&outside).contains("file `../gate@1.0.0.wasm`"),
            "{}",
            message(&outside)
        );
        let mode = lock(&[entry("gate", "1.0.0", "on")]);
        assert!(
            message(&mode).contains("unknown variant `on`"),
            "{}",
            message(&mode)
        );
        let digest = lock(&[entry("gate", "1.0.0", "active").replace("sha256:", "sha1:")]);
        assert!(
            message(&digest).contains("is no digest"),
            "{}",
            message(&digest)
        );
    }

    #[test]
    fn a_new_active_module_retires_the_former_one() {
        let mut lock = Lock::parse(&lock(&[entry("gate", "1.0.0", "active")])).unwrap();
        let mut next = lock.pins()[0].clone();
        next.version = "1.1.0".into();
        next.file = file_of("gate", "1.1.0");
        lock.add(next);
        let modes: Vec<_> = lock.pins().iter().map(|pin| pin.mode).collect();
        assert_eq!(modes, [Mode::Retired, Mode::Active]);
    }
}
