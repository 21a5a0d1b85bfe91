//! A bundle: decisions and the modules that made them in one file, so that an auditor needs no server.
//!
//! NDJSON, one object a line, canonical JSON (RFC 8785):
//!
//! ```text
//! {"header":{"bundle_version":1,"created_at_ms":…,"engine":"sha256:…","filter":{…},"host":"gotong 0.1.0"}}
//! {"module":{"abi":"…","digest":"sha256:…","family":"…","mode":"active","name":"…","version":"…","wasm":"<base64>"}}
//! {"decision":{…}}                                        a row, as `GET /v1/audit/decisions` gives it
//! {"trailer":{"decisions":…,"digest":"sha256:…","modules":…}}
//! ```
//!
//! A module stands before the first decision it made, and once. Decisions stand in the order of their ids, each
//! once. The trailer's digest is over every byte before its line, so that no bundle is read that was cut or
//! changed by accident. Whoever changes a bundle on purpose writes a new trailer: its digest has to be compared
//! with one that came another way.
//!
//! A bundle is hostile input. Lines, modules and their number are bounded, no path is taken from it, and what is
//! kept in memory is its modules and one line.

mod error;
mod modules;
mod reader;
mod writer;

use serde::{Deserialize, Serialize};

use crate::contract::Family;
use crate::decision::Filter;
use crate::digest::Digest;
use crate::engine::Fingerprint;
use crate::lock::Mode;

pub use error::{BundleError, Problem};
pub use modules::Modules;
pub use reader::{Contents, Decisions, Entry, RawDecision, Reader, replay, verify};
pub use writer::{WriteError, Writer};

/// The version of the format.
pub const VERSION: u32 = 1;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 8 << 20;

/// The most modules.
pub const MAX_MODULES: usize = 256;

/// The most that all modules are together, in bytes.
pub const MAX_MODULE_BYTES: usize = 32 << 20;

/// The first line: where a bundle comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`VERSION`].
    pub bundle_version: u32,
    /// When it was written, milliseconds since 1970.
    pub created_at_ms: i64,
    /// Fingerprint of the engine of the program that wrote it.
    pub engine: Fingerprint,
    /// Which decisions were asked for.
    pub filter: Filter,
    /// Name and version of the program that wrote it.
    pub host: String,
}

/// A module of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleEntry {
    /// The contract it was built for.
    pub abi: String,
    /// Its digest: the identity.
    pub digest: Digest,
    /// The family it answers for.
    pub family: Family,
    /// What the host does with it now; none when it is not pinned there any more.
    pub mode: Option<Mode>,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trailer {
    /// How many decisions there are.
    pub decisions: u64,
    /// The digest of every byte before this line.
    pub digest: Digest,
    /// How many modules there are.
    pub modules: u64,
}

/// A module's line: the entry, and its bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleLine {
    abi: String,
    digest: Digest,
    family: Family,
    mode: Option<Mode>,
    name: String,
    version: String,
    /// Base64; null when the host has it no more.
    wasm: Option<String>,
}

/// Every line but a decision's, by its one key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Header(Header),
    Module(ModuleLine),
    Trailer(Trailer),
}

/// How a decision's line begins and ends; the row stands between.
const DECISION: (&[u8], &[u8]) = (b"{\"decision\":", b"}");
