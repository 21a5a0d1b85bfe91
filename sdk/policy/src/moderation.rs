//! The family `moderation`: what happens to content.

use alloc::vec::Vec;

pub use crate::bindings::exports::gotong::policy::moderation::{
    ActFacts, ActRuling, Action, AppealFacts, AppealRuling, AssessFacts, Assessment, Category,
    ExpireFacts, ExpireManyFacts, Expiry, ExpiryRuling, Guest as Moderation, MediaScan, Obligation,
    Parts, ReportFacts, ReportRuling, Response, Severity, Status, Verdict, ViewFacts,
    ViewManyFacts, ViewRuling, Viewer, Violation, Warnings,
};
use crate::{Reason, types::Effect};

impl Assessment {
    /// Readers see the content from now on.
    #[must_use]
    pub fn published(reason: &'static Reason) -> Self {
        Self::of(Action::PublishNow, Status::Published, true, reason)
    }

    /// Readers see the content behind a warning.
    #[must_use]
    pub fn published_with(warnings: Warnings, reason: &'static Reason) -> Self {
        Self {
            warnings,
            ..Self::of(Action::PublishWithWarning, Status::Published, true, reason)
        }
    }

    /// The content waits for a moderator; `shown` says whether readers see it meanwhile.
    #[must_use]
    pub fn held(shown: bool, reason: &'static Reason) -> Self {
        Self::of(Action::HoldForReview, Status::UnderReview, shown, reason)
    }

    /// Nobody sees the content; a moderator has still to decide.
    #[must_use]
    pub fn blocked(reason: &'static Reason) -> Self {
        Self::of(Action::Block, Status::UnderReview, false, reason)
    }

    /// Nobody sees the content, and a moderator has decided so.
    #[must_use]
    pub fn rejected(reason: &'static Reason) -> Self {
        Self::of(Action::Block, Status::Rejected, false, reason)
    }

    /// The same, with what the host must also do.
    #[must_use]
    pub fn obliging(self, obligations: &[Obligation]) -> Self {
        Self {
            obligations: obligations.to_vec(),
            ..self
        }
    }

    fn of(action: Action, status: Status, shown: bool, reason: &'static Reason) -> Self {
        Self {
            action,
            status,
            shown,
            warnings: Warnings::empty(),
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            auto_release_minutes: None,
            time_out_minutes: None,
            review_due_minutes: None,
            appeal_window_hours: 0,
        }
    }
}

impl ExpiryRuling {
    /// There is nothing to do; `due_in_minutes` says when there will be, if time alone brings it.
    #[must_use]
    pub fn nothing(reason: &'static Reason, due_in_minutes: Option<u32>) -> Self {
        Self {
            expiry: Expiry::Nothing,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            due_in_minutes,
            assessment: None,
        }
    }

    /// It goes to those who can end it.
    #[must_use]
    pub fn escalate(reason: &'static Reason, obligations: &[Obligation]) -> Self {
        Self {
            expiry: Expiry::Escalate,
            obligations: obligations.to_vec(),
            ..Self::nothing(reason, None)
        }
    }

    /// Readers see the content from now on, as the assessment says; its reason and obligations are the
    /// ruling's.
    #[must_use]
    pub fn release(assessment: Assessment) -> Self {
        Self {
            expiry: Expiry::Release,
            reason: assessment.reason.clone(),
            rule: assessment.rule.clone(),
            obligations: assessment.obligations.clone(),
            due_in_minutes: None,
            assessment: Some(assessment),
        }
    }
}

impl ReportRuling {
    /// The report counts, and does no more than the obligations say.
    #[must_use]
    pub fn counted(
        response: Response,
        reason: &'static Reason,
        obligations: &[Obligation],
    ) -> Self {
        Self {
            effect: Effect::Allow,
            response,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
            assessment: None,
        }
    }

    /// The report counts, and the content is left as the assessment says; its reason and obligations are
    /// the ruling's.
    #[must_use]
    pub fn hide(assessment: Assessment) -> Self {
        Self {
            effect: Effect::Allow,
            response: Response::Hide,
            reason: assessment.reason.clone(),
            rule: assessment.rule.clone(),
            obligations: assessment.obligations.clone(),
            assessment: Some(assessment),
        }
    }

    /// The report does not count.
    #[must_use]
    pub fn deny(reason: &'static Reason) -> Self {
        Self {
            effect: Effect::Deny,
            response: Response::Nothing,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            assessment: None,
        }
    }
}

impl ActRuling {
    /// The moderator may, and the content is left so. What the host must also do stands in the assessment's
    /// obligations and is repeated beside the effect.
    #[must_use]
    pub fn allow(assessment: Assessment) -> Self {
        Self {
            effect: Effect::Allow,
            reason: assessment.reason.clone(),
            rule: assessment.rule.clone(),
            obligations: assessment.obligations.clone(),
            assessment: Some(assessment),
        }
    }

    /// The moderator may not.
    #[must_use]
    pub fn deny(reason: &'static Reason) -> Self {
        Self {
            effect: Effect::Deny,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
            assessment: None,
        }
    }
}

impl AppealRuling {
    /// The decision is looked at again.
    #[must_use]
    pub fn allow(reason: &'static Reason, obligations: &[Obligation]) -> Self {
        Self {
            effect: Effect::Allow,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
        }
    }

    /// It stands.
    #[must_use]
    pub fn deny(reason: &'static Reason) -> Self {
        Self {
            effect: Effect::Deny,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
        }
    }
}

impl ViewRuling {
    /// The viewer is told that there is nothing.
    #[must_use]
    pub fn hidden(reason: &'static Reason) -> Self {
        Self {
            visible: false,
            ..Self::of(Parts::empty(), reason)
        }
    }

    /// The viewer is told these parts.
    #[must_use]
    pub fn of(parts: Parts, reason: &'static Reason) -> Self {
        Self {
            visible: true,
            parts,
            reason: reason.code.into(),
            rule: reason.rule.into(),
        }
    }
}
