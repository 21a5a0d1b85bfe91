//! What a likeness to another seed means. Nothing is ever blocked for it.

use gotong_policy::edge_pod::{DuplicateFacts, DuplicateRuling, Notice, Recommendation};

use crate::rules::{author_decides, likeness};

/// From here on the author is strongly warned.
pub const WARN_FROM_PERMILLE: u32 = 800;
/// From here on the author is told.
pub const INFORM_FROM_PERMILLE: u32 = 500;

/// What the author is told. The model's own recommendation changes nothing.
#[must_use]
pub fn duplicate(facts: &DuplicateFacts) -> DuplicateRuling {
    let (notice, reason) = match facts.similarity_permille {
        WARN_FROM_PERMILLE.. => (Notice::WarnStrongly, likeness::very_alike),
        INFORM_FROM_PERMILLE.. => (Notice::Inform, likeness::alike),
        _ => (Notice::Silent, likeness::not_alike),
    };
    let reason = match facts.recommendation {
        Recommendation::Block => author_decides::block_not_followed,
        Recommendation::Allow | Recommendation::Warn => reason,
    };
    DuplicateRuling::of(notice, reason, &[])
}
