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
    pub pic_username: Option<String>,
    pub nominee_id: Option<String>,
    pub open_transition: Option<String>,
    /// How many people are something to it now.
    pub people_count: u32,
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

/// Everybody who is something to the entity now, in the order of user ids: the facts of an electorate, which have to be
/// whole. What is only shown is read by [`some_people`].
pub async fn people(store: &Store, entity_id: &str) -> Result<Vec<RelationRow>, StoreError> {
    let mut rows = store
        .read("SELECT * FROM $people WHERE until_ms = NULL;")
        .bind_range("people", &KeyRange::prefix("relation", (entity_id,)))
        .await?;
    rows.take(0)
}

/// Where a relation stands among those to its entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationPlace(String, String);

impl RelationPlace {
    fn of(row: &RelationRow) -> Self {
        Self(row.user_id.clone(), row.relation_id.clone())
    }
}

/// Some of the people of an entity.
#[derive(Debug, Default)]
pub struct SomePeople {
    pub rows: Vec<RelationRow>,
    /// As far as they were looked through; none: to the last.
    pub reached: Option<RelationPlace>,
}

impl SomePeople {
    /// Those who are something now among `looked_at` rows, all but the hidden one, and not more than `most`.
    fn among(
        looked_at: Vec<RelationRow>,
        look_at: usize,
        hidden: Option<&str>,
        most: usize,
    ) -> Self {
        let last = looked_at
            .last()
            .filter(|_| looked_at.len() == look_at)
            .map(RelationPlace::of);
        let mut now = looked_at
            .into_iter()
            .filter(|row| row.until_ms.is_none() && hidden != Some(row.user_id.as_str()));
        let rows: Vec<RelationRow> = now.by_ref().take(most).collect();
        let reached = match now.next() {
            Some(_) => rows.last().map(RelationPlace::of),
            None => last,
        };
        Self { rows, reached }
    }
}

/// The next people but the hidden one, in the order of user ids. Relations that ended stand among the others: about twice
/// as many rows are looked at as are wanted, however often somebody has come and gone. Somebody hidden leaves no gap: one
/// person's relations are fewer than what is looked at beyond what is wanted.
pub async fn some_people(
    store: &Store,
    entity_id: &str,
    after: Option<&RelationPlace>,
    hidden: Option<&str>,
    most: usize,
) -> Result<SomePeople, StoreError> {
    let look_at = 2 * most + Relations::ALL.len();
    let mut range = KeyRange::prefix("relation", (entity_id,)).limit(look_at);
    if let Some(RelationPlace(user_id, relation_id)) = after {
        range = range.after((user_id, relation_id));
    }
    let looked_at = store.scan(&range).await?;
    Ok(SomePeople::among(looked_at, look_at, hidden, most))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(user_id: &str, until_ms: Option<Millis>) -> RelationRow {
        RelationRow {
            until_ms,
            ..RelationRow::begin("e", user_id, user_id, Relations::SAKSI, 1)
        }
    }

    /// Whom two at most of four rows at most are, and whose place was reached.
    fn among(rows: &[(&str, bool)]) -> (Vec<String>, Option<String>) {
        let rows = rows
            .iter()
            .map(|(user_id, ended)| row(user_id, ended.then_some(2)));
        let some = SomePeople::among(rows.collect(), 4, Some("hidden"), 2);
        let people = some.rows.into_iter().map(|row| row.user_id).collect();
        (people, some.reached.map(|place| place.0))
    }

    #[test]
    fn a_page_of_people_ends_where_it_is_full_or_where_enough_was_looked_at() {
        let (held, ended) = (false, true);
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(among(&[]), (names(&[]), None));
        let two = [("a", held), ("b", ended), ("c", held)];
        assert_eq!(among(&two), (names(&["a", "c"]), None));
        let three = [("a", held), ("b", held), ("c", ended), ("d", held)];
        assert_eq!(among(&three), (names(&["a", "b"]), Some("b".into())));
        let full = [("a", held), ("b", held), ("c", ended), ("d", ended)];
        assert_eq!(among(&full), (names(&["a", "b"]), Some("d".into())));
        let hidden = [("a", held), ("b", held), ("hidden", held)];
        assert_eq!(among(&hidden), (names(&["a", "b"]), None));
        let gone = [("a", ended), ("b", ended), ("c", ended), ("d", ended)];
        assert_eq!(among(&gone), (names(&[]), Some("d".into())));
    }
}
