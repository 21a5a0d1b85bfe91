//! Rows of entities and relations, and how they are read.

use gotong_engine::types::{PrivacyLevel, Relations, Stage, Track};
use gotong_store::{Key, KeyRange, Store, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntityRow {
    pub entity_id: String,
    pub track: Track,
    pub stage: Stage,
    pub title: String,
    pub text: String,
    pub scope_id: String,
    pub privacy_level: PrivacyLevel,
    pub author_id: String,
    pub author_username: String,
    pub pic_id: Option<String>,
    pub nominee_id: Option<String>,
    pub open_transition: Option<String>,
    pub created_at_ms: Millis,
    pub stage_since_ms: Millis,
}

/// What one person is, or was, to one entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RelationRow {
    /// One time of holding it: somebody may leave and come back.
    pub relation_id: String,
    pub entity_id: String,
    pub user_id: String,
    pub username: String,
    /// The word of one relation.
    pub relation: String,
    pub since_ms: Millis,
    pub until_ms: Option<Millis>,
}

impl RelationRow {
    pub fn begin(
        entity_id: &str,
        user_id: &str,
        username: &str,
        relation: Relations,
        since_ms: Millis,
    ) -> Self {
        Self {
            relation_id: Uuid::now_v7().to_string(),
            entity_id: entity_id.to_owned(),
            user_id: user_id.to_owned(),
            username: username.to_owned(),
            relation: relation.names().next().unwrap_or_default().to_owned(),
            since_ms,
            until_ms: None,
        }
    }

    pub fn key(&self) -> Key {
        Key::parts(
            "relation",
            (&self.entity_id, &self.user_id, &self.relation_id),
        )
    }

    pub fn flag(&self) -> Relations {
        self.relation.parse().unwrap_or(Relations::empty())
    }
}

pub fn entity_key(entity_id: &str) -> Key {
    Key::new("entity", entity_id)
}

/// The entity, and what one person is to it now.
pub async fn entity_for(
    store: &Store,
    entity_id: &str,
    user_id: &str,
) -> Result<(Option<EntityRow>, Vec<RelationRow>), StoreError> {
    let mut rows = store
        .read("SELECT * FROM $entity; SELECT * FROM $mine WHERE until_ms = NULL;")
        .bind_key("entity", entity_key(entity_id))
        .bind_range("mine", &KeyRange::prefix("relation", (entity_id, user_id)))
        .await?;
    Ok((rows.first(0)?, rows.take(1)?))
}

/// Entities with what one person is to each now, in one round trip. Ids without an entity are left out.
pub async fn entities_for(
    store: &Store,
    entity_ids: &[&str],
    user_id: &str,
) -> Result<Vec<(EntityRow, Vec<RelationRow>)>, StoreError> {
    let mut query = "SELECT * FROM $entities;".to_owned();
    for place in 0..entity_ids.len() {
        query.push_str(&format!(
            "SELECT * FROM $mine{place} WHERE until_ms = NULL;"
        ));
    }
    let keys = entity_ids.iter().map(|entity_id| entity_key(entity_id));
    let mut read = store.read(&query).bind_keys("entities", keys);
    for (place, entity_id) in entity_ids.iter().enumerate() {
        let mine = KeyRange::prefix("relation", (*entity_id, user_id));
        read = read.bind_range(&format!("mine{place}"), &mine);
    }
    let mut rows = read.await?;
    let entities: Vec<EntityRow> = rows.take(0)?;
    let mut found = Vec::with_capacity(entities.len());
    for entity in entities {
        let place = entity_ids.iter().position(|id| *id == entity.entity_id);
        let mine = rows.take(place.map_or(usize::MAX, |place| place + 1))?;
        found.push((entity, mine));
    }
    Ok(found)
}

/// Everybody who is something to the entity now, in the order of user ids.
pub async fn people(store: &Store, entity_id: &str) -> Result<Vec<RelationRow>, StoreError> {
    let mut rows = store
        .read("SELECT * FROM $people WHERE until_ms = NULL;")
        .bind_range("people", &KeyRange::prefix("relation", (entity_id,)))
        .await?;
    rows.take(0)
}

/// What one person is to the entity now.
pub async fn relations_of(
    store: &Store,
    entity_id: &str,
    user_id: &str,
) -> Result<Vec<RelationRow>, StoreError> {
    let mut rows = store
        .read("SELECT * FROM $theirs WHERE until_ms = NULL;")
        .bind_range(
            "theirs",
            &KeyRange::prefix("relation", (entity_id, user_id)),
        )
        .await?;
    rows.take(0)
}
