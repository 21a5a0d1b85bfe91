//! Who is told what of content and of the decision on it.

use gotong_policy::moderation::{Action, Parts, Status, ViewFacts, ViewRuling, Viewer};

use crate::rules::{author_view, moderator_view, public_view};

/// The parts that everybody may know of content that is shown.
const PUBLIC: Parts = Parts::CONTENT_ID
    .union(Parts::STATUS)
    .union(Parts::PUBLISHED_AT)
    .union(Parts::WARNING_LABEL);

/// What a decision tells the author beside the public parts.
const DECISION: Parts = Parts::REASON_CODE
    .union(Parts::CATEGORIES)
    .union(Parts::APPEAL_WINDOW_UNTIL);

/// What a hold tells the author beside the decision.
const HOLD: Parts = Parts::HOLD_EXPIRES_AT.union(Parts::AUTO_RELEASE_IF_NO_ACTION);

/// What a viewer is told.
#[must_use]
pub fn view(facts: &ViewFacts) -> ViewRuling {
    match facts.viewer {
        Viewer::Moderator => ViewRuling::of(Parts::all(), moderator_view::told_moderator),
        Viewer::Author => author(facts),
        Viewer::Public => public(facts),
    }
}

fn author(facts: &ViewFacts) -> ViewRuling {
    match facts.status {
        Status::Processing => ViewRuling::of(
            Parts::CONTENT_ID | Parts::STATUS,
            author_view::scan_under_way,
        ),
        Status::UnderReview => ViewRuling::of(
            PUBLIC | summary(facts) | DECISION | HOLD,
            author_view::told_held_author,
        ),
        Status::Published | Status::Rejected => {
            ViewRuling::of(PUBLIC | summary(facts) | DECISION, author_view::told_author)
        }
    }
}

/// A block is never shown, whatever else the facts say of it.
fn public(facts: &ViewFacts) -> ViewRuling {
    let shown = facts.shown
        && facts.action != Action::Block
        && matches!(facts.status, Status::Published | Status::UnderReview);
    if !shown {
        return ViewRuling::hidden(public_view::hidden_from_all);
    }
    ViewRuling::of(PUBLIC | summary(facts), public_view::shown_to_all)
}

/// A summary stands in where a warning hides the content.
fn summary(facts: &ViewFacts) -> Parts {
    match facts.action {
        Action::PublishWithWarning | Action::HoldForReview => Parts::REDACTED_SUMMARY,
        Action::PublishNow | Action::Block => Parts::empty(),
    }
}
