//! {{name}}: what happens to content.
//!
//! A starting point: a scan holds, people decide. Change the rules, their texts and the cases together;
//! `gotong policy test` says what does not fit.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;

use gotong_policy::moderation::{
    ActFacts, ActRuling, AppealFacts, AppealRuling, AssessFacts, Assessment, ExpireFacts,
    ExpireManyFacts, ExpiryRuling, Moderation, Obligation, Parts, ReportFacts, ReportRuling,
    Response, Verdict, ViewFacts, ViewManyFacts, ViewRuling, Viewer,
};
use gotong_policy::types::{RuleDoc, TokenRole};

gotong_policy::rules! {
    scan: "Content in which a scan finds something, or that no scan has looked at, waits for a moderator."
        [clean, waits_for_a_moderator];
    hold: "Time ends no hold: a moderator does."
        [moderator_must_look];
    reports: "Verified people report content of others, each once; three reports hide it."
        [counted, enough_reports, report_does_not_count];
    moderators: "Moderators and admins decide, though never about what they wrote themselves."
        [decided, not_a_moderator, own_content];
    appeal: "The author may appeal once, within seven days."
        [appeal_opens, appeal_not_open];
    view: "Everybody sees what is shown; only the author and the moderators see the decision itself."
        [shown, decision, not_shown];
}

/// Seven days.
const APPEAL_HOURS: u32 = 168;

fn expire(_: &ExpireFacts) -> ExpiryRuling {
    ExpiryRuling::nothing(hold::moderator_must_look, None)
}

fn view(facts: &ViewFacts) -> ViewRuling {
    match facts.viewer {
        Viewer::Author | Viewer::Moderator => ViewRuling::of(Parts::all(), view::decision),
        Viewer::Public if facts.shown => {
            ViewRuling::of(Parts::CONTENT_ID | Parts::PUBLISHED_AT, view::shown)
        }
        Viewer::Public => ViewRuling::hidden(view::not_shown),
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy;

impl Moderation for Policy {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(RULES)
    }

    fn assess(facts: AssessFacts) -> Assessment {
        if facts.ai_answered && facts.violations.is_empty() {
            return Assessment::published(scan::clean);
        }
        Assessment::held(false, scan::waits_for_a_moderator)
            .obliging(&[Obligation::QueueReview, Obligation::ModeratorMustAct])
    }

    fn expire(facts: ExpireFacts) -> ExpiryRuling {
        expire(&facts)
    }

    fn expire_many(facts: ExpireManyFacts) -> Vec<ExpiryRuling> {
        facts.items.iter().map(expire).collect()
    }

    fn report(facts: ReportFacts) -> ReportRuling {
        if !facts.reporter_verified || facts.repeated || facts.is_author {
            return ReportRuling::deny(reports::report_does_not_count);
        }
        if facts.reports < 3 || !facts.shown {
            return ReportRuling::counted(Response::Flag, reports::counted, &[]);
        }
        let duties = [Obligation::QueueReview, Obligation::ModeratorMustAct];
        ReportRuling::hide(Assessment::held(false, reports::enough_reports).obliging(&duties))
    }

    fn act(facts: ActFacts) -> ActRuling {
        if !matches!(facts.role, TokenRole::Moderator | TokenRole::Admin) {
            return ActRuling::deny(moderators::not_a_moderator);
        }
        if facts.is_author {
            return ActRuling::deny(moderators::own_content);
        }
        let left = match facts.verdict {
            Verdict::Publish => Assessment::published(moderators::decided),
            Verdict::PublishWithWarning => {
                Assessment::published_with(facts.warnings, moderators::decided)
            }
            Verdict::Hold => Assessment::held(false, moderators::decided),
            Verdict::Reject => Assessment::rejected(moderators::decided),
        };
        ActRuling::allow(
            Assessment {
                appeal_window_hours: APPEAL_HOURS,
                ..left
            }
            .obliging(&[Obligation::TellAuthor]),
        )
    }

    fn appeal(facts: AppealFacts) -> AppealRuling {
        let open =
            facts.is_author && facts.appeals == 0 && facts.hours_since_decision <= APPEAL_HOURS;
        if open {
            AppealRuling::allow(appeal::appeal_opens, &[Obligation::QueueReview])
        } else {
            AppealRuling::deny(appeal::appeal_not_open)
        }
    }

    fn view(facts: ViewFacts) -> ViewRuling {
        view(&facts)
    }

    fn view_many(facts: ViewManyFacts) -> Vec<ViewRuling> {
        facts.items.iter().map(view).collect()
    }
}

gotong_policy::export!(Policy as moderation);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appeal_ends_with_its_seventh_day() {
        let rules = |hours_since_decision| {
            let facts = AppealFacts {
                action: gotong_policy::moderation::Action::Block,
                status: gotong_policy::moderation::Status::Rejected,
                is_author: true,
                hours_since_decision,
                answers_appeal: false,
                appeals: 0,
            };
            Policy::appeal(facts).reason
        };
        assert_eq!(rules(APPEAL_HOURS), "appeal_opens");
        assert_eq!(rules(APPEAL_HOURS + 1), "appeal_not_open");
    }
}
