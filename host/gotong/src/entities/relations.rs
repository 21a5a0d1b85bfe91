//! Becoming something to an entity, and ceasing to be.

use std::borrow::Cow;

use gotong_engine::UnknownWordError;
use gotong_engine::role_matrix::{Action, AuthorizeFacts};
use gotong_engine::types::Relations;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::store::{self, RelationRow};
use super::view::{self, Sight};
use super::{At, Entity, load};
use crate::clock::Millis;
use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::Actor;
use crate::rulings::authority;
use crate::words::UserId;

/// One relation, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Relation(pub Relations);

impl PartialSchema for Relation {
    fn schema() -> RefOr<Schema> {
        let words = Relations::ALL.iter().filter_map(|each| each.as_str());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words))
            .into()
    }
}

impl ToSchema for Relation {
    fn name() -> Cow<'static, str> {
        "Relation".into()
    }
}

impl TryFrom<String> for Relation {
    type Error = UnknownWordError;

    fn try_from(word: String) -> Result<Self, UnknownWordError> {
        word.parse().map(Self)
    }
}

/// `POST /v1/entities/{id}/relations`: without `user_id` for oneself, with it to appoint somebody.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    pub relation: Relation,
    pub user_id: Option<UserId>,
}

/// A relation as its holder sees it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RelationView {
    pub entity_id: String,
    pub user_id: String,
    pub username: String,
    pub relation: String,
    pub since_ms: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<Millis>,
}

impl From<RelationRow> for RelationView {
    fn from(row: RelationRow) -> Self {
        let RelationRow {
            entity_id,
            user_id,
            username,
            relation,
            since_ms,
            until_ms,
            ..
        } = row;
        Self {
            entity_id,
            user_id,
            username,
            relation,
            since_ms,
            until_ms,
        }
    }
}

/// Everybody who is something to an entity now, in the order of user ids.
pub async fn everybody(work: &Work, entity_id: &str) -> Result<Vec<RelationRow>, Refusal> {
    Ok(store::people(&work.app.store, entity_id).await?)
}

/// All the relations of some rows.
pub fn union(rows: &[RelationRow]) -> Relations {
    rows.iter()
        .fold(Relations::empty(), |all, row| all | row.flag())
}

/// What somebody is here, as far as the command's actor may know. One whom the actor may not know of is nothing: what
/// is ruled and answered is then what it would be about anybody else, and no guess can be told from another.
pub async fn known(
    work: &Work,
    entity: &Entity,
    sight: &Sight,
    user_id: &str,
) -> Result<Vec<RelationRow>, Refusal> {
    let held = store::relations_of(&work.app.store, entity.id(), user_id).await?;
    Ok(if sight.shows(user_id) {
        held
    } else {
        Vec::new()
    })
}

/// Which action asks for a relation for oneself; the others are given, not taken.
fn action_for(relation: Relations) -> Action {
    let taken = [
        (Relations::SAKSI, Action::CoWitness),
        (Relations::PARTICIPANT, Action::Participate),
        (Relations::VERIFIKATOR, Action::StandAsVerifikator),
    ];
    taken
        .into_iter()
        .find(|(each, _)| *each == relation)
        .map_or(Action::Appoint, |(_, action)| action)
}

/// The actor, or the person the actor appoints, becomes something to the entity.
impl Command for At<Take> {
    type Output = RelationView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<RelationView, Refusal> {
        let Self { entity_id, input } = self;
        let mut entity = load(work, entity_id).await?;
        let sought = input.relation.0;
        let subject_id = input
            .user_id
            .as_ref()
            .map_or_else(|| work.actor().user_id.clone(), |id| id.as_str().to_owned());
        let for_oneself = subject_id == work.actor().user_id;
        let held = if for_oneself {
            Vec::new()
        } else {
            let sight = view::sight_of_actor(work, &entity)?;
            known(work, &entity, &sight, &subject_id).await?
        };
        let subject = if for_oneself {
            entity.mine
        } else {
            union(&held)
        };
        let action = if for_oneself {
            action_for(sought)
        } else {
            Action::Appoint
        };
        let facts = AuthorizeFacts {
            sought,
            subject,
            subject_is_actor: for_oneself,
            ..entity.facts(work, action)
        };
        authority::authorize(work, entity_id, &facts, &[])?;
        if subject.contains(sought) {
            return Err(Refusal::Conflict {
                code: Code::RelationHeld,
                detail: "that relation is held already",
            });
        }
        let username = if for_oneself {
            work.actor().username.clone()
        } else {
            held.first()
                .map(|row| row.username.clone())
                .ok_or(Refusal::NotFound("person with a relation to this entity"))?
        };
        begin(work, &mut entity, &subject_id, &username, sought, subject).map(RelationView::from)
    }
}

/// Records that a relation began, of somebody who held others, or none.
pub fn begin(
    work: &mut Work,
    entity: &mut Entity,
    user_id: &str,
    username: &str,
    relation: Relations,
    held: Relations,
) -> Result<RelationRow, Refusal> {
    let row = RelationRow::begin(entity.id(), user_id, username, relation, work.now_ms());
    work.create(row.key(), &row)?;
    if held.is_empty() {
        entity.row.people_count = entity.row.people_count.saturating_add(1);
        save_count(work, entity)?;
    }
    let event = Event::new(
        EventKind::RelationStarted,
        json!({"entity_id": row.entity_id, "relation": row.relation}),
    );
    work.append(
        entity.id(),
        event.private("subject", json!({"user_id": user_id, "username": username})),
    )?;
    Ok(row)
}

/// The actor gives one of its own relations up.
impl Command for At<Relation> {
    type Output = RelationView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<RelationView, Refusal> {
        let Self {
            entity_id,
            input: relation,
        } = self;
        let mut entity = load(work, entity_id).await?;
        let facts = AuthorizeFacts {
            sought: relation.0,
            subject: entity.mine,
            subject_is_actor: true,
            ..entity.facts(work, Action::RelationEnd)
        };
        authority::authorize(work, entity_id, &facts, &[])?;
        let user_id = work.actor().user_id.clone();
        let row = store::relations_of(&work.app.store, entity_id, &user_id)
            .await?
            .into_iter()
            .find(|row| row.flag() == relation.0);
        let row = row.ok_or(Refusal::NotFound("relation"))?;
        let left = entity.mine.without(relation.0);
        finish(work, &mut entity, row, left).map(RelationView::from)
    }
}

/// Records that a relation ended, of somebody who is left with others, or none.
pub fn finish(
    work: &mut Work,
    entity: &mut Entity,
    row: RelationRow,
    left: Relations,
) -> Result<RelationRow, Refusal> {
    let ended = RelationRow {
        until_ms: Some(work.now_ms()),
        ..row
    };
    work.merge(ended.key(), &json!({"until_ms": ended.until_ms}))?;
    if left.is_empty() {
        entity.row.people_count = entity.row.people_count.saturating_sub(1);
        save_count(work, entity)?;
    }
    let event = Event::new(
        EventKind::RelationEnded,
        json!({"entity_id": ended.entity_id, "relation": ended.relation}),
    );
    work.append(
        entity.id(),
        event.private(
            "subject",
            json!({"user_id": ended.user_id, "username": ended.username}),
        ),
    )?;
    Ok(ended)
}

fn save_count(work: &mut Work, entity: &Entity) -> Result<(), Refusal> {
    work.merge(
        store::entity_key(entity.id()),
        &json!({"people_count": entity.row.people_count}),
    )
}
