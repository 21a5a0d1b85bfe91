//! What a viewer gets to see of a transition.

use gotong_engine::role_matrix::Fields;
use gotong_engine::types::Relations;
use serde::Serialize;

use super::store::{self, EligibleRow, Filter, GateRow, ObjectionRow, Status, TransitionRow};
use crate::app::App;
use crate::command::refusal::Refusal;
use crate::entities::view::{Visible, visible};
use crate::http::context::ReadContext;

/// A transition record. `actor`, `gate.eligible_people` and `objections` are null for viewers who may not
/// see the people of the entity; `gate.vote_tally` is null for everybody until the gate closes.
#[derive(Debug, Serialize)]
pub struct TransitionView {
    #[serde(flatten)]
    record: Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    objections: Option<Vec<ObjectionRow>>,
}

#[derive(Debug, Serialize)]
struct Record {
    transition_id: String,
    entity_id: String,
    scope_id: Option<String>,
    track: gotong_engine::types::Track,
    to_track: gotong_engine::types::Track,
    from_stage: gotong_engine::types::Stage,
    to_stage: gotong_engine::types::Stage,
    transition_type: store::TransitionType,
    mechanism: gotong_engine::types::Trigger,
    status: Status,
    actor: Option<store::ActorSnapshot>,
    occurred_at_ms: i64,
    request_id: Option<String>,
    correlation_id: Option<String>,
    retention_tag: store::RetentionTag,
    event_hash: String,
    decision_id: String,
    gate: GateView,
}

#[derive(Debug, Serialize)]
struct GateView {
    status: Status,
    #[serde(flatten)]
    gate: GateRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    eligible_people: Option<Vec<EligiblePerson>>,
}

#[derive(Debug, Serialize)]
struct EligiblePerson {
    user_id: String,
    relations: Vec<String>,
}

/// Everything, for somebody who took part.
pub fn full(
    row: TransitionRow,
    eligible: Vec<EligibleRow>,
    objections: Vec<ObjectionRow>,
) -> TransitionView {
    let people = eligible
        .into_iter()
        .map(|person| EligiblePerson {
            user_id: person.user_id,
            relations: person.relations,
        })
        .collect();
    TransitionView {
        record: record(row, Some(people), true, true),
        objections: Some(objections),
    }
}

fn record(
    row: TransitionRow,
    eligible_people: Option<Vec<EligiblePerson>>,
    actor: bool,
    scope: bool,
) -> Record {
    Record {
        transition_id: row.transition_id,
        entity_id: row.entity_id,
        scope_id: scope.then_some(row.scope_id),
        track: row.track,
        to_track: row.to_track,
        from_stage: row.from_stage,
        to_stage: row.to_stage,
        transition_type: row.transition_type,
        mechanism: row.mechanism,
        status: row.status,
        actor: actor.then_some(row.actor),
        occurred_at_ms: row.occurred_at_ms,
        request_id: actor.then_some(row.request_id),
        correlation_id: actor.then_some(row.correlation_id),
        retention_tag: row.retention_tag,
        event_hash: row.event_hash,
        decision_id: row.decision_id,
        gate: GateView {
            status: row.status,
            gate: row.gate,
            eligible_people,
        },
    }
}

/// One transition, for a reader of its entity.
pub async fn read(
    app: &App,
    context: &ReadContext,
    transition_id: &str,
) -> Result<TransitionView, Refusal> {
    let row = store::transition(&app.store, transition_id)
        .await?
        .ok_or(Refusal::NotFound("transition"))?;
    let seen = look(app, context, &row.entity_id).await?;
    let eligible = store::snapshot(&app.store, transition_id).await?;
    let objections = store::objections(&app.store, transition_id).await?;
    let hidden = seen.hidden_author.clone();
    let shown = |user_id: &str| hidden.as_deref() != Some(user_id);
    let mut view = short(row, &seen);
    if seen.people {
        let people = eligible.into_iter().filter(|person| shown(&person.user_id));
        view.record.gate.eligible_people = Some(
            people
                .map(|person| EligiblePerson {
                    user_id: person.user_id,
                    relations: person.relations,
                })
                .collect(),
        );
        view.objections = Some(
            objections
                .into_iter()
                .filter(|objection| shown(&objection.user_id))
                .collect(),
        );
    }
    Ok(view)
}

/// What the projection of the entity means for its transitions.
struct Seen {
    people: bool,
    scope: bool,
    /// The author, when the viewer may not know who that is.
    hidden_author: Option<String>,
}

async fn look(app: &App, context: &ReadContext, entity_id: &str) -> Result<Seen, Refusal> {
    let Visible { entity, projection } = visible(app, context, entity_id).await?;
    let show = |field: Fields| projection.fields.contains(field);
    if !show(Fields::TIMELINE) {
        return Err(Refusal::NotFound("transition"));
    }
    Ok(Seen {
        people: show(Fields::PEOPLE),
        scope: show(Fields::SCOPE),
        hidden_author: (!show(Fields::AUTHOR)).then_some(entity.row.author_id),
    })
}

fn short(row: TransitionRow, seen: &Seen) -> TransitionView {
    let by_author = row.actor.relations.contains(Relations::AUTHOR)
        || seen.hidden_author.as_deref() == Some(&row.actor.user_id);
    let actor = seen.people && !(seen.hidden_author.is_some() && by_author);
    TransitionView {
        record: record(row, None, actor, seen.scope),
        objections: None,
    }
}

/// One page of transitions, and where the next begins.
#[derive(Debug, Serialize)]
pub struct Page {
    pub items: Vec<TransitionView>,
    pub next: Option<String>,
}

pub async fn timeline(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
    after: Option<(i64, &str)>,
    limit: usize,
) -> Result<Page, Refusal> {
    let seen = look(app, context, entity_id).await?;
    let rows = store::timeline(&app.store, entity_id, after, limit).await?;
    let next = cursor(&rows, limit);
    Ok(Page {
        items: rows.into_iter().map(|row| short(row, &seen)).collect(),
        next,
    })
}

/// Transitions across entities: those the viewer may not know of are left out.
pub async fn list(
    app: &App,
    context: &ReadContext,
    filter: &Filter<'_>,
    limit: usize,
) -> Result<Page, Refusal> {
    let rows = store::list(&app.store, filter, limit).await?;
    let next = cursor(&rows, limit);
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match look(app, context, &row.entity_id).await {
            Ok(seen) => items.push(short(row, &seen)),
            Err(Refusal::NotFound(_)) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(Page { items, next })
}

fn cursor(rows: &[TransitionRow], limit: usize) -> Option<String> {
    rows.last()
        .filter(|_| rows.len() == limit)
        .map(|row| format!("{}.{}", row.occurred_at_ms, row.transition_id))
}
