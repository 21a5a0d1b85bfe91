//! Moderation: what happens to content that people write.
//!
//! [`assess`] says what a scan's result means, [`expire`] what time does to a hold, [`report`] what readers do,
//! [`act`] what moderators may, [`appeal`] what authors may, and [`view`] who is told what. The content itself is
//! no fact: findings of closed sets, a confidence in permille, counts and durations are.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod act;
pub mod appeal;
pub mod assess;
pub mod expire;
pub mod findings;
pub mod limits;
pub mod report;
pub mod rules;
pub mod view;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use alloc::vec::Vec;

use gotong_policy::moderation::{
    ActFacts, ActRuling, AppealFacts, AppealRuling, AssessFacts, Assessment, ExpireFacts,
    ExpireManyFacts, ExpiryRuling, Moderation, Obligation, ReportFacts, ReportRuling, ViewFacts,
    ViewManyFacts, ViewRuling,
};
use gotong_policy::types::RuleDoc;

/// The moderation of Gotong.
#[derive(Debug, Clone, Copy)]
pub struct GotongModeration;

impl Moderation for GotongModeration {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(rules::RULES)
    }

    fn assess(facts: AssessFacts) -> Assessment {
        assess::assess(&facts)
    }

    fn expire(facts: ExpireFacts) -> ExpiryRuling {
        expire::expire(&facts)
    }

    fn expire_many(facts: ExpireManyFacts) -> Vec<ExpiryRuling> {
        facts.items.iter().map(expire::expire).collect()
    }

    fn report(facts: ReportFacts) -> ReportRuling {
        report::report(&facts)
    }

    fn act(facts: ActFacts) -> ActRuling {
        match act::act(&facts) {
            Ok(assessment) => ActRuling::allow(assessment),
            Err(reason) => ActRuling::deny(reason),
        }
    }

    fn appeal(facts: AppealFacts) -> AppealRuling {
        match appeal::appeal(&facts) {
            Ok(reason) => AppealRuling::allow(reason, &[Obligation::QueueReview]),
            Err(reason) => AppealRuling::deny(reason),
        }
    }

    fn view(facts: ViewFacts) -> ViewRuling {
        view::view(&facts)
    }

    fn view_many(facts: ViewManyFacts) -> Vec<ViewRuling> {
        facts.items.iter().map(view::view).collect()
    }
}

gotong_policy::export!(GotongModeration as moderation);
