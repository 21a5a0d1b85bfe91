//! What a viewer gets to see of a transition.

use std::collections::{BTreeSet, HashMap};

use gotong_engine::role_matrix::{Fields, Projection};
use gotong_engine::types::Relations;
use serde::Serialize;

use super::store::{
    self, EligibleRow, Filter, GateRow, ObjectionRow, Place, Status, TransitionRow,
};
use crate::app::App;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities::view::{Visible, visible, visible_among};
use crate::entities::{self, Entity};
use crate::http::context::ReadContext;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    eligible_people: Option<Vec<EligiblePerson>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct EligiblePerson {
    user_id: String,
    relations: Vec<String>,
}

/// What the projection of the entity means for its transitions.
#[derive(Debug)]
pub struct Seen {
    people: bool,
    scope: bool,
    /// The author, when the viewer may not know who that is.
    hidden_author: Option<String>,
}

impl Seen {
    /// `None`: the viewer sees no transitions of this entity.
    fn by(entity: &Entity, projection: &Projection) -> Option<Self> {
        let show = |field: Fields| projection.fields.contains(field);
        (projection.visible && show(Fields::TIMELINE)).then(|| Self {
            people: show(Fields::PEOPLE),
            scope: show(Fields::SCOPE),
            hidden_author: (!show(Fields::AUTHOR)).then(|| entity.row.author_id.clone()),
        })
    }

    fn person(&self, user_id: &str) -> bool {
        self.people && self.hidden_author.as_deref() != Some(user_id)
    }
}

/// What the command's actor sees. A decision: rule it before the event is appended.
pub fn seen_by_actor(work: &mut Work, entity: &Entity) -> Result<Seen, Refusal> {
    let projection = entities::view::project_for_actor(work, entity)?;
    // Whoever may act without seeing the timeline is answered without people.
    Ok(Seen::by(entity, &projection).unwrap_or(Seen {
        people: false,
        scope: false,
        hidden_author: None,
    }))
}

/// A transition with the people around it, as far as they are to be seen.
pub fn with_people(
    row: TransitionRow,
    eligible: Vec<EligibleRow>,
    objections: Vec<ObjectionRow>,
    seen: &Seen,
) -> TransitionView {
    let mut view = short(row, seen);
    if seen.people {
        let people = eligible
            .into_iter()
            .filter(|person| seen.person(&person.user_id));
        let people = people.map(|person| EligiblePerson {
            user_id: person.user_id,
            relations: person.relations,
        });
        view.record.gate.eligible_people = Some(people.collect());
        view.objections = Some(
            objections
                .into_iter()
                .filter(|objection| seen.person(&objection.user_id))
                .collect(),
        );
    }
    view
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
    Ok(with_people(row, eligible, objections, &seen))
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
    let by_hidden_author =
        seen.hidden_author.is_some() && row.actor.relations.contains(Relations::AUTHOR);
    let actor = seen.person(&row.actor.user_id) && !by_hidden_author;
    TransitionView {
        record: record(row, None, actor, seen.scope),
        objections: None,
    }
}

/// Some transitions, and behind which the next ones follow; `None`: that is all.
#[derive(Debug)]
pub struct Listed {
    pub items: Vec<TransitionView>,
    pub next: Option<Place>,
}

pub async fn timeline(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
    after: Option<&Place>,
    limit: usize,
) -> Result<Listed, Refusal> {
    let seen = look(app, context, entity_id).await?;
    let rows = store::timeline(&app.store, entity_id, after, limit).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(Place::of);
    Ok(Listed {
        items: rows.into_iter().map(|row| short(row, &seen)).collect(),
        next,
    })
}

/// Transitions across entities. Those the viewer may not know of leave no trace, also not in the cursor: rows are
/// read on until the page is full.
pub async fn list(
    app: &App,
    context: &ReadContext,
    filter: &Filter<'_>,
    limit: usize,
) -> Result<Listed, Refusal> {
    let mut items = Vec::with_capacity(limit);
    let mut entities: HashMap<String, Option<Seen>> = HashMap::new();
    let mut after = filter.after.cloned();
    loop {
        let filter = Filter {
            after: after.as_ref(),
            ..filter.clone()
        };
        let rows = store::list(&app.store, &filter, BATCH).await?;
        let ended = rows.len() < BATCH;
        let unseen: BTreeSet<&str> = rows
            .iter()
            .map(|row| row.entity_id.as_str())
            .filter(|entity_id| !entities.contains_key(*entity_id))
            .collect();
        let unseen = Vec::from_iter(unseen);
        let visible = visible_among(app, context, &unseen).await?;
        entities.extend(
            unseen
                .iter()
                .map(|entity_id| ((*entity_id).to_owned(), None)),
        );
        for Visible { entity, projection } in visible {
            let seen = Seen::by(&entity, &projection);
            entities.insert(entity.row.entity_id, seen);
        }
        for row in rows {
            let place = Place::of(&row);
            after = Some(place.clone());
            if let Some(Some(seen)) = entities.get(&row.entity_id) {
                items.push(short(row, seen));
                if items.len() == limit {
                    return Ok(Listed {
                        items,
                        next: Some(place),
                    });
                }
            }
        }
        if ended {
            return Ok(Listed { items, next: None });
        }
    }
}

/// Rows a read, whatever the page.
const BATCH: usize = 50;
