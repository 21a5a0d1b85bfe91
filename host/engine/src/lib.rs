//! Gotong's policy engine: pins, checks, loads, evaluates, records and replays policy modules.
//!
//! A policy module is a pure function, facts in and ruling out, in WebAssembly. This crate knows no
//! database and no network; of the file system it sees the folders it is handed.
//!
//! Invariants:
//!
//! - A module is its digest. What is loaded is what the lock says, or nothing is.
//! - Every evaluation has a fresh instance: nothing survives a call.
//! - An evaluation that ends in a ruling, in burnt fuel or in a trap ends so again, on any machine
//!   with the same [`Fingerprint`]; what might not is marked as not replayable.
//! - There is no clock, no randomness and no I/O in here for a module to reach: it has no imports.
#![deny(missing_docs)]

mod ask;
pub mod build;
pub mod bundle;
mod cache;
mod check;
mod contract;
mod decision;
mod digest;
pub mod draw;
mod engine;
pub mod input;
pub mod lifecycle;
mod lock;
mod metadata;
mod module;
pub mod pin;
mod policies;
mod question;
mod record;
mod replay;
mod retired;
mod ruling_cache;
mod scope;
mod shape;
pub mod signature;
mod slim;
mod text;
pub mod whatif;

pub use ask::{AskError, Asked, check_facts, check_ruling};
pub use cache::{Cache, CacheError};
pub use check::{CheckError, Checked, MAX_SIZE, Rule, check};
pub use contract::{
    ABI, ABIS, Family, UnknownWordError, edge_pod, gate, moderation, retention, role_matrix, types,
};
pub use decision::{Circumstances, Decision, Filter, RecordError};
pub use digest::{Digest, ParseDigestError};
#[doc(hidden)]
pub use engine::config;
pub use engine::{Allocation, Engine, EngineError, FUEL, Fingerprint, MAX_MEMORY, MAX_TABLE};
pub use lock::{Lock, LockError, Mode, OverrideError, Pin};
pub use metadata::{Metadata, is_name};
pub use module::{Evaluation, Module, Outcome, TrapCode};
pub use policies::{FindError, LoadError, Policies, read_pinned};
pub use question::Question;
pub use record::{ModuleRef, Record, RecordMode};
pub use replay::{
    LISTED, Listed, MAX_THREADS, ModuleSet, Run, Summary, Tally, Verdict, cores, replay, replay_all,
};
pub use ruling_cache::{Answer, RulingCache};
pub use scope::{Override, SCOPE_PATTERN, is_scope};
pub use text::{printable, printable_json};
