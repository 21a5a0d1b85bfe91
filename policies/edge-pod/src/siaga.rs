//! What becomes of a report that may be an emergency.

use gotong_policy::edge_pod::{
    Obligation, OverridePolicy, Route, Severity, SiagaFacts, SiagaRuling, Urgency,
};
use gotong_policy::types::TrustTier;

use crate::rules::{no_siaga, siaga_approval, siaga_at_once};

/// How sure the model must be for a siaga to go out by itself.
pub const AT_ONCE_FROM_PERMILLE: u32 = 950;
/// Who must have reported it: this tier or a higher one.
pub const AT_ONCE_FROM_TIER: TrustTier = TrustTier::Kontributor;
/// How soon people look at an urgent one, and at one that went out by itself.
pub const URGENT_MINUTES: u32 = 15;
/// How soon they look at another.
pub const USUAL_MINUTES: u32 = 60;

/// Out at once, to the people who approve, or nothing.
#[must_use]
pub fn siaga(facts: &SiagaFacts) -> SiagaRuling {
    let reporter_alarmed = matches!(facts.reported_urgency, Urgency::High | Urgency::Critical);
    if !facts.is_siaga {
        // A person on the spot is worth a look, whatever a model says.
        return if reporter_alarmed {
            SiagaRuling::of(
                Route::ApprovalQueue,
                no_siaga::reporter_disagrees,
                &[],
                Some(USUAL_MINUTES),
            )
        } else {
            SiagaRuling::of(Route::NoSiaga, no_siaga::no_emergency, &[], None)
        };
    }
    let hindrance = if facts.override_policy != OverridePolicy::AutoIfThreshold {
        siaga_approval::a_person_decides
    } else if facts.severity != Severity::Critical {
        siaga_approval::not_critical
    } else if facts.confidence_permille < AT_ONCE_FROM_PERMILLE {
        siaga_approval::not_sure_enough
    } else if !reporter_alarmed {
        siaga_approval::not_urgent_to_reporter
    } else if (facts.reporter_tier as u8) < AT_ONCE_FROM_TIER as u8 {
        siaga_approval::reporter_not_known_enough
    } else {
        return SiagaRuling::of(
            Route::ActivateAtOnce,
            siaga_at_once::critical_and_certain,
            &[Obligation::CallApprovers],
            Some(URGENT_MINUTES),
        );
    };
    let urgent = matches!(facts.severity, Severity::High | Severity::Critical)
        || facts.reported_urgency == Urgency::Critical;
    if urgent {
        SiagaRuling::of(
            Route::UrgentApprovalQueue,
            hindrance,
            &[Obligation::CallApprovers],
            Some(URGENT_MINUTES),
        )
    } else {
        SiagaRuling::of(Route::ApprovalQueue, hindrance, &[], Some(USUAL_MINUTES))
    }
}
