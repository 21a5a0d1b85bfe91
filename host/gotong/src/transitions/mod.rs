//! Transitions: a stage changes only through a gate.
//!
//! Promises: one open gate per entity; eligibility is the snapshot taken when the gate opened; ballots are
//! secret until the close and never change; a gate closes exactly once, under the policy it was opened under.

pub mod ballot;
pub mod close;
pub mod electorate;
pub mod objection;
pub mod permissions;
pub mod routes;
mod store;
pub mod view;

use gotong_engine::Digest;
use gotong_engine::gate::{GateType, Obligation, PlanFacts, TermsRuling};
use gotong_engine::retention::{ClassifyFacts, Kind};
use gotong_engine::role_matrix::{self, Action};
use gotong_engine::types::{Effect, Stage};
use serde::Deserialize;
use serde_json::json;

use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities::{self, Entity};
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::Actor;
use crate::rulings::Given;
use crate::rulings::authority;
use crate::words::Id;
use electorate::Electorate;
use store::{Around, EligibleRow, TransitionRow};
use view::TransitionView;

/// `POST /v1/transitions`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    pub entity_id: Id,
    pub to_stage: Stage,
    /// How long a won vote waits for challenges.
    pub challenge_window_hours: Option<u32>,
    #[serde(default)]
    pub emergency: bool,
}

/// An input about one transition. The entity it belongs to never changes.
#[derive(Debug)]
pub struct Upon<I> {
    pub entity_id: String,
    pub transition_id: String,
    pub input: I,
}

/// Opens a gate, or applies at once what the policy lets happen at once.
impl Command for Propose {
    type Output = TransitionView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.as_str().to_owned()
    }

    async fn run(&self, work: &mut Work) -> Result<TransitionView, Refusal> {
        let entity = entities::load(work, self.entity_id.as_str()).await?;
        self.authorize(work, &entity)?;
        if entity.row.open_transition.is_some() {
            return Err(Refusal::Conflict {
                code: Code::GateOpen,
                detail: "a gate of this entity is open already; it has to close first",
            });
        }
        let electorate = electorate::gather(work, &entity).await?;
        let facts = plan_facts(work, &entity, self, &electorate).await?;
        let given = work.rule(entity.id(), &facts)?;
        let plan = terms(work, given, self.emergency)?;
        let seen = view::seen_by_actor(work, &entity)?;
        let kept = ClassifyFacts {
            kind: Kind::Transition,
        };
        let retention = work.rule(entity.id(), &kept)?.ruling.into();
        let mut transition = TransitionRow::proposed(work, &entity, &facts, &plan, retention);
        let proposed = Event::new(EventKind::TransitionProposed, transition.summary());
        transition.event_hash = work.append(entity.id(), proposed)?.hash;
        if plan.terms.gate_type == GateType::Emergency {
            close::apply(work, &entity.row, &mut transition, &plan.reason, &plan.rule)?;
        } else {
            open(work, &entity, &transition, &electorate)?;
        }
        work.create(
            store::timeline_key(&transition),
            &json!({"transition_id": transition.transition_id}),
        )?;
        for place in store::list_keys(&transition) {
            work.create(
                place,
                &json!({"transition_id": transition.transition_id, "occurred_at_ms": transition.occurred_at_ms}),
            )?;
        }
        work.create(store::key(&transition.transition_id), &transition)?;
        Ok(view::with_people(
            transition,
            Around {
                eligible: electorate.rows,
                objections: Vec::new(),
            },
            &seen,
        ))
    }
}

impl Propose {
    fn authorize(&self, work: &mut Work, entity: &Entity) -> Result<(), Refusal> {
        if !self.emergency {
            return entity.authorize(work, Action::TransitionPropose).map(drop);
        }
        // Carried out with the plan: the gate's terms say when the audit is due.
        let facts = entity.facts(work, Action::TransitionEmergency);
        authority::authorize(
            work,
            entity.id(),
            &facts,
            &[role_matrix::Obligation::AuditEmergency],
        )
        .map(drop)
    }
}

/// What the gate policy decides by.
async fn plan_facts(
    work: &Work,
    entity: &Entity,
    input: &Propose,
    electorate: &Electorate,
) -> Result<PlanFacts, Refusal> {
    Ok(PlanFacts {
        track: entity.row.track,
        from_stage: entity.row.stage,
        to_track: work
            .app
            .tracks(&entity.row.scope_id)
            .meant(entity.row.track, input.to_stage),
        to_stage: input.to_stage,
        members: electorate.members,
        eligible: electorate.eligible(),
        eligible_weight_permille: electorate.weight_permille(),
        has_pic: entity.row.pic_id.is_some(),
        evidence: crate::evidence::count(work, entity.id()).await?,
        challenge_window_hours: input.challenge_window_hours,
        emergency: input.emergency,
        // Weights come from Tandang's influence, which a later service reads: until then no scope weighs votes.
        weighted: false,
    })
}

/// A gate's terms, and the ruling they come from.
pub struct Plan {
    pub terms: gotong_engine::gate::Terms,
    pub reason: String,
    pub rule: String,
    pub decision_id: String,
    pub policy: Digest,
}

/// The terms of an allowed plan, objection or challenge; a refusal otherwise, also of terms that cannot be kept:
/// an emergency, and nothing else, has no window, and it has an audit.
pub fn terms(work: &Work, given: Given<TermsRuling>, emergency: bool) -> Result<Plan, Refusal> {
    let ruling = &given.ruling;
    if ruling.effect == Effect::Deny {
        return Err(given.refusal(&work.app, &ruling.reason, &ruling.rule));
    }
    let carried_out: &[Obligation] = if emergency {
        &[Obligation::AuditEmergency]
    } else {
        &[]
    };
    given.discharge(&ruling.obligations, carried_out)?;
    let Some(terms) = ruling.terms.clone() else {
        return Err(given.unfollowed(Code::PolicyTermsUnusable));
    };
    let at_once = terms.gate_type == GateType::Emergency;
    let audited = terms.audit_due_hours > 0 || !emergency;
    if at_once != emergency || (terms.window_hours == 0) != emergency || !audited {
        return Err(given.unfollowed(Code::PolicyTermsUnusable));
    }
    let (reason, rule) = (ruling.reason.clone(), ruling.rule.clone());
    Ok(Plan {
        terms,
        reason,
        rule,
        decision_id: given.decision_id,
        policy: given.policy,
    })
}

/// Opens the gate: who may vote is fixed now, and the timer is set in the same commit.
fn open(
    work: &mut Work,
    entity: &Entity,
    transition: &TransitionRow,
    electorate: &Electorate,
) -> Result<(), Refusal> {
    for person in &electorate.rows {
        let row = EligibleRow {
            transition_id: transition.transition_id.clone(),
            ..person.clone()
        };
        work.create(store::eligible_key(&row.transition_id, &row.user_id), &row)?;
    }
    entities::set_open_transition(work, entity.id(), Some(&transition.transition_id))?;
    work.schedule(close::timer(transition));
    Ok(())
}
