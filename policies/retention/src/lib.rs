//! Retention: what is kept, for how long, and what becomes of it.
//!
//! [`schedule`] is the table, one line a kind; [`classify`] makes the tag of it that is written beside an
//! event, [`due`] says what a sweep does with one record now. Every span is this module's constant: a
//! community that wants others ships another module.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod classify;
pub mod due;
pub mod rules;
pub mod schedule;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use alloc::vec::Vec;

use gotong_policy::retention::{
    ClassifyFacts, ClassifyManyFacts, DueFacts, DueManyFacts, DueRuling, Retention, Tag,
};
use gotong_policy::types::RuleDoc;

/// The retention of Gotong.
#[derive(Debug, Clone, Copy)]
pub struct GotongRetention;

impl Retention for GotongRetention {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(rules::RULES)
    }

    fn classify(facts: ClassifyFacts) -> Tag {
        classify::classify(facts.kind)
    }

    fn classify_many(facts: ClassifyManyFacts) -> Vec<Tag> {
        let items = facts.items.into_iter();
        items.map(|item| classify::classify(item.kind)).collect()
    }

    fn due(facts: DueFacts) -> DueRuling {
        due::due(&facts)
    }

    fn due_many(facts: DueManyFacts) -> Vec<DueRuling> {
        facts.items.iter().map(due::due).collect()
    }
}

gotong_policy::export!(GotongRetention as retention);
