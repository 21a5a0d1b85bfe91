//! The family `gate`: when a stage may change, and how a gate closes.

use alloc::vec::Vec;

pub use crate::bindings::exports::gotong::policy::gate::{
    ChallengeFacts, CloseFacts, CloseRuling, GateType, Guest as Gate, ObjectFacts, Obligation,
    Outcome, Phase, PlanFacts, Risk, StageDoc, StagesFacts, Terms, TermsRuling, WeighFacts, Weight,
};
use crate::{Reason, types::Effect};

impl Terms {
    /// No window, no quorum, no challenge.
    pub const AT_ONCE: Self = Self {
        gate_type: GateType::Emergency,
        risk: Risk::Critical,
        window_hours: 0,
        quorum: 0,
        threshold_permille: 0,
        challenge_window_hours: 0,
        audit_due_hours: 0,
    };
}

impl TermsRuling {
    /// The gate is open under these terms.
    #[must_use]
    pub fn allow(reason: &'static Reason, terms: Terms) -> Self {
        Self {
            effect: Effect::Allow,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            terms: Some(terms),
        }
    }

    /// It is not.
    #[must_use]
    pub fn deny(reason: &'static Reason) -> Self {
        Self {
            effect: Effect::Deny,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            terms: None,
        }
    }

    /// The same ruling, with what the host must also do.
    #[must_use]
    pub fn obliging(self, obligations: &[Obligation]) -> Self {
        Self {
            obligations: obligations.to_vec(),
            ..self
        }
    }
}

impl CloseRuling {
    /// The step is taken.
    #[must_use]
    pub fn applied(reason: &'static Reason) -> Self {
        Self::of(Outcome::Applied, reason, 0)
    }

    /// The step is not taken.
    #[must_use]
    pub fn rejected(reason: &'static Reason) -> Self {
        Self::of(Outcome::Rejected, reason, 0)
    }

    /// The step waits so many hours for a challenge.
    #[must_use]
    pub fn await_challenges(reason: &'static Reason, window_hours: u32) -> Self {
        Self::of(Outcome::AwaitChallenges, reason, window_hours)
    }

    /// The same ruling, with what the host must also do.
    #[must_use]
    pub fn obliging(self, obligations: &[Obligation]) -> Self {
        Self {
            obligations: obligations.to_vec(),
            ..self
        }
    }

    fn of(outcome: Outcome, reason: &'static Reason, window_hours: u32) -> Self {
        Self {
            outcome,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            window_hours,
        }
    }
}
