//! What a report by a reader does.

use gotong_policy::moderation::{Assessment, Obligation, ReportFacts, ReportRuling, Response};

use crate::assess::held;
use crate::limits::{FLAG_REPORTS, HIDE_REPORTS};
use crate::rules::{reporting, reports};

/// What a report does: it counts, it flags, it hides; or it does not count.
#[must_use]
pub fn report(facts: &ReportFacts) -> ReportRuling {
    if !facts.reporter_verified {
        return ReportRuling::deny(reporting::not_verified);
    }
    if facts.is_author {
        return ReportRuling::deny(reporting::own_content);
    }
    if !facts.shown {
        return ReportRuling::deny(reporting::not_shown);
    }
    if facts.repeated {
        return ReportRuling::deny(reporting::already_reported);
    }
    match facts.reports {
        HIDE_REPORTS.. => ReportRuling::hide(hidden()),
        FLAG_REPORTS.. => ReportRuling::counted(
            Response::Flag,
            reports::flagged_by_reports,
            &[Obligation::QueueReview],
        ),
        _ => ReportRuling::counted(Response::Nothing, reports::report_counted, &[]),
    }
}

/// What content is left at that so many have reported.
pub(crate) fn hidden() -> Assessment {
    held(reports::hidden_by_reports, false, true).obliging(&[
        Obligation::ModeratorMustAct,
        Obligation::QueueReview,
        Obligation::TellAuthor,
    ])
}
