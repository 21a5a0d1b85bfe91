//! The family `edge-pod`: what the models' answers lead to, and what is done without one.

use crate::Reason;
pub use crate::bindings::exports::gotong::policy::edge_pod::{
    Course, CreditFacts, CreditRuling, Display, DuplicateFacts, DuplicateRuling, DuplicatesFacts,
    Endpoint, Failure, FallbackFacts, FallbackRuling, GamingFacts, GamingRuling, Guest as EdgePod,
    Measure, MediaFacts, MediaManyFacts, MediaRuling, Notice, Obligation, OverridePolicy,
    Recommendation, Route, Safety, Severity, SiagaFacts, SiagaRuling, Suggestion, Urgency,
};

impl FallbackRuling {
    /// The matter takes this course; `retry_after_seconds` says when the model is asked again, if it is.
    #[must_use]
    pub fn of(
        course: Course,
        reason: &'static Reason,
        obligations: &[Obligation],
        retry_after_seconds: Option<u32>,
    ) -> Self {
        Self {
            course,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
            retry_after_seconds,
        }
    }
}

impl DuplicateRuling {
    /// This is what the author is told.
    #[must_use]
    pub fn of(notice: Notice, reason: &'static Reason, obligations: &[Obligation]) -> Self {
        Self {
            notice,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
        }
    }
}

impl GamingRuling {
    /// This is what the signs lead to.
    #[must_use]
    pub fn of(measure: Measure, reason: &'static Reason, obligations: &[Obligation]) -> Self {
        Self {
            measure,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
        }
    }
}

impl MediaRuling {
    /// This is how the media are shown.
    #[must_use]
    pub fn of(display: Display, reason: &'static Reason, obligations: &[Obligation]) -> Self {
        Self {
            display,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
        }
    }
}

impl CreditRuling {
    /// People are asked so, and have so long to dispute.
    #[must_use]
    pub fn of(
        course: Course,
        dispute_window_hours: u32,
        reason: &'static Reason,
        obligations: &[Obligation],
    ) -> Self {
        Self {
            course,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
            dispute_window_hours,
        }
    }
}

impl SiagaRuling {
    /// The report goes this way; `approval_due_minutes` says how soon a person should have looked.
    #[must_use]
    pub fn of(
        route: Route,
        reason: &'static Reason,
        obligations: &[Obligation],
        approval_due_minutes: Option<u32>,
    ) -> Self {
        Self {
            route,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
            approval_due_minutes,
        }
    }
}
