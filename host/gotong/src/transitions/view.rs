//! What a viewer gets to see of a transition.

use std::collections::{BTreeSet, HashMap};

use gotong_engine::role_matrix::{Fields, Projection};
use serde::Serialize;

use super::store::{
    self, Around, EligibleRow, Filter, GateRow, ObjectionRow, Place, Status, TransitionRow,
};
use crate::app::App;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities::view::{INLINED, Sight, Visible, visible, visible_among};
use crate::entities::{self, Entity};
use crate::request::{Listed, ReadContext};

/// A transition record. `actor`, `gate.eligible_people` and `objections` are null for viewers who may not
/// see the people of the entity; `gate.vote_tally` is null for everybody until the gate closes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TransitionView {
    #[serde(flatten)]
    record: Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    objections: Option<Vec<ObjectionRow>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
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

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct GateView {
    status: Status,
    #[serde(flatten)]
    gate: GateRow,
    /// The first 50 of those who could vote when the gate opened; `eligible` says how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    eligible_people: Option<Vec<EligiblePerson>>,
    /// There are more of them, to be read at `/v1/transitions/{id}/eligible`.
    #[serde(skip_serializing_if = "Option::is_none")]
    eligible_people_cut: Option<bool>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EligiblePerson {
    user_id: String,
    relations: Vec<String>,
}

/// What the projection of the entity means for its transitions.
#[derive(Debug)]
pub struct Seen {
    sight: Sight,
    scope: bool,
}

impl Seen {
    /// `None`: the viewer sees no transitions of this entity.
    fn by(entity: &Entity, projection: &Projection) -> Option<Self> {
        let show = |field: Fields| projection.fields.contains(field);
        (projection.visible && show(Fields::TIMELINE)).then(|| Self {
            sight: Sight::of(entity, projection),
            scope: show(Fields::SCOPE),
        })
    }
}

/// What the command's actor sees. A decision: rule it before the event is appended.
pub fn seen_by_actor(work: &mut Work, entity: &Entity) -> Result<Seen, Refusal> {
    let projection = entities::view::project_for_actor(work, entity)?;
    // Whoever may act without seeing the timeline is answered without people.
    Ok(Seen::by(entity, &projection).unwrap_or(Seen {
        sight: Sight::of_nobody(),
        scope: false,
    }))
}

/// A transition with the people around it, as far as they are to be seen.
pub fn with_people(row: TransitionRow, around: Around, seen: &Seen) -> TransitionView {
    let mut view = short(row, seen);
    if seen.sight.shows_people() {
        let gate = &mut view.record.gate;
        let (people, cut) = people(around.eligible, seen, INLINED);
        gate.eligible_people = Some(people);
        gate.eligible_people_cut = Some(cut);
        let objections = around.objections.into_iter();
        view.objections = Some(
            objections
                .filter(|objection| seen.sight.shows(&objection.user_id))
                .take(INLINED)
                .collect(),
        );
    }
    view
}

/// So many at most of those who are to be seen, and whether there are more. A hidden author takes up no place: a gap would
/// tell between whom.
fn people(rows: Vec<EligibleRow>, seen: &Seen, most: usize) -> (Vec<EligiblePerson>, bool) {
    let mut shown = rows
        .into_iter()
        .filter(|person| seen.sight.shows(&person.user_id))
        .map(|person| EligiblePerson {
            user_id: person.user_id,
            relations: person.relations,
        });
    let people = shown.by_ref().take(most).collect();
    (people, shown.next().is_some())
}

fn record(row: TransitionRow, actor: bool, scope: bool) -> Record {
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
            eligible_people: None,
            eligible_people_cut: None,
        },
    }
}

/// One transition, for a reader of its entity.
pub async fn read(
    app: &App,
    context: &ReadContext,
    transition_id: &str,
) -> Result<TransitionView, Refusal> {
    let whole = store::whole(&app.store, transition_id)
        .await?
        .ok_or(Refusal::NotFound("transition"))?;
    let seen = look(app, context, &whole.transition.entity_id).await?;
    Ok(with_people(whole.transition, whole.around, &seen))
}

/// Who could vote when the gate opened, as far as the reader may know who they are.
pub async fn eligible(
    app: &App,
    context: &ReadContext,
    transition_id: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Listed<EligiblePerson, String>, Refusal> {
    // One more than the page, and one who may be hidden.
    let (entity_id, rows) = store::eligible_people(&app.store, transition_id, after, limit + 2)
        .await?
        .ok_or(Refusal::NotFound("transition"))?;
    let seen = look(app, context, &entity_id).await?;
    if !seen.sight.shows_people() {
        return Err(Refusal::NotFound("transition"));
    }
    let (items, more) = people(rows, &seen, limit);
    let next = items.last().filter(|_| more);
    let next = next.map(|person| person.user_id.clone());
    Ok(Listed { items, next })
}

/// Whether the reader may know of a transition.
pub async fn may_see(app: &App, context: &ReadContext, transition_id: &str) -> Result<(), Refusal> {
    let entity_id = store::entity_of(&app.store, transition_id)
        .await?
        .ok_or(Refusal::NotFound("transition"))?;
    look(app, context, &entity_id).await.map(drop)
}

async fn look(app: &App, context: &ReadContext, entity_id: &str) -> Result<Seen, Refusal> {
    let Visible { entity, projection } = visible(app, context, entity_id).await?;
    Seen::by(&entity, &projection).ok_or(Refusal::NotFound("transition"))
}

fn short(row: TransitionRow, seen: &Seen) -> TransitionView {
    let actor = seen.sight.shows(&row.actor.user_id);
    TransitionView {
        record: record(row, actor, seen.scope),
        objections: None,
    }
}

pub async fn timeline(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
    after: Option<&Place>,
    limit: usize,
) -> Result<Listed<TransitionView, Place>, Refusal> {
    let seen = look(app, context, entity_id).await?;
    let rows = store::timeline(&app.store, entity_id, after, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(Place::of);
    Ok(Listed {
        items: rows.into_iter().map(|row| short(row, &seen)).collect(),
        next,
    })
}

/// Transitions across entities, newest first. Those the viewer may not know of are passed over, so many at most in one
/// request: what somebody hides costs nobody else more than that. A page may then be short, or empty, and have a `next`.
pub async fn list(
    app: &App,
    context: &ReadContext,
    filter: &Filter<'_>,
    limit: usize,
) -> Result<Listed<TransitionView, Place>, Refusal> {
    let looked = store::list(&app.store, filter).await?;
    let ids = looked.rows.iter().map(|row| row.entity_id.as_str());
    let ids = Vec::from_iter(BTreeSet::from_iter(ids));
    let seen: HashMap<String, Seen> = visible_among(app, context, &ids)
        .await?
        .into_iter()
        .filter_map(|Visible { entity, projection }| {
            let seen = Seen::by(&entity, &projection)?;
            Some((entity.row.entity_id, seen))
        })
        .collect();
    let mut items = Vec::with_capacity(limit);
    for row in looked.rows {
        let place = Place::of(&row);
        let Some(seen) = seen.get(&row.entity_id) else {
            continue;
        };
        items.push(short(row, seen));
        if items.len() == limit {
            let next = Some(place);
            return Ok(Listed { items, next });
        }
    }
    let next = looked.reached;
    Ok(Listed { items, next })
}
