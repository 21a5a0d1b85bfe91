//! What signs of gaming lead to: at most, that a moderator looks.

use gotong_policy::edge_pod::{
    GamingFacts, GamingRuling, Measure, Obligation, Severity, Suggestion,
};

use crate::rules::{gaming_signs, nobody_suspended};

/// A model that is less sure is only noted.
pub const SURE_FROM_PERMILLE: u32 = 500;
/// So many signs bring a moderator, however weak each is.
pub const MANY_SIGNS: u32 = 3;

/// Nothing, a note, or a review by a moderator.
#[must_use]
pub fn gaming(facts: &GamingFacts) -> GamingRuling {
    let note = |reason| GamingRuling::of(Measure::Note, reason, &[]);
    let review = |reason| {
        GamingRuling::of(
            Measure::ManualReview,
            reason,
            &[Obligation::QueueModeration],
        )
    };
    let strong = matches!(facts.worst, Some(Severity::High | Severity::Critical));
    match facts {
        // As with media: what it says cannot all be so, and how sure it is says nothing then.
        facts if contradicts_itself(facts) => review(gaming_signs::contradicts_itself),
        facts if facts.flag_count == 0 => {
            GamingRuling::of(Measure::None, gaming_signs::no_signs, &[])
        }
        GamingFacts {
            confidence_permille: Some(sure),
            ..
        } if *sure < SURE_FROM_PERMILLE => note(gaming_signs::not_sure_enough),
        GamingFacts {
            suggestion: Suggestion::SlowMode | Suggestion::SuspendActions,
            ..
        } => review(nobody_suspended::suspension_not_followed),
        facts if strong || facts.critical_count > 0 => review(gaming_signs::strong_signs),
        facts if facts.flag_count >= MANY_SIGNS => review(gaming_signs::many_signs),
        GamingFacts {
            suggestion: Suggestion::ManualReview,
            ..
        } => review(gaming_signs::review_advised),
        GamingFacts {
            suggestion: Suggestion::None,
            ..
        } => note(gaming_signs::weak_signs),
    }
}

/// There is no sign, and yet critical ones, a worst one, or advice what to do.
fn contradicts_itself(facts: &GamingFacts) -> bool {
    let advises = facts.suggestion != Suggestion::None;
    facts.flag_count == 0 && (facts.critical_count > 0 || facts.worst.is_some() || advises)
}
