//! Voting: one person of the snapshot, one ballot a round, secret and final.

use gotong_engine::gate::{GateType, Phase};
use gotong_engine::role_matrix::{Action, AuthorizeFacts};
use gotong_engine::types::Relations;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store::{self, BallotRow, EligibleRow, TransitionRow};
use super::{Upon, view};
use crate::app::App;
use crate::clock::Millis;
use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities;
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::{Actor, ReadContext};
use crate::rulings::authority;
use crate::tally::Choice;

/// `POST /v1/transitions/{id}/votes`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    pub choice: Choice,
}

/// What the voter is told: that the ballot lies in the urn.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Receipt {
    pub transition_id: String,
    pub round: u32,
    pub choice: Choice,
    pub at_ms: Millis,
}

/// A person's own ballots of a transition, for whoever may see that it is there. Read in the person's own session: the
/// database shows nobody else's, whatever stands here.
pub async fn own(
    app: &App,
    context: &ReadContext,
    actor: &Actor,
    transition_id: &str,
) -> Result<Vec<Receipt>, Refusal> {
    view::may_see(app, context, transition_id).await?;
    let person = app.store.as_person(&actor.user_id).await?;
    let ballots = store::own_ballots(&person, transition_id).await?;
    Ok(ballots
        .into_iter()
        .map(|ballot| Receipt {
            transition_id: ballot.transition_id,
            round: ballot.round,
            choice: ballot.choice,
            at_ms: ballot.at_ms,
        })
        .collect())
}

impl Command for Upon<Vote> {
    type Output = Receipt;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<Receipt, Refusal> {
        let Self {
            entity_id,
            transition_id,
            input,
        } = self;
        let entity = entities::load(work, entity_id).await?;
        let voter = store::voter(&work.app.store, transition_id, &work.actor().user_id).await?;
        let store::Voter {
            transition,
            eligible,
            has_voted,
        } = voter.ok_or(Refusal::NotFound("transition"))?;
        let snapshot = eligible.as_ref().map_or(Relations::empty(), relations);
        let facts = AuthorizeFacts {
            snapshot,
            ..entity.facts(work, Action::TransitionVote)
        };
        authority::authorize(work, entity.id(), &facts, &[])?;
        if !transition.is_open(work.now_ms()) || transition.gate.phase != Phase::Deciding {
            return Err(GATE_CLOSED);
        }
        if !matches!(
            transition.gate.gate_type,
            GateType::Vote | GateType::WeightedVote
        ) {
            return Err(Refusal::Conflict {
                code: Code::NoVoteOpen,
                detail: "this gate passes by consent: it is objected to, not voted on",
            });
        }
        if has_voted {
            return Err(Refusal::Conflict {
                code: Code::AlreadyVoted,
                detail: "your ballot is cast; it does not change",
            });
        }
        let (round, user_id, at_ms) = (
            transition.gate.round,
            work.actor().user_id.clone(),
            work.now_ms(),
        );
        let weight_permille = eligible.map_or(0, |row| row.weight_permille);
        let ballot = BallotRow {
            transition_id: transition.transition_id,
            round,
            user_id,
            choice: input.choice,
            weight_permille,
            at_ms,
        };
        work.create(
            store::ballot_key(&ballot.transition_id, round, &ballot.user_id),
            &ballot,
        )?;
        let event = Event::new(
            EventKind::BallotCast,
            json!({"transition_id": ballot.transition_id, "round": round}),
        );
        work.append(entity.id(), event.private("choice", ballot.choice))?;
        Ok(Receipt {
            transition_id: ballot.transition_id,
            round,
            choice: ballot.choice,
            at_ms,
        })
    }
}

/// The transition of a command. Its entity's stream is watched already, so it cannot go stale unseen.
pub async fn load(work: &Work, transition_id: &str) -> Result<TransitionRow, Refusal> {
    store::transition(&work.app.store, transition_id)
        .await?
        .ok_or(Refusal::NotFound("transition"))
}

/// The same, if its gate is open and its window has not ended, whether or not its timer has run yet.
pub async fn load_open(work: &Work, transition_id: &str) -> Result<TransitionRow, Refusal> {
    let transition = load(work, transition_id).await?;
    match transition.is_open(work.now_ms()) {
        true => Ok(transition),
        false => Err(GATE_CLOSED),
    }
}

const GATE_CLOSED: Refusal = Refusal::Conflict {
    code: Code::GateClosed,
    detail: "the window of this gate has ended",
};

fn relations(row: &EligibleRow) -> Relations {
    row.relations
        .iter()
        .filter_map(|word| word.parse::<Relations>().ok())
        .collect()
}

/// What somebody was when the gate opened; nothing for one who is not in the snapshot.
pub async fn snapshot_of(
    app: &App,
    transition_id: &str,
    user_id: &str,
) -> Result<Relations, Refusal> {
    let row = store::eligible(&app.store, transition_id, user_id).await?;
    Ok(row.as_ref().map_or(Relations::empty(), relations))
}
