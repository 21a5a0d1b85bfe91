//! The gates: when a stage may change, how it is decided, and how a gate closes.
//!
//! [`tracks`] holds the stages, [`plan`] the table of gates, [`window`] what happens while a gate is open and
//! [`close`] what its end means. Windows, quorums and thresholds are this module's constants: a community
//! that wants others ships another module.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod close;
pub mod plan;
pub mod quorum;
pub mod rules;
pub mod tracks;
pub mod window;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use alloc::vec::Vec;

use gotong_policy::gate::{
    ChallengeFacts, CloseFacts, CloseRuling, Gate, ObjectFacts, Obligation, PlanFacts, StageDoc,
    StagesFacts, TermsRuling, WeighFacts, Weight,
};
use gotong_policy::types::RuleDoc;

/// The gates of Gotong.
#[derive(Debug, Clone, Copy)]
pub struct GotongGate;

impl Gate for GotongGate {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(rules::RULES)
    }

    fn plan(facts: PlanFacts) -> TermsRuling {
        match plan::plan(&facts) {
            Ok((reason, terms)) if terms.audit_due_hours > 0 => {
                TermsRuling::allow(reason, terms).obliging(&[Obligation::AuditEmergency])
            }
            Ok((reason, terms)) => TermsRuling::allow(reason, terms),
            Err(reason) => TermsRuling::deny(reason),
        }
    }

    fn object(facts: ObjectFacts) -> TermsRuling {
        match window::object(&facts) {
            Ok((reason, terms)) => TermsRuling::allow(reason, terms),
            Err(reason) => TermsRuling::deny(reason),
        }
    }

    fn challenge(facts: ChallengeFacts) -> TermsRuling {
        match window::challenge(&facts) {
            Ok((reason, terms)) => TermsRuling::allow(reason, terms),
            Err(reason) => TermsRuling::deny(reason),
        }
    }

    fn close(facts: CloseFacts) -> CloseRuling {
        close::close(&facts).obliging(&[Obligation::AnnounceResult])
    }

    fn stages(facts: StagesFacts) -> Vec<StageDoc> {
        tracks::stages(facts.track).to_vec()
    }

    fn weigh(facts: WeighFacts) -> Weight {
        Weight {
            permille: quorum::weight(facts.influence_permille),
        }
    }
}

gotong_policy::export!(GotongGate as gate);
