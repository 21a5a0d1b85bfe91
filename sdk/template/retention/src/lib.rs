//! {{name}}: what is kept, for how long, and what becomes of it.
//!
//! A starting point with two spans. Change the rules, their texts and the cases together; `gotong policy test` says
//! what does not fit.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;

use gotong_policy::retention::{
    ClassifyFacts, ClassifyManyFacts, DueFacts, DueManyFacts, DueRuling, Kind, Measure, OnExpiry,
    Retention, Tag,
};
use gotong_policy::types::RuleDoc;

gotong_policy::rules! {
    record: "What a community decided and did is kept."
        [kept];
    passing: "Messages, notifications, deliveries, positions and what a vault held go after 30 days."
        [goes_after_30_days, not_yet, over];
    needed: "Nothing goes while an open matter needs it."
        [still_needed];
}

/// 30 days.
const PASSING_HOURS: u32 = 720;

fn passes(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ChatMessage
            | Kind::ChatDeletedBody
            | Kind::Notification
            | Kind::DeliveryLog
            | Kind::SiagaResponder
            | Kind::ModelAnswer
            | Kind::VaultPayload
    )
}

fn classify(kind: Kind) -> Tag {
    if passes(kind) {
        Tag::until(
            "passing",
            PASSING_HOURS,
            OnExpiry::DeletePayload,
            passing::goes_after_30_days,
        )
    } else {
        Tag::keep("record", record::kept)
    }
}

fn due(facts: &DueFacts) -> DueRuling {
    if !passes(facts.kind) {
        return DueRuling::nothing(record::kept, None);
    }
    if facts.needed {
        return DueRuling::nothing(needed::still_needed, None);
    }
    match PASSING_HOURS.checked_sub(facts.age_hours) {
        None | Some(0) => DueRuling::now(Measure::DeletePayload, passing::over),
        left => DueRuling::nothing(passing::not_yet, left),
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy;

impl Retention for Policy {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(RULES)
    }

    fn classify(facts: ClassifyFacts) -> Tag {
        classify(facts.kind)
    }

    fn classify_many(facts: ClassifyManyFacts) -> Vec<Tag> {
        facts.items.iter().map(|item| classify(item.kind)).collect()
    }

    fn due(facts: DueFacts) -> DueRuling {
        due(&facts)
    }

    fn due_many(facts: DueManyFacts) -> Vec<DueRuling> {
        facts.items.iter().map(due).collect()
    }
}

gotong_policy::export!(Policy as retention);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_never_due() {
        for kind in Kind::ALL.into_iter().filter(|kind| !passes(*kind)) {
            assert_eq!(classify(kind).on_expiry, OnExpiry::Keep);
        }
    }
}
