//! What may happen while a gate is open: an objection to consent, a challenge to a won vote.

use gotong_policy::gate::{ChallengeFacts, GateType, ObjectFacts, Phase, Terms};
use gotong_policy::types::Relations;

use crate::plan::{LONG_VOTE_HOURS, Planned, VOTE_HOURS};
use crate::quorum::{Electorate, quorum, raised_quorum, threshold_permille};
use crate::rules::{challenge, objection};

/// Those who object and challenge.
const CIRCLE: Relations = Relations::AUTHOR
    .union(Relations::SAKSI)
    .union(Relations::PARTICIPANT)
    .union(Relations::PIC);

/// What an objection does to an open gate: the new terms.
///
/// # Errors
/// The reason why there is nothing to object to.
pub fn object(facts: &ObjectFacts) -> Planned {
    if !facts.objector.intersects(CIRCLE) {
        return Err(objection::not_related);
    }
    match (facts.phase, facts.gate_type) {
        (_, GateType::Emergency) => Err(objection::nothing_to_object_to),
        (Phase::Challenge, _) => Err(objection::window_is_for_challenges),
        (Phase::Deciding, GateType::Vote | GateType::WeightedVote) => {
            Err(objection::vote_already_open)
        }
        (Phase::Deciding, GateType::Consent) => {
            let electorate = Electorate {
                eligible: facts.eligible,
                weight_permille: 0,
            };
            let terms = Terms {
                gate_type: GateType::Vote,
                risk: facts.risk,
                window_hours: VOTE_HOURS,
                quorum: quorum(GateType::Vote, electorate),
                threshold_permille: threshold_permille(GateType::Vote),
                challenge_window_hours: facts.challenge_window_hours,
                audit_due_hours: 0,
            };
            Ok((objection::objection_forces_vote, terms))
        }
    }
}

/// What a challenge does to a won vote: the terms of the second vote.
///
/// # Errors
/// The reason why there is nothing to challenge.
pub fn challenge(facts: &ChallengeFacts) -> Planned {
    if !facts.challenger.intersects(CIRCLE) {
        return Err(challenge::not_related);
    }
    let voted = matches!(facts.gate_type, GateType::Vote | GateType::WeightedVote);
    if facts.phase != Phase::Challenge || !voted {
        return Err(challenge::no_result_to_challenge);
    }
    let electorate = Electorate {
        eligible: facts.eligible,
        weight_permille: facts.eligible_weight_permille,
    };
    let terms = Terms {
        gate_type: facts.gate_type,
        risk: facts.risk,
        window_hours: LONG_VOTE_HOURS,
        quorum: raised_quorum(facts.gate_type, electorate),
        threshold_permille: threshold_permille(facts.gate_type),
        challenge_window_hours: 0,
        audit_due_hours: 0,
    };
    Ok((challenge::second_vote, terms))
}
