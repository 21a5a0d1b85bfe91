//! Entities (seeds): sharing one, reading it, and what people are to it.
//!
//! Promises: the author's relation is made in the commit that shares the seed; a relation ends and is never
//! removed; there is at most one pic. Every action asks the role-matrix policy with facts from the store.

pub mod pic;
pub mod relations;
pub mod routes;
mod store;
pub mod view;

use gotong_engine::role_matrix::{Action, AuthorizeFacts};
use gotong_engine::types::{PrivacyLevel, Relations, Stage, Track};
use serde::Deserialize;
use serde_json::json;
use tracing::Instrument;

use crate::clock::Millis;
use crate::command::Command;
use crate::command::refusal::{Fault, Refusal};
use crate::command::work::Work;
use crate::ledger::event::{Event, EventKind};
use crate::request::Actor;
use crate::rulings::authority::{self, Matter};
use crate::words::{ScopeId, Text, Title};
pub use store::EntityRow;
use store::{RelationRow, SomePeople};
use view::EntityView;

/// `POST /v1/entities`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub track: Track,
    pub title: Title,
    #[serde(default = "no_text")]
    pub text: Text,
    pub scope_id: ScopeId,
    #[serde(default = "open")]
    pub privacy_level: PrivacyLevel,
}

fn no_text() -> Text {
    // The empty text is within its limits (0 to 2,000).
    Text::try_from(String::new()).unwrap_or_else(|_| unreachable!("the empty text is a text"))
}

fn open() -> PrivacyLevel {
    PrivacyLevel::Open
}

/// An input about one entity, as its path names it.
#[derive(Debug)]
pub struct At<I> {
    pub entity_id: String,
    pub input: I,
}

/// An entity as one actor meets it: the row, and what the actor is to it.
#[derive(Clone, Debug)]
pub struct Entity {
    pub row: EntityRow,
    /// The actor's own relations, now.
    pub mine: Relations,
}

impl Entity {
    pub fn id(&self) -> &str {
        &self.row.entity_id
    }

    /// The circumstances the role-matrix rules by.
    pub fn matter(&self, now_ms: Millis, viewer_id: &str) -> Matter {
        Matter {
            relations: self.mine,
            privacy: self.row.privacy_level,
            has_pic: self.row.pic_id.is_some(),
            nominee: match &self.row.nominee_id {
                None => authority::Nominee::Nobody,
                Some(nominee) if nominee == viewer_id => authority::Nominee::Actor,
                Some(_) => authority::Nominee::SomeoneElse,
            },
            seed_age_ms: u64::try_from(now_ms - self.row.created_at_ms).unwrap_or_default(),
        }
    }

    /// Facts for an action of the command's actor.
    pub fn facts(&self, work: &Work, action: Action) -> AuthorizeFacts {
        authority::facts(
            action,
            authority::standing(
                work.actor(),
                work.context.trigger,
                &self.matter(work.now_ms(), &work.actor().user_id),
            ),
        )
    }

    /// May the command's actor do this here?
    pub fn authorize(
        &self,
        work: &mut Work,
        action: Action,
    ) -> Result<authority::Allowed, Refusal> {
        let facts = self.facts(work, action);
        authority::authorize(work, self.id(), &facts, &[])
    }
}

/// Loads an entity and the actor's relations to it, at a version that the commit checks again.
pub async fn load(work: &mut Work, entity_id: &str) -> Result<Entity, Refusal> {
    let step = tracing::debug_span!("load", correlation_id = work.context.correlation_id);
    facts(work, entity_id).instrument(step).await
}

async fn facts(work: &mut Work, entity_id: &str) -> Result<Entity, Refusal> {
    work.watch(entity_id).await?;
    let (row, mine) = store::entity_for(&work.app.store, entity_id, &work.actor().user_id).await?;
    let row = row.ok_or(Refusal::NotFound("entity"))?;
    work.locate(entity_id, &row.scope_id);
    Ok(Entity {
        row,
        mine: relations::union(&mine),
    })
}

/// Notes the transition whose gate is open; none when that was decided.
pub fn set_open_transition(
    work: &mut Work,
    entity_id: &str,
    transition_id: Option<&str>,
) -> Result<(), Refusal> {
    work.merge(
        store::entity_key(entity_id),
        &json!({"open_transition": transition_id}),
    )
}

/// Changes the stage, which ends whatever was open.
pub fn move_to(
    work: &mut Work,
    entity_id: &str,
    track: Track,
    stage: Stage,
) -> Result<(), Refusal> {
    let moved = json!({
        "track": track,
        "stage": stage,
        "stage_since_ms": work.now_ms(),
        "open_transition": null,
    });
    work.merge(store::entity_key(entity_id), &moved)
}

impl Command for Share {
    type Output = EntityView;

    fn scope(&self, actor: &Actor) -> String {
        format!("create:entity:{}", actor.user_id)
    }

    async fn run(&self, work: &mut Work) -> Result<EntityView, Refusal> {
        let entity_id = work.mint();
        let actor = work.actor().clone();
        work.locate(&entity_id, self.scope_id.as_str());
        let facts = authority::facts(
            Action::EntityCreate,
            authority::standing(
                &actor,
                work.context.trigger,
                &Matter::of_a_new_seed(self.privacy_level),
            ),
        );
        authority::authorize(work, &entity_id, &facts, &[])?;
        let first = work
            .app
            .tracks(self.scope_id.as_str())
            .first(self.track)
            .ok_or_else(|| Fault::Broken(format!("the track {} has no stages", self.track)))?;
        let now_ms = work.now_ms();
        let row = EntityRow {
            entity_id: entity_id.clone(),
            track: self.track,
            stage: first,
            title: self.title.as_str().to_owned(),
            text: self.text.as_str().to_owned(),
            scope_id: self.scope_id.as_str().to_owned(),
            privacy_level: self.privacy_level,
            author_id: actor.user_id.clone(),
            author_username: actor.username.clone(),
            pic_id: None,
            pic_username: None,
            nominee_id: None,
            open_transition: None,
            people_count: 1,
            created_at_ms: now_ms,
            stage_since_ms: now_ms,
        };
        let author = RelationRow::begin(
            &entity_id,
            &actor.user_id,
            &actor.username,
            Relations::AUTHOR,
            now_ms,
        );
        let entity = Entity {
            row,
            mine: Relations::AUTHOR,
        };
        // Ruled before the event, so that the chain holds this decision too.
        // Whoever shares a seed knows its author.
        let people = SomePeople {
            rows: vec![author.clone()],
            reached: None,
        };
        let view = view::of_command(work, &entity, people)?;
        work.begin(&entity_id);
        work.create(store::entity_key(&entity_id), &entity.row)?;
        work.create(author.key(), &author)?;
        let EntityRow {
            track,
            stage,
            scope_id,
            privacy_level,
            title,
            text,
            ..
        } = &entity.row;
        let event = Event::new(
            EventKind::EntityShared,
            json!({"entity_id": entity_id, "track": track, "stage": stage, "scope_id": scope_id, "privacy_level": privacy_level}),
        );
        work.append(
            &entity_id,
            event.private("title", title).private("text", text),
        )?;
        Ok(view)
    }
}
