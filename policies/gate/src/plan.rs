//! The table of gates: which step is decided how.

use gotong_policy::Reason;
use gotong_policy::gate::{GateType, PlanFacts, Risk, Terms};
use gotong_policy::types::{Stage, Track};

use crate::quorum::{Electorate, quorum, raised_quorum, threshold_permille};
use crate::rules::{
    accountable_lead, challenge_window, completion, emergency, forward_step, funding, order, plan,
    proof, seed, small_plan, track_change, work,
};
use crate::tracks;

/// Fewer members than this agree on a plan by consent.
pub const SMALL_GROUP: u32 = 5;
/// The window of a consent gate.
pub const CONSENT_HOURS: u32 = 24;
/// The window of a medium-risk vote.
pub const VOTE_HOURS: u32 = 48;
/// The window of a high-risk vote, and of every weighted one.
pub const LONG_VOTE_HOURS: u32 = 72;
/// How long a changed track waits for challenges when nothing else is configured.
pub const TRACK_CHANGE_CHALLENGE_HOURS: u32 = 72;
/// How soon an emergency is audited: 7 days.
pub const AUDIT_DUE_HOURS: u32 = 168;
/// The longest challenge window: 30 days.
pub const MOST_CHALLENGE_HOURS: u32 = 720;

/// The reason of a gate and what it holds to, or why there is none.
pub type Planned = Result<(&'static Reason, Terms), &'static Reason>;

/// May this step be proposed, and how is it decided?
///
/// # Errors
/// The reason why the step cannot be proposed.
pub fn plan(facts: &PlanFacts) -> Planned {
    if facts.from_stage == Stage::Tuntas {
        return Err(order::already_tuntas);
    }
    if facts.track != facts.to_track {
        return change_track(facts);
    }
    tracks::step(facts.track, facts.from_stage, facts.to_stage)?;
    if facts.emergency {
        no_challenge_window(facts)?;
        return Ok((emergency::emergency, emergency_terms()));
    }
    if tracks::is_past_bahas(facts.track, facts.to_stage) && !facts.has_pic {
        return Err(accountable_lead::pic_required);
    }
    row(facts)
}

/// The table, row by row. Order matters only where galang meets rancang or garap: galang goes first.
fn row(facts: &PlanFacts) -> Planned {
    match (facts.from_stage, facts.to_stage) {
        (from, _) if tracks::is_first(facts.track, from) => consent(facts, seed::consent),
        (Stage::Bahas, Stage::Rancang) if facts.members < SMALL_GROUP => {
            consent(facts, small_plan::consent)
        }
        (Stage::Bahas, Stage::Rancang) => {
            medium_vote(facts, plan::standard_vote, plan::weighted_vote)
        }
        (Stage::Galang, _) | (_, Stage::Galang) => {
            medium_vote(facts, funding::standard_vote, funding::weighted_vote)
        }
        (Stage::Rancang | Stage::Bahas, Stage::Garap) => {
            medium_vote(facts, work::standard_vote, work::weighted_vote)
        }
        (Stage::Garap, Stage::Periksa) => {
            if facts.evidence == 0 {
                return Err(proof::proof_required);
            }
            high_vote(facts, proof::standard_vote, proof::weighted_vote)
        }
        (Stage::Periksa, Stage::Tuntas) => {
            if facts.challenge_window_hours.is_none() {
                return Err(completion::challenge_window_required);
            }
            high_vote(facts, completion::standard_vote, completion::weighted_vote)
        }
        _ => medium_vote(
            facts,
            forward_step::standard_vote,
            forward_step::weighted_vote,
        ),
    }
}

fn change_track(facts: &PlanFacts) -> Planned {
    let allowed = facts.track == Track::Telusuri
        && facts.from_stage == Stage::Temuan
        && matches!(facts.to_track, Track::Tuntaskan | Track::Wujudkan)
        && !facts.emergency;
    if !allowed {
        return Err(track_change::track_change_not_allowed);
    }
    if !tracks::stages(facts.to_track)
        .iter()
        .any(|doc| doc.stage == facts.to_stage)
    {
        return Err(order::stage_of_another_track);
    }
    if !tracks::is_first(facts.to_track, facts.to_stage) {
        return Err(order::stage_skipped);
    }
    let (reason, terms) = high_vote(
        facts,
        track_change::standard_vote,
        track_change::weighted_vote,
    )?;
    // A proposer may give more time to challenge a change of track, not less.
    let challenge_window_hours = facts
        .challenge_window_hours
        .unwrap_or(TRACK_CHANGE_CHALLENGE_HOURS)
        .max(TRACK_CHANGE_CHALLENGE_HOURS);
    let quorum = raised_quorum(terms.gate_type, electorate(facts));
    Ok((
        reason,
        Terms {
            quorum,
            challenge_window_hours,
            ..terms
        },
    ))
}

fn consent(facts: &PlanFacts, reason: &'static Reason) -> Planned {
    no_challenge_window(facts)?;
    let terms = Terms {
        gate_type: GateType::Consent,
        risk: Risk::Low,
        window_hours: CONSENT_HOURS,
        ..Terms::AT_ONCE
    };
    Ok((reason, terms))
}

fn medium_vote(facts: &PlanFacts, standard: &'static Reason, weighted: &'static Reason) -> Planned {
    vote(facts, Risk::Medium, VOTE_HOURS, standard, weighted)
}

fn high_vote(facts: &PlanFacts, standard: &'static Reason, weighted: &'static Reason) -> Planned {
    vote(facts, Risk::High, LONG_VOTE_HOURS, standard, weighted)
}

fn vote(
    facts: &PlanFacts,
    risk: Risk,
    hours: u32,
    standard: &'static Reason,
    weighted: &'static Reason,
) -> Planned {
    let challenge_window_hours = match facts.challenge_window_hours {
        None => 0,
        Some(hours @ 1..=MOST_CHALLENGE_HOURS) => hours,
        Some(_) => return Err(challenge_window::challenge_window_out_of_bounds),
    };
    let (reason, gate_type, window_hours) = if facts.weighted {
        (weighted, GateType::WeightedVote, LONG_VOTE_HOURS)
    } else {
        (standard, GateType::Vote, hours)
    };
    let terms = Terms {
        gate_type,
        risk,
        window_hours,
        quorum: quorum(gate_type, electorate(facts)),
        threshold_permille: threshold_permille(gate_type),
        challenge_window_hours,
        audit_due_hours: 0,
    };
    Ok((reason, terms))
}

fn emergency_terms() -> Terms {
    Terms {
        audit_due_hours: AUDIT_DUE_HOURS,
        ..Terms::AT_ONCE
    }
}

fn no_challenge_window(facts: &PlanFacts) -> Result<(), &'static Reason> {
    match facts.challenge_window_hours {
        None => Ok(()),
        Some(_) => Err(challenge_window::challenge_window_not_applicable),
    }
}

fn electorate(facts: &PlanFacts) -> Electorate {
    Electorate {
        eligible: facts.eligible,
        weight_permille: facts.eligible_weight_permille,
    }
}
