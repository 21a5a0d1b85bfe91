//! What a moderator may decide, and what the content is left at.

use gotong_policy::Reason;
use gotong_policy::moderation::{
    ActFacts, Assessment, Category, Obligation, Status, Verdict, Warnings,
};
use gotong_policy::types::TokenRole;

use crate::assess::{held, publish};
use crate::limits::APPEAL_WINDOW_HOURS;
use crate::rules::{appeal_answer, child_safety, moderators, unfinished_scan, verdict};

/// What the content is left at.
///
/// # Errors
/// The reason why the moderator may not decide so.
pub fn act(facts: &ActFacts) -> Result<Assessment, &'static Reason> {
    may_act(facts)?;
    let assessment = match facts.verdict {
        Verdict::Publish => publish(
            Warnings::empty(),
            answer(
                facts,
                verdict::published_by_moderator,
                appeal_answer::appeal_granted,
            ),
        ),
        Verdict::PublishWithWarning => publish(
            warnings(facts)?,
            answer(
                facts,
                verdict::warned_by_moderator,
                appeal_answer::appeal_partly_granted,
            ),
        ),
        Verdict::Hold => held(verdict::held_by_moderator, false, false),
        Verdict::Reject => Assessment {
            appeal_window_hours: APPEAL_WINDOW_HOURS,
            ..Assessment::rejected(answer(
                facts,
                verdict::rejected_by_moderator,
                appeal_answer::appeal_dismissed,
            ))
        },
    };
    let assessment = Assessment {
        appeal_window_hours: if facts.appealed {
            0
        } else {
            assessment.appeal_window_hours
        },
        ..assessment
    };
    Ok(assessment.obliging(match facts.verdict {
        Verdict::Hold => &[
            Obligation::ModeratorMustAct,
            Obligation::QueueReview,
            Obligation::TellAuthor,
        ],
        Verdict::Publish | Verdict::PublishWithWarning | Verdict::Reject => {
            &[Obligation::TellAuthor, Obligation::TellReporters]
        }
    }))
}

/// Who, before what. In this order: the first that does not hold is the reason.
fn may_act(facts: &ActFacts) -> Result<(), &'static Reason> {
    if !matches!(facts.role, TokenRole::Moderator | TokenRole::Admin) {
        return Err(moderators::not_a_moderator);
    }
    if facts.is_author {
        return Err(moderators::own_content);
    }
    if facts.appealed && facts.decided_before {
        return Err(appeal_answer::own_decision);
    }
    let publishes = matches!(
        facts.verdict,
        Verdict::Publish | Verdict::PublishWithWarning
    );
    let child = facts
        .violations
        .iter()
        .any(|found| found.category == Category::ChildSafety);
    if publishes && child && facts.role != TokenRole::Admin {
        return Err(child_safety::admin_required);
    }
    if publishes && facts.status == Status::Processing {
        return Err(unfinished_scan::still_processing);
    }
    if facts.appealed && facts.verdict == Verdict::Hold {
        return Err(appeal_answer::answer_required);
    }
    Ok(())
}

/// What readers are warned of. A moderator has reviewed it, so `unreviewed` is no warning any more.
fn warnings(facts: &ActFacts) -> Result<Warnings, &'static Reason> {
    let named = facts.warnings & (Warnings::SENSITIVE_MEDIA | Warnings::SENSITIVE_CONTENT);
    if named.is_empty() {
        return Err(verdict::warning_required);
    }
    Ok(named)
}

fn answer(
    facts: &ActFacts,
    decision: &'static Reason,
    to_appeal: &'static Reason,
) -> &'static Reason {
    if facts.appealed { to_appeal } else { decision }
}
