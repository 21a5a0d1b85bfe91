//! What is wrong with a bundle, and in which line.

use std::fmt;

use super::{MAX_LINE, MAX_MODULE_BYTES, MAX_MODULES, VERSION};
use crate::check::CheckError;
use crate::digest::Digest;
use crate::text::printable;

/// A bundle that cannot be used: in which line, and why.
#[derive(Debug, thiserror::Error)]
pub struct BundleError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)
    }
}

/// What can be wrong with a line. What the line itself says is told without the characters that would make it look
/// like more than one.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    /// Too long.
    #[error("it is longer than {MAX_LINE} bytes")]
    Oversized,
    /// The file ends too early.
    #[error("the bundle ends here, before its trailer: it was cut; get it again")]
    Truncated,
    /// The first line is no header.
    #[error("a bundle begins with its header, and this is none: {}", printable(.0))]
    NoHeader(String),
    /// A format of another time.
    #[error("bundle version {0} is unknown; this program reads version {VERSION}")]
    Version(u32),
    /// No line of a bundle.
    #[error("it is no line of a bundle: {}", printable(.0))]
    Unreadable(String),
    /// A line that is not written as this format writes it.
    #[error("it is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// A second header.
    #[error("a second header")]
    SecondHeader,
    /// A module twice.
    #[error("module {0} stands there twice")]
    SecondModule(Digest),
    /// Too many modules.
    #[error("more than {MAX_MODULES} modules, or more than {MAX_MODULE_BYTES} bytes of them")]
    TooManyModules,
    /// Bytes that are not base64.
    #[error("the bytes of module `{}` are not base64", printable(.0))]
    Base64(String),
    /// Bytes of another module.
    #[error("module `{}`: the digest of its bytes is {found}, the line says {expected}", printable(.module))]
    ModuleDigest {
        /// `name@version`.
        module: String,
        /// What the line says.
        expected: Digest,
        /// What its bytes have.
        found: Digest,
    },
    /// A module that may not run.
    #[error("module `{}` fails the load-time check", printable(.module))]
    Module {
        /// `name@version`.
        module: String,
        /// Which rule it breaks.
        #[source]
        source: CheckError,
    },
    /// A module that says something else about itself.
    #[error("module `{}`: its section says {field} `{}`", printable(.module), printable(.found))]
    Section {
        /// `name@version`, as the line has it.
        module: String,
        /// What differs.
        field: &'static str,
        /// What the module says.
        found: String,
    },
    /// A decision whose module has not come yet.
    #[error("decision `{}` stands before its module {}", printable(.decision_id), printable(.module))]
    BeforeItsModule {
        /// The decision.
        decision_id: String,
        /// The module's digest.
        module: String,
    },
    /// A decision twice, or not in order.
    #[error(
        "decision `{}` does not come after `{}`: decisions are in the order of their ids, each once",
        printable(.decision_id), printable(.before)
    )]
    Order {
        /// The decision.
        decision_id: String,
        /// The one before it.
        before: String,
    },
    /// Other numbers than the trailer says.
    #[error("the trailer counts {says} {what}, the bundle holds {found}")]
    Count {
        /// Decisions or modules.
        what: &'static str,
        /// What the trailer says.
        says: u64,
        /// What is there.
        found: u64,
    },
    /// Other bytes than the trailer says.
    #[error(
        "the trailer's digest is {says}, that of the lines before it {found}: the bundle was changed or damaged; get it again"
    )]
    Digest {
        /// What the trailer says.
        says: Digest,
        /// What the bytes have.
        found: Digest,
    },
    /// Another bundle took its place.
    #[error("the file was exchanged while it was read")]
    Exchanged,
    /// Something behind the trailer.
    #[error("there is something behind the trailer")]
    BehindTrailer,
}

impl Problem {
    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unreadable(short(error))
    }
}

/// What a parser says, which may quote the line: not all of a long one.
pub(super) fn short(error: &serde_json::Error) -> String {
    const LONGEST: usize = 300;
    let text = error.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}
