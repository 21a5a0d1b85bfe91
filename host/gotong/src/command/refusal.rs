//! Why a command did not happen.

use gotong_engine::Family;
use gotong_store::StoreError;

use crate::problems::Code;

/// Everything but success. Stored under the request id, except what `command::is_kept` says and `Fault`.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A policy said no.
    #[error("ruled out by {}: {}", .0.family, .0.reason)]
    Ruled(Box<Ruled>),
    /// A policy could not answer, which counts as no (invariant 8).
    #[error("the {family} policy gave no ruling: {code}")]
    PolicyFailed {
        family: Family,
        code: Code,
        decision_id: String,
    },
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The state of the matter excludes it, whatever the rules are.
    #[error("{code}: {detail}")]
    Conflict { code: Code, detail: &'static str },
    /// A field is well-formed but cannot be meant.
    #[error("{field}: {detail}")]
    Invalid {
        code: Code,
        field: &'static str,
        detail: String,
    },
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The reason of what the caller may not know of.
pub const NOT_VISIBLE: &str = "not_visible";

/// A policy's no, with what a person needs to understand it.
#[derive(Debug)]
pub struct Ruled {
    pub family: Family,
    pub reason: String,
    pub rule: String,
    pub rule_text: String,
    pub decision_id: String,
}

impl Ruled {
    /// The answer is then the same as for what does not exist.
    pub fn is_invisibility(&self) -> bool {
        self.reason == NOT_VISIBLE
    }
}

/// The host failed. Nothing was written, the client learns nothing of the cause, the log does.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a value could not be put into canonical JSON")]
    Json(#[from] serde_json::Error),
    #[error("the system gave no random bytes")]
    Random(#[from] getrandom::Error),
    /// The stored state contradicts itself.
    #[error("{0}")]
    Broken(String),
}

impl Refusal {
    /// What the store said, when it is the store that failed.
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Fault(fault) => fault.store_error(),
            _ => None,
        }
    }
}

impl Fault {
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}
