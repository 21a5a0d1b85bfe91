//! The load-time check: what a module must be before it is compiled.
//!
//! Each refusal says which rule, where, and how to fix it. A module that passes has no way out of
//! itself (no imports), a bound on everything it can use, and exactly the contract's interface.

pub(crate) mod contract;
mod limits;
mod same;

use std::fmt;

use wasmparser::Parser;

use crate::contract::Family;
use crate::digest::Digest;
use crate::metadata::Metadata;
use crate::text::{printable, steers};

pub use limits::MAX_SIZE;

/// A module that passed, and what was learned on the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// What it says about itself.
    pub metadata: Metadata,
    /// The contract it was built for, `gotong:policy@MAJOR.MINOR.PATCH`.
    pub abi: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: usize,
    /// The full names of the interfaces it exports: the world of its family. It imports nothing.
    pub exports: Vec<String>,
    /// The memory it begins with, in bytes.
    pub memory_initial: u64,
    /// The most memory it can have, in bytes.
    pub memory_maximum: u64,
    /// Functions in its code.
    pub functions: u32,
}

/// The rules of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// It is a WebAssembly file.
    IsWasm,
    /// It is a component.
    IsComponent,
    /// It is not larger than [`MAX_SIZE`].
    Size,
    /// It follows the WebAssembly specification.
    IsValid,
    /// It uses only proposals whose results are the same on every machine.
    Proposals,
    /// It imports nothing.
    NoImports,
    /// It exports exactly one world of the contract.
    World,
    /// What it exports has the contract's types.
    Interface,
    /// It holds one core module, instantiated once.
    OneModule,
    /// It has exactly one memory of its own.
    OneMemory,
    /// Its memory declares a maximum.
    MemoryMaximum,
    /// That maximum is within [`crate::MAX_MEMORY`].
    MemorySize,
    /// At most one table, with a maximum.
    Table,
    /// Nothing runs before it is asked.
    NoStart,
    /// A bounded number of functions.
    Functions,
    /// A bounded number of locals in each.
    Locals,
    /// A bounded number of parameters and results of each.
    Params,
    /// The section `gotong:policy` is there and can be read.
    Section,
}

impl Rule {
    /// Every rule, in the order of the enum.
    pub const ALL: [Self; 18] = [
        Self::IsWasm,
        Self::IsComponent,
        Self::Size,
        Self::IsValid,
        Self::Proposals,
        Self::NoImports,
        Self::World,
        Self::Interface,
        Self::OneModule,
        Self::OneMemory,
        Self::MemoryMaximum,
        Self::MemorySize,
        Self::Table,
        Self::NoStart,
        Self::Functions,
        Self::Locals,
        Self::Params,
        Self::Section,
    ];

    /// The stable name of the rule.
    pub const fn id(self) -> &'static str {
        match self {
            Self::IsWasm => "is_wasm",
            Self::IsComponent => "is_component",
            Self::Size => "size",
            Self::IsValid => "is_valid",
            Self::Proposals => "proposals",
            Self::NoImports => "no_imports",
            Self::World => "world",
            Self::Interface => "interface",
            Self::OneModule => "one_module",
            Self::OneMemory => "one_memory",
            Self::MemoryMaximum => "memory_maximum",
            Self::MemorySize => "memory_size",
            Self::Table => "table",
            Self::NoStart => "no_start",
            Self::Functions => "functions",
            Self::Locals => "locals",
            Self::Params => "params",
            Self::Section => "section",
        }
    }

    /// What an author does about a refusal.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::IsWasm | Self::IsComponent => "build it with `gotong policy build`",
            Self::Size => "leave out what is not needed: a ruling needs a few kilobytes of code",
            Self::IsValid => "build it again: the file is damaged or its compiler is broken",
            Self::Proposals => "build for wasm32-unknown-unknown without extra target features",
            Self::NoImports => {
                "use no clock, randomness or I/O: everything a ruling needs is in its facts"
            }
            Self::World => {
                "export one world of gotong:policy with `gotong_policy::export!` and nothing else"
            }
            Self::Interface => "build it against the WIT files of this version",
            Self::OneModule => "build it with `gotong policy build`, not by composing components",
            Self::OneMemory => "link one crate into one memory, as `gotong policy build` does",
            Self::MemoryMaximum => "link with `--max-memory`, as `gotong policy build` does",
            Self::MemorySize => "link with `--max-memory=1048576` or less",
            Self::Table => "link without `--growable-table`",
            Self::NoStart => "leave out constructors that run before `main` and any start function",
            Self::Functions => "depend on less",
            Self::Locals => "split the function up",
            Self::Params => "pass a record instead",
            Self::Section => "build it with `gotong policy build`, which adds the section",
        }
    }
}

/// A refusal: which rule, where, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CheckError {
    /// The rule that is broken.
    pub rule: Rule,
    /// Where and how.
    pub found: String,
    /// The place in the file, in bytes from its beginning.
    pub offset: Option<u64>,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.rule.id(), self.found)?;
        if let Some(offset) = self.offset {
            write!(f, " (at byte {offset:#x})")?;
        }
        write!(f, "; {}", self.rule.fix())
    }
}

impl CheckError {
    fn new(rule: Rule, found: impl Into<String>) -> Self {
        Self {
            rule,
            found: found.into(),
            offset: None,
        }
    }

    fn at(rule: Rule, offset: u64, found: impl Into<String>) -> Self {
        Self {
            rule,
            found: found.into(),
            offset: Some(offset),
        }
    }
}

/// Checks the bytes of a module.
///
/// # Errors
/// The first rule that is broken.
pub fn check(bytes: &[u8]) -> Result<Checked, CheckError> {
    if bytes.len() > MAX_SIZE {
        return Err(CheckError::new(
            Rule::Size,
            format!("{} bytes, the most is {MAX_SIZE}", bytes.len()),
        ));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(CheckError::new(
            Rule::IsWasm,
            "the file does not begin with the mark of WebAssembly",
        ));
    }
    if !Parser::is_component(bytes) {
        return Err(CheckError::new(
            Rule::IsComponent,
            "the file is a core module",
        ));
    }
    limits::valid(bytes)?;
    let structure = limits::structure(bytes)?;
    let surface = contract::surface(bytes)?;
    let memory = limits::memory(&structure)?;
    limits::proposals(bytes)?;
    let section = structure
        .section
        .as_deref()
        .ok_or_else(|| CheckError::new(Rule::Section, "there is no section `gotong:policy`"))?;
    let metadata = metadata(section, surface.family)?;
    Ok(Checked {
        metadata,
        abi: surface.abi.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len(),
        exports: surface.exports,
        memory_initial: memory.initial,
        memory_maximum: memory.maximum,
        functions: structure.functions,
    })
}

fn metadata(section: &[u8], family: Family) -> Result<Metadata, CheckError> {
    let wrong = |found: String| CheckError::new(Rule::Section, found);
    let metadata: Metadata = serde_json::from_slice(section).map_err(|error| {
        wrong(format!(
            "the section `gotong:policy` cannot be read: {error}"
        ))
    })?;
    if !crate::metadata::is_name(&metadata.name) {
        return Err(wrong(format!(
            "name `{}` is not of lower-case letters, digits and `-`",
            metadata.name
        )));
    }
    if crate::metadata::version(&metadata.version).is_none() {
        return Err(wrong(format!(
            "version `{}` is not MAJOR.MINOR.PATCH",
            metadata.version
        )));
    }
    if metadata.family != family {
        return Err(wrong(format!(
            "it says family `{}` and exports `{family}`",
            metadata.family
        )));
    }
    for (field, text) in [
        ("source", &metadata.source),
        ("toolchain", &metadata.toolchain),
    ] {
        if text.chars().any(steers) {
            return Err(wrong(format!(
                "{field} `{}` holds a control character",
                printable(text)
            )));
        }
    }
    Ok(metadata)
}
