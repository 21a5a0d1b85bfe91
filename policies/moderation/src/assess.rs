//! What a scan's result means for the content.

use gotong_policy::Reason;
use gotong_policy::moderation::{
    AssessFacts, Assessment, MediaScan, Obligation, Severity, Warnings,
};

use crate::findings::{self, Gravity, gravest, gravity, worst_severity};
use crate::limits::{
    APPEAL_WINDOW_HOURS, AUTO_RELEASE_MINUTES, CERTAIN_PERMILLE, DOUBTFUL_PERMILLE, FLAG_REPORTS,
    HIDE_REPORTS, SURE_PERMILLE, TIME_OUT_MINUTES, URGENT_REVIEW_MINUTES, is_newcomer,
};
use crate::report::hidden;
use crate::rules::{
    clean, doubt, finding, no_answer, reports, sensitive_media, unsafe_media, unscanned_media,
};

/// What a scan's result means for the content. Worst first: the first of these that has an answer decides, and
/// what none of them stops is published.
#[must_use]
pub fn assess(facts: &AssessFacts) -> Assessment {
    // Direct calls: a list of functions would cost every instance a table.
    grave_findings(facts)
        .or_else(|| media_unsafe(facts))
        .or_else(|| reported_often(facts))
        .or_else(|| held_findings(facts))
        .or_else(|| without_answer(facts))
        .or_else(|| media_without_answer(facts))
        .or_else(|| in_doubt(facts))
        .unwrap_or_else(|| published(facts))
}

/// Child safety, then hate, violence, harassment and the illegal. A finding counts whether or not the text's
/// scan answered: somebody has found it.
fn grave_findings(facts: &AssessFacts) -> Option<Assessment> {
    let found = gravest(&facts.violations)?;
    let obligations: &[Obligation] = match gravity(found.category) {
        // The author is not warned: that is for those who handle it.
        Gravity::Escalated => &[
            Obligation::ModeratorMustAct,
            Obligation::Escalate,
            Obligation::QueueReview,
        ],
        Gravity::Blocked if found.severity == Severity::Critical => &[
            Obligation::ModeratorMustAct,
            Obligation::Escalate,
            Obligation::TellAuthor,
            Obligation::QueueReview,
        ],
        Gravity::Blocked => BLOCKED,
        Gravity::Held | Gravity::Unnamed => return None,
    };
    let urgent = obligations.contains(&Obligation::Escalate);
    Some(block(findings::reason(found.category), urgent).obliging(obligations))
}

fn media_unsafe(facts: &AssessFacts) -> Option<Assessment> {
    (facts.media == MediaScan::Unsafe)
        .then(|| block(unsafe_media::media_unsafe, false).obliging(BLOCKED))
}

fn reported_often(facts: &AssessFacts) -> Option<Assessment> {
    (facts.reports >= HIDE_REPORTS).then(hidden)
}

/// Misinformation, spam, and what fits no named category.
fn held_findings(facts: &AssessFacts) -> Option<Assessment> {
    let found = gravest(&facts.violations)?;
    if is_slight(facts) {
        return None;
    }
    let severe = matches!(
        worst_severity(&facts.violations),
        Some(Severity::High | Severity::Critical)
    );
    Some(held_for_review(findings::reason(found.category), severe))
}

/// The AI said nothing, or nothing that can be used.
fn without_answer(facts: &AssessFacts) -> Option<Assessment> {
    if facts.ai_answered {
        // A scan that is surer than certain is broken.
        return (facts.confidence_permille > CERTAIN_PERMILLE)
            .then(|| held_for_review(no_answer::confidence_out_of_bounds, true));
    }
    if is_newcomer(facts.author_tier) || facts.reports >= FLAG_REPORTS {
        return Some(held_for_review(no_answer::ai_unavailable_not_shown, true));
    }
    let mut held = held(no_answer::ai_unavailable, true, false);
    held.warnings = Warnings::UNREVIEWED | media_warning(facts.media);
    Some(held.obliging(&[Obligation::QueueReview]))
}

fn media_without_answer(facts: &AssessFacts) -> Option<Assessment> {
    let stops = facts.media == MediaScan::Unavailable && is_newcomer(facts.author_tier);
    stops.then(|| held_for_review(unscanned_media::media_unscanned_not_shown, true))
}

/// Clean, and not sure. What reports have flagged waits for a moderator instead of for the clock.
fn in_doubt(facts: &AssessFacts) -> Option<Assessment> {
    if facts.confidence_permille >= SURE_PERMILLE {
        return None;
    }
    if facts.reports >= FLAG_REPORTS {
        return Some(held_for_review(reports::flagged_by_reports, false));
    }
    let (reason, obligations): (_, &[Obligation]) = if facts.confidence_permille < DOUBTFUL_PERMILLE
    {
        (
            doubt::doubtful,
            &[Obligation::QueueReview, Obligation::TellAuthor],
        )
    } else {
        (doubt::unsure, &[Obligation::QueueReview])
    };
    let held = Assessment {
        auto_release_minutes: Some(AUTO_RELEASE_MINUTES),
        time_out_minutes: Some(AUTO_RELEASE_MINUTES),
        appeal_window_hours: APPEAL_WINDOW_HOURS,
        ..Assessment::held(false, reason)
    };
    Some(held.obliging(obligations))
}

/// Nothing has stopped it. A warning and a review may still be called for; the reason names the first cause.
fn published(facts: &AssessFacts) -> Assessment {
    let slight = !facts.violations.is_empty();
    let flagged = facts.reports >= FLAG_REPORTS;
    let mut warnings = media_warning(facts.media);
    if slight {
        warnings |= Warnings::SENSITIVE_CONTENT;
    }
    let reason = match facts.media {
        _ if slight => finding::slight_finding,
        MediaScan::Unavailable => unscanned_media::media_unscanned,
        MediaScan::Review => sensitive_media::media_under_review,
        _ if flagged => reports::flagged_by_reports,
        _ => clean::clean,
    };
    let mut published = publish(warnings, reason);
    if flagged || matches!(facts.media, MediaScan::Review | MediaScan::Unavailable) {
        published.review_due_minutes = Some(TIME_OUT_MINUTES);
        published.obligations.push(Obligation::QueueReview);
    }
    published
}

/// A low finding that fits no named category, by a scan that is sure of it, and nothing else.
fn is_slight(facts: &AssessFacts) -> bool {
    facts.ai_answered
        && (SURE_PERMILLE..=CERTAIN_PERMILLE).contains(&facts.confidence_permille)
        && facts
            .violations
            .iter()
            .all(|found| gravity(found.category) == Gravity::Unnamed)
        && worst_severity(&facts.violations) == Some(Severity::Low)
}

/// What readers are warned of when content with such media is shown.
pub(crate) fn media_warning(media: MediaScan) -> Warnings {
    match media {
        MediaScan::None | MediaScan::Safe => Warnings::empty(),
        MediaScan::Review | MediaScan::Unsafe => Warnings::SENSITIVE_MEDIA,
        MediaScan::Unavailable => Warnings::UNREVIEWED,
    }
}

/// Published, with a warning if there is something to warn of; only that may be appealed.
pub(crate) fn publish(warnings: Warnings, reason: &'static Reason) -> Assessment {
    if warnings.is_empty() {
        return Assessment::published(reason);
    }
    Assessment {
        appeal_window_hours: APPEAL_WINDOW_HOURS,
        ..Assessment::published_with(warnings, reason)
    }
}

/// What a block obliges to when it is not urgent.
const BLOCKED: &[Obligation] = &[
    Obligation::ModeratorMustAct,
    Obligation::TellAuthor,
    Obligation::QueueReview,
];

fn block(reason: &'static Reason, urgent: bool) -> Assessment {
    Assessment {
        time_out_minutes: Some(TIME_OUT_MINUTES),
        review_due_minutes: Some(review_due(urgent)),
        appeal_window_hours: APPEAL_WINDOW_HOURS,
        ..Assessment::blocked(reason)
    }
}

/// Not shown until a moderator has looked, and the author knows.
fn held_for_review(reason: &'static Reason, urgent: bool) -> Assessment {
    held(reason, false, urgent).obliging(&[Obligation::QueueReview, Obligation::TellAuthor])
}

/// Held until a moderator has looked.
pub(crate) fn held(reason: &'static Reason, shown: bool, urgent: bool) -> Assessment {
    Assessment {
        time_out_minutes: Some(TIME_OUT_MINUTES),
        review_due_minutes: Some(review_due(urgent)),
        appeal_window_hours: APPEAL_WINDOW_HOURS,
        ..Assessment::held(shown, reason)
    }
}

const fn review_due(urgent: bool) -> u32 {
    if urgent {
        URGENT_REVIEW_MINUTES
    } else {
        TIME_OUT_MINUTES
    }
}
