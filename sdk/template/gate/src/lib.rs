//! {{name}}: when a stage may change, and how a gate closes.
//!
//! A starting point with one mechanism: every step is decided by a vote. Change the rules, their texts and the cases
//! together; `gotong policy test` says what does not fit.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;

use gotong_policy::gate::{
    ChallengeFacts, CloseFacts, CloseRuling, Gate, GateType, ObjectFacts, PlanFacts, Risk,
    StageDoc, StagesFacts, Terms, TermsRuling, WeighFacts, Weight,
};
use gotong_policy::types::{RuleDoc, Stage, Track};

gotong_policy::rules! {
    order: "A matter goes from each stage of its track to the next."
        [not_the_next_stage];
    lead: "Before a matter moves on, somebody leads it."
        [pic_required];
    vote: "Every step is decided by a vote of 48 hours, in which one in three takes part."
        [vote_opens, quorum_not_met];
    majority: "More than half of yes and no wins, and the result is final."
        [majority_yes, majority_no, final_result];
    ballots: "An open vote takes ballots, not objections."
        [vote_already_open];
}

/// How long a vote is open.
const VOTE_HOURS: u32 = 48;

/// The stages of a track, in order.
fn stages_of(track: Track) -> [Stage; 3] {
    match track {
        Track::Tuntaskan => [Stage::Keresahan, Stage::Garap, Stage::Tuntas],
        Track::Wujudkan => [Stage::Gagasan, Stage::Garap, Stage::Tuntas],
        Track::Telusuri => [Stage::Pertanyaan, Stage::Temuan, Stage::Tuntas],
        Track::Rayakan => [Stage::KabarBaik, Stage::Apresiasi, Stage::Tuntas],
        Track::Musyawarah => [Stage::Usul, Stage::Putuskan, Stage::Tuntas],
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy;

impl Gate for Policy {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(RULES)
    }

    fn plan(facts: PlanFacts) -> TermsRuling {
        let step = [facts.from_stage, facts.to_stage];
        let is_next = stages_of(facts.track).windows(2).any(|pair| pair == step);
        if !is_next || facts.track != facts.to_track {
            return TermsRuling::deny(order::not_the_next_stage);
        }
        if !facts.has_pic {
            return TermsRuling::deny(lead::pic_required);
        }
        let terms = Terms {
            gate_type: GateType::Vote,
            risk: Risk::Medium,
            window_hours: VOTE_HOURS,
            quorum: facts.eligible.div_ceil(3).max(1),
            threshold_permille: 500,
            ..Terms::AT_ONCE
        };
        TermsRuling::allow(vote::vote_opens, terms)
    }

    fn object(_: ObjectFacts) -> TermsRuling {
        TermsRuling::deny(ballots::vote_already_open)
    }

    fn challenge(_: ChallengeFacts) -> TermsRuling {
        TermsRuling::deny(majority::final_result)
    }

    fn close(facts: CloseFacts) -> CloseRuling {
        // In u64: a sum of three u32 may not fit an u32.
        let (yes, no) = (u64::from(facts.yes), u64::from(facts.no));
        if yes + no + u64::from(facts.abstain) < u64::from(facts.quorum) {
            CloseRuling::rejected(vote::quorum_not_met)
        } else if yes > no {
            CloseRuling::applied(majority::majority_yes)
        } else {
            CloseRuling::rejected(majority::majority_no)
        }
    }

    fn stages(facts: StagesFacts) -> Vec<StageDoc> {
        let stage = |stage| StageDoc {
            stage,
            optional: false,
        };
        stages_of(facts.track).into_iter().map(stage).collect()
    }

    fn weigh(_: WeighFacts) -> Weight {
        Weight { permille: 1000 }
    }
}

gotong_policy::export!(Policy as gate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_track_ends_in_tuntas() {
        for track in [
            Track::Tuntaskan,
            Track::Wujudkan,
            Track::Telusuri,
            Track::Rayakan,
            Track::Musyawarah,
        ] {
            assert_eq!(stages_of(track)[2], Stage::Tuntas);
        }
    }
}
