//! What time does to content that is held or blocked: nothing, release, or the admins are told.

use gotong_policy::Reason;
use gotong_policy::moderation::{
    Action, Assessment, ExpireFacts, ExpiryRuling, MediaScan, Obligation, Status,
};

use crate::assess::{media_warning, publish};
use crate::limits::{
    AUTO_RELEASE_MINUTES, CERTAIN_PERMILLE, DOUBTFUL_PERMILLE, FLAG_REPORTS, TIME_OUT_MINUTES,
};
use crate::rules::{auto_release, stale, time_out};

/// What the end of a hold's time means. A time-out that comes late, twice or after a decision does no harm.
#[must_use]
pub fn expire(facts: &ExpireFacts) -> ExpiryRuling {
    if facts.superseded {
        return ExpiryRuling::nothing(stale::superseded, None);
    }
    match (facts.status, facts.action) {
        (Status::UnderReview, Action::HoldForReview) => hold(facts),
        (Status::UnderReview, Action::Block) => wait_or_escalate(facts, time_out::block_escalated),
        _ => ExpiryRuling::nothing(stale::not_held, None),
    }
}

fn hold(facts: &ExpireFacts) -> ExpiryRuling {
    if facts.auto_release && may_release(facts) {
        return if facts.minutes_held >= AUTO_RELEASE_MINUTES {
            ExpiryRuling::release(released(facts, auto_release::nobody_acted))
        } else {
            let left = AUTO_RELEASE_MINUTES - facts.minutes_held;
            ExpiryRuling::nothing(auto_release::release_not_due, Some(left))
        };
    }
    let a_day = facts.minutes_held >= TIME_OUT_MINUTES;
    if a_day && may_release(facts) && is_doubtful(facts) {
        return ExpiryRuling::release(released(facts, time_out::released_after_a_day));
    }
    if !a_day && facts.auto_release && facts.reports >= FLAG_REPORTS {
        let left = TIME_OUT_MINUTES - facts.minutes_held;
        return ExpiryRuling::nothing(auto_release::flagged_meanwhile, Some(left));
    }
    wait_or_escalate(facts, time_out::hold_escalated)
}

fn wait_or_escalate(facts: &ExpireFacts, reason: &'static Reason) -> ExpiryRuling {
    if facts.escalated {
        return ExpiryRuling::nothing(time_out::escalated_before, None);
    }
    if facts.minutes_held < TIME_OUT_MINUTES {
        let left = TIME_OUT_MINUTES - facts.minutes_held;
        return ExpiryRuling::nothing(time_out::time_out_not_due, Some(left));
    }
    ExpiryRuling::escalate(
        reason,
        &[
            Obligation::ModeratorMustAct,
            Obligation::Escalate,
            Obligation::QueueReview,
        ],
    )
}

/// Only what a scan held, and neither reports nor media speak against, is ever released by time.
fn may_release(facts: &ExpireFacts) -> bool {
    facts.ai_answered
        && facts.confidence_permille <= CERTAIN_PERMILLE
        && !facts.by_moderator
        && facts.reports < FLAG_REPORTS
        && facts.media != MediaScan::Unsafe
}

/// A hold without a release by itself: unscanned media keep it.
fn is_doubtful(facts: &ExpireFacts) -> bool {
    facts.confidence_permille < DOUBTFUL_PERMILLE && facts.media != MediaScan::Unavailable
}

fn released(facts: &ExpireFacts, reason: &'static Reason) -> Assessment {
    let mut assessment = publish(media_warning(facts.media), reason);
    assessment.obligations.push(Obligation::TellAuthor);
    if !assessment.warnings.is_empty() {
        assessment.review_due_minutes = Some(TIME_OUT_MINUTES);
        assessment.obligations.push(Obligation::QueueReview);
    }
    assessment
}
