//! The end of a window. A timer closes a gate exactly once, under the same transition_id, however late it
//! runs and however often.

use gotong_engine::gate::{CloseFacts, GateType, Obligation, Outcome, Phase};
use gotong_engine::role_matrix::Action;
use gotong_store::Job;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ballot;
use super::store::{self, BallotRow, Status, TransitionRow, window_end};
use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities::{self, EntityRow};
use crate::jobs::{Attempts, Kind};
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::{Actor, TIMER_PREFIX};
use crate::tally::Tally;

/// Its word in the queue.
const CLOSE_GATE: &str = "close_gate";

/// What the timer job carries.
#[derive(Debug, Serialize, Deserialize)]
pub struct CloseGate {
    pub entity_id: String,
    pub transition_id: String,
    pub closes_at_ms: i64,
}

/// What a timer's command comes to.
#[derive(Debug, Serialize)]
pub struct Closed {
    pub transition_id: String,
    pub status: Status,
    /// The window this timer was set for had been replaced or closed before.
    pub stale: bool,
}

/// The job that ends the running window.
pub fn timer(transition: &TransitionRow) -> Job {
    let (entity_id, transition_id) = (
        transition.entity_id.clone(),
        transition.transition_id.clone(),
    );
    let payload = CloseGate {
        entity_id,
        transition_id,
        closes_at_ms: transition.gate.closes_at_ms,
    };
    Job {
        job_id: payload.job_id(),
        kind: CLOSE_GATE.to_owned(),
        stream: payload.entity_id.clone(),
        due_at_ms: payload.closes_at_ms,
        correlation_id: None,
        payload: json!(payload),
    }
}

impl CloseGate {
    /// One job for one window of one gate.
    fn job_id(&self) -> String {
        format!("{TIMER_PREFIX}{}:{}", self.transition_id, self.closes_at_ms)
    }
}

/// The kind of a gate's timer: as long as the gate is open, nothing else can happen to its entity, and only this job
/// closes it.
pub fn kind() -> Kind {
    Kind::command::<CloseGate>(CLOSE_GATE, Attempts::NeverGivenUp).needed()
}

/// Ends a window; its job is finished in the same commit.
impl Command for CloseGate {
    type Output = Closed;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<Closed, Refusal> {
        let entity = entities::load(work, &self.entity_id).await?;
        let mut transition = ballot::load(work, &self.transition_id).await?;
        let stale =
            transition.status != Status::Open || transition.gate.closes_at_ms != self.closes_at_ms;
        if !stale {
            entity.authorize(work, Action::TransitionPropose)?;
            end_window(work, &entity.row, &mut transition).await?;
        }
        Ok(Closed {
            transition_id: transition.transition_id,
            status: transition.status,
            stale,
        })
    }
}

async fn end_window(
    work: &mut Work,
    entity: &EntityRow,
    transition: &mut TransitionRow,
) -> Result<(), Refusal> {
    let gate = &mut transition.gate;
    let ballots = store::ballots(&work.app.store, &transition.transition_id, gate.round).await?;
    let tally = tally(gate.gate_type, &ballots);
    let facts = CloseFacts {
        gate_type: gate.gate_type,
        phase: gate.phase,
        objections: gate.objections,
        challenges: gate.challenges,
        yes: tally.yes,
        no: tally.no,
        abstain: tally.abstain,
        quorum: gate.quorum,
        threshold_permille: gate.threshold_permille,
        challenge_window_hours: gate.challenge_window_hours,
    };
    let given = work.rule_under(&entity.entity_id, &gate.policy_digest, &facts)?;
    // The result is announced by the timeline, which everybody with a relation reads.
    given.discharge(&given.ruling.obligations, &[Obligation::AnnounceResult])?;
    let no_window = given.unfollowed(Code::PolicyTermsUnusable);
    let ruling = given.ruling;
    if ruling.outcome != Outcome::AwaitChallenges {
        // Secret until the gate closes: a vote that is won but may be challenged is not closed yet.
        transition.gate.vote_tally =
            (transition.gate.gate_type != GateType::Consent).then_some(tally);
    }
    match ruling.outcome {
        Outcome::Applied => apply(work, entity, transition, &ruling.reason, &ruling.rule)?,
        Outcome::Rejected => {
            settle(
                work,
                transition,
                Status::Rejected,
                &ruling.reason,
                &ruling.rule,
            );
            entities::set_open_transition(work, &entity.entity_id, None)?;
            work.append(
                &entity.entity_id,
                Event::new(EventKind::TransitionRejected, transition.summary()),
            )?;
        }
        Outcome::AwaitChallenges => {
            if ruling.window_hours == 0 {
                return Err(no_window);
            }
            transition.gate.phase = Phase::Challenge;
            transition.gate.closes_at_ms = window_end(work.now_ms(), ruling.window_hours);
            work.schedule(timer(transition));
            work.append(
                &entity.entity_id,
                Event::new(EventKind::TransitionWon, transition.summary()),
            )?;
        }
    }
    work.merge(
        store::key(&transition.transition_id),
        &json!({"status": transition.status, "gate": transition.gate}),
    )
}

/// The stage changes. The transition's own row is the caller's to write.
pub fn apply(
    work: &mut Work,
    entity: &EntityRow,
    transition: &mut TransitionRow,
    reason: &str,
    rule: &str,
) -> Result<(), Refusal> {
    settle(work, transition, Status::Applied, reason, rule);
    entities::move_to(
        work,
        &entity.entity_id,
        transition.to_track,
        transition.to_stage,
    )?;
    work.append(
        &entity.entity_id,
        Event::new(EventKind::TransitionApplied, transition.summary()),
    )?;
    Ok(())
}

fn settle(work: &Work, transition: &mut TransitionRow, status: Status, reason: &str, rule: &str) {
    transition.status = status;
    transition.gate.closed_at_ms = Some(work.now_ms());
    transition.gate.reason = Some(reason.to_owned());
    transition.gate.rule = Some(rule.to_owned());
}

fn tally(gate_type: GateType, ballots: &[BallotRow]) -> Tally {
    let weight = |ballot: &BallotRow| {
        if gate_type == GateType::WeightedVote {
            ballot.weight_permille
        } else {
            1
        }
    };
    ballots.iter().fold(Tally::default(), |tally, ballot| {
        tally.with(ballot.choice, weight(ballot))
    })
}
