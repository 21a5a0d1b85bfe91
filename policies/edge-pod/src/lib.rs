//! Edge-Pod: what the models' answers lead to, and what is done without one.
//!
//! A model's answer is advice; a ruling of this module is what is done. Nothing here suspends a person, books
//! a credit or refuses a seed: that is for people. And there is always a course: [`fallback`] has one for
//! every endpoint and every failure, so that no matter waits for a model.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod credit;
pub mod duplicates;
pub mod fallback;
pub mod gaming;
pub mod media;
pub mod rules;
pub mod siaga;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use alloc::vec::Vec;

use gotong_policy::edge_pod::{
    CreditFacts, CreditRuling, DuplicateFacts, DuplicateRuling, DuplicatesFacts, EdgePod,
    FallbackFacts, FallbackRuling, GamingFacts, GamingRuling, MediaFacts, MediaManyFacts,
    MediaRuling, SiagaFacts, SiagaRuling,
};
use gotong_policy::types::RuleDoc;

/// What Gotong makes of Edge-Pod.
#[derive(Debug, Clone, Copy)]
pub struct GotongEdgePod;

impl EdgePod for GotongEdgePod {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(rules::RULES)
    }

    fn fallback(facts: FallbackFacts) -> FallbackRuling {
        fallback::fallback(&facts)
    }

    fn duplicate(facts: DuplicateFacts) -> DuplicateRuling {
        duplicates::duplicate(&facts)
    }

    fn duplicates(facts: DuplicatesFacts) -> Vec<DuplicateRuling> {
        facts.items.iter().map(duplicates::duplicate).collect()
    }

    fn gaming(facts: GamingFacts) -> GamingRuling {
        gaming::gaming(&facts)
    }

    fn media(facts: MediaFacts) -> MediaRuling {
        media::media(&facts)
    }

    fn media_many(facts: MediaManyFacts) -> Vec<MediaRuling> {
        facts.items.iter().map(media::media).collect()
    }

    fn credit(facts: CreditFacts) -> CreditRuling {
        credit::credit(&facts)
    }

    fn siaga(facts: SiagaFacts) -> SiagaRuling {
        siaga::siaga(&facts)
    }
}

gotong_policy::export!(GotongEdgePod as edge_pod);
