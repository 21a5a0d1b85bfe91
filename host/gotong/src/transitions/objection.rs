//! Objecting to what would pass by consent, and challenging a vote that was won: both put the matter to a
//! vote, under the policy the gate was opened under.

use gotong_engine::gate::{ChallengeFacts, ObjectFacts};
use gotong_engine::role_matrix::Action;
use gotong_store::Key;
use serde::Deserialize;

use super::store::{self, ObjectionKind, ObjectionRow, TransitionRow};
use super::view::{self, TransitionView};
use super::{Plan, Upon, ballot, close, terms};
use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities::{self, Entity};
use crate::ledger::event::{Event, EventKind};
use crate::request::Actor;
use crate::words::Reason;

/// `POST /v1/transitions/{id}/objections`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    pub reason: Reason,
}

/// `POST /v1/transitions/{id}/challenges`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    pub reason: Reason,
}

/// A gate of consent becomes a standard vote.
impl Command for Upon<Objection> {
    type Output = TransitionView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<TransitionView, Refusal> {
        let Self {
            entity_id,
            transition_id,
            input,
        } = self;
        let entity = entities::load(work, entity_id).await?;
        entity.authorize(work, Action::TransitionObject)?;
        let transition = ballot::load_open(work, transition_id).await?;
        let gate = &transition.gate;
        let facts = ObjectFacts {
            gate_type: gate.gate_type,
            phase: gate.phase,
            objector: entity.mine,
            eligible: gate.eligible,
            objections: gate.objections,
            risk: gate.risk,
            challenge_window_hours: gate.challenge_window_hours,
        };
        let given = work.rule_under(entity.id(), &gate.policy_digest, &facts)?;
        let plan = terms(work, given, false)?;
        reopen(
            work,
            &entity,
            transition,
            &plan,
            ObjectionKind::Objection,
            &input.reason,
        )
        .await
    }
}

/// A vote that was won is voted on again.
impl Command for Upon<Challenge> {
    type Output = TransitionView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<TransitionView, Refusal> {
        let Self {
            entity_id,
            transition_id,
            input,
        } = self;
        let entity = entities::load(work, entity_id).await?;
        entity.authorize(work, Action::ResultChallenge)?;
        let transition = ballot::load_open(work, transition_id).await?;
        let gate = &transition.gate;
        let facts = ChallengeFacts {
            gate_type: gate.gate_type,
            phase: gate.phase,
            challenger: entity.mine,
            eligible: gate.eligible,
            eligible_weight_permille: gate.eligible_weight_permille,
            challenges: gate.challenges,
            risk: gate.risk,
        };
        let given = work.rule_under(entity.id(), &gate.policy_digest, &facts)?;
        let plan = terms(work, given, false)?;
        reopen(
            work,
            &entity,
            transition,
            &plan,
            ObjectionKind::Challenge,
            &input.reason,
        )
        .await
    }
}

/// A fresh vote under new terms: a new window, a new timer, and for a challenge a new round of ballots.
async fn reopen(
    work: &mut Work,
    entity: &Entity,
    mut transition: TransitionRow,
    plan: &Plan,
    kind: ObjectionKind,
    reason: &Reason,
) -> Result<TransitionView, Refusal> {
    let seen = view::seen_by_actor(work, entity)?;
    let former = close::timer(&transition).job_id;
    transition.gate.renew(&plan.terms, work.now_ms());
    let timer = close::timer(&transition);
    // Two windows that end in the same millisecond have one timer, which then stays.
    if timer.job_id != former {
        work.cancel_job(&former);
        work.schedule(timer);
    }
    let event = match kind {
        ObjectionKind::Objection => {
            transition.gate.objections += 1;
            EventKind::TransitionObjected
        }
        ObjectionKind::Challenge => {
            transition.gate.challenges += 1;
            transition.gate.round += 1;
            EventKind::TransitionChallenged
        }
    };
    let row = ObjectionRow {
        transition_id: transition.transition_id.clone(),
        kind,
        user_id: work.actor().user_id.clone(),
        reason: reason.as_str().to_owned(),
        at_ms: work.now_ms(),
    };
    work.create(
        Key::parts("objection", (&row.transition_id, row.at_ms, &row.user_id)),
        &row,
    )?;
    work.merge(
        store::key(&transition.transition_id),
        &serde_json::json!({"gate": transition.gate}),
    )?;
    work.append(
        entity.id(),
        Event::new(event, transition.summary()).private("reason", &row.reason),
    )?;
    let whole = store::whole(&work.app.store, &row.transition_id).await?;
    let mut around = whole.ok_or(Refusal::NotFound("transition"))?.around;
    around.objections.push(row);
    Ok(view::with_people(transition, around, &seen))
}
