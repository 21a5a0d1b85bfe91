//! The tag that is written beside an event.

use gotong_policy::retention::{Kind, Tag};

use crate::rules::vault;
use crate::schedule::{Keeping, schedule};

/// How long a kind is kept, and what then.
///
/// Without `keep_hours` it is kept for ever, unless its owner takes it back: `on_expiry` says what then.
#[must_use]
pub fn classify(kind: Kind) -> Tag {
    let line = schedule(kind);
    let (keep_hours, reason) = match line.keeping {
        Keeping::Forever { kept } | Keeping::UntilTakenBack { kept, .. } => (None, kept),
        Keeping::SinceWritten { hours, span } | Keeping::SinceEnded { hours, span, .. } => {
            (Some(hours), span.limited)
        }
        Keeping::AsChosen { most } => (Some(most), vault::kept_for_a_time),
    };
    Tag {
        name: line.name.into(),
        keep_hours,
        on_expiry: line.on_expiry,
        reason: reason.code.into(),
        rule: reason.rule.into(),
    }
}
