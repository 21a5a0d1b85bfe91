//! What the end of a window means. Every case has an answer, also those the host never asks.

use gotong_policy::gate::{CloseFacts, CloseRuling, GateType, Phase};

use crate::rules::{challenge_close, consent_close, emergency_close, majority, quorum};

/// Applied, rejected, or waiting for challenges.
#[must_use]
pub fn close(facts: &CloseFacts) -> CloseRuling {
    match (facts.gate_type, facts.phase) {
        (GateType::Emergency, _) => CloseRuling::applied(emergency_close::emergency_applied),
        (GateType::Consent, _) if facts.objections == 0 => {
            CloseRuling::applied(consent_close::no_objection)
        }
        // An objection makes a vote of the gate, so that consent never ends with one.
        (GateType::Consent, _) => CloseRuling::rejected(consent_close::objected),
        (GateType::Vote | GateType::WeightedVote, Phase::Deciding) => count(facts),
        (GateType::Vote | GateType::WeightedVote, Phase::Challenge) if facts.challenges == 0 => {
            CloseRuling::applied(challenge_close::unchallenged)
        }
        // A challenge opens the second vote, so that a challenge window never ends with one.
        (GateType::Vote | GateType::WeightedVote, Phase::Challenge) => {
            CloseRuling::rejected(challenge_close::challenged)
        }
    }
}

fn count(facts: &CloseFacts) -> CloseRuling {
    let (yes, no) = (u64::from(facts.yes), u64::from(facts.no));
    if yes + no + u64::from(facts.abstain) < u64::from(facts.quorum) {
        return CloseRuling::rejected(quorum::quorum_not_met);
    }
    let needed = u64::from(facts.threshold_permille).saturating_mul(yes + no);
    if yes * 1000 <= needed {
        return CloseRuling::rejected(majority::majority_no);
    }
    match facts.challenge_window_hours {
        0 => CloseRuling::applied(majority::majority_yes),
        hours => CloseRuling::await_challenges(challenge_close::awaiting_challenges, hours),
    }
}
