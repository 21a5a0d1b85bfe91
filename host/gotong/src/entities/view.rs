//! What a viewer gets to see of an entity: the projection the role-matrix rules, field by field.

use gotong_engine::role_matrix::{Fields, ProjectFacts, Projection};
use gotong_engine::types::{PrivacyLevel, Relations, Stage, Track};
use serde::Serialize;

use super::store::{self, EntityRow, RelationPlace, RelationRow, SomePeople};
use super::{Entity, relations};
use crate::app::App;
use crate::clock::Millis;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::request::{Caller, Listed, ReadContext};
use crate::rulings::{self, authority};

/// How many people a view holds; all of them are read page by page.
pub const INLINED: usize = 50;

/// An entity as one viewer sees it. A field that is withheld is null, and named in `withheld`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EntityView {
    pub entity_id: String,
    pub track: Track,
    pub stage: Stage,
    pub privacy_level: PrivacyLevel,
    pub title: Option<String>,
    pub text: Option<String>,
    pub scope_id: Option<String>,
    pub author: Option<Person>,
    pub pic: Option<Person>,
    /// The first 50, each relation for itself.
    pub people: Option<Vec<PersonHere>>,
    /// How many people there are.
    pub people_count: Option<u32>,
    /// There may be more than those in `people`, to be read at `/v1/entities/{id}/people`.
    pub people_cut: Option<bool>,
    /// Transition whose gate is open.
    pub open_transition: Option<String>,
    pub created_at_ms: Millis,
    pub stage_since_ms: Millis,
    /// What the viewer is to the entity.
    pub your_relations: Relations,
    pub withheld: Fields,
    pub obligations: Vec<gotong_engine::role_matrix::ViewingObligation>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Person {
    pub user_id: String,
    pub username: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PersonHere {
    #[serde(flatten)]
    pub person: Person,
    pub relation: String,
    pub since_ms: Millis,
}

/// An entity that its viewer may know of, with the fields the viewer may see.
#[derive(Debug)]
pub struct Visible {
    pub entity: Entity,
    pub projection: Projection,
}

/// Which of an entity's people a viewer may know of: the one rule for names, lists and answers.
#[derive(Debug)]
pub struct Sight {
    people: bool,
    /// The author, when the viewer may not know who that is.
    hidden_author: Option<String>,
}

impl Sight {
    /// Of a viewer with this projection.
    pub fn of(entity: &Entity, projection: &Projection) -> Self {
        let show = |field: Fields| projection.fields.contains(field);
        Self {
            people: show(Fields::PEOPLE),
            hidden_author: (!show(Fields::AUTHOR)).then(|| entity.row.author_id.clone()),
        }
    }

    /// Of one who sees nobody.
    pub fn of_nobody() -> Self {
        Self {
            people: false,
            hidden_author: None,
        }
    }

    /// Whether people are shown at all.
    pub fn shows_people(&self) -> bool {
        self.people
    }

    /// The one who is left out where people are shown.
    pub fn hidden(&self) -> Option<&str> {
        self.hidden_author.as_deref()
    }

    /// Whether this person is shown.
    pub fn shows(&self, user_id: &str) -> bool {
        self.people && self.hidden() != Some(user_id)
    }
}

/// Loads an entity for a reader; `NotFound` when the ruling keeps it out of sight.
pub async fn visible(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
) -> Result<Visible, Refusal> {
    let (row, mine) = store::entity_for(&app.store, entity_id, context.caller.user_id()).await?;
    let row = row.ok_or(Refusal::NotFound("entity"))?;
    let entity = Entity {
        row,
        mine: relations::union(&mine),
    };
    let projection = projection(app, &entity, &context.caller, context.now_ms)?;
    if !projection.visible {
        return Err(Refusal::NotFound("entity"));
    }
    Ok(Visible { entity, projection })
}

/// The entities of a page, as far as the reader may know of them, in no particular order.
pub async fn visible_among(
    app: &App,
    context: &ReadContext,
    entity_ids: &[&str],
) -> Result<Vec<Visible>, Refusal> {
    if entity_ids.is_empty() {
        return Ok(Vec::new());
    }
    let viewer = context.caller.user_id();
    let found = store::entities_for(&app.store, entity_ids, viewer).await?;
    let entities: Vec<Entity> = found
        .into_iter()
        .map(|(row, mine)| Entity {
            row,
            mine: relations::union(&mine),
        })
        .collect();
    let facts = entities.iter().map(|entity| {
        let matter = entity.matter(context.now_ms, viewer);
        let standing = authority::viewing(&context.caller, &matter);
        (entity.row.scope_id.as_str(), ProjectFacts { standing })
    });
    let projections = rulings::peek_projections(app, facts.collect())?;
    let pairs = entities.into_iter().zip(projections);
    Ok(pairs
        .filter(|(_, projection)| projection.visible)
        .map(|(entity, projection)| Visible { entity, projection })
        .collect())
}

fn projection(
    app: &App,
    entity: &Entity,
    caller: &Caller,
    now_ms: Millis,
) -> Result<Projection, Refusal> {
    let standing = authority::viewing(caller, &entity.matter(now_ms, caller.user_id()));
    rulings::peek(app, &entity.row.scope_id, &ProjectFacts { standing })
}

pub async fn read(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
) -> Result<EntityView, Refusal> {
    let Visible { entity, projection } = visible(app, context, entity_id).await?;
    let sight = Sight::of(&entity, &projection);
    let people = store::some_people(&app.store, entity_id, None, sight.hidden(), INLINED).await?;
    Ok(assemble(&entity, people, &projection))
}

/// The people of an entity, as far as the reader may know who they are. A page may be short, or empty, and have a `next`.
pub async fn people(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
    after: Option<&RelationPlace>,
    limit: usize,
) -> Result<Listed<PersonHere, RelationPlace>, Refusal> {
    let Visible { entity, projection } = visible(app, context, entity_id).await?;
    let sight = Sight::of(&entity, &projection);
    if !sight.shows_people() {
        return Err(Refusal::NotFound("entity"));
    }
    let some = store::some_people(&app.store, entity_id, after, sight.hidden(), limit).await?;
    Ok(Listed {
        items: here(some.rows),
        next: some.reached,
    })
}

fn here(rows: Vec<RelationRow>) -> Vec<PersonHere> {
    rows.into_iter()
        .map(|row| PersonHere {
            person: Person {
                user_id: row.user_id,
                username: row.username,
            },
            relation: row.relation,
            since_ms: row.since_ms,
        })
        .collect()
}

/// What the command's actor may see: a decision of the command.
pub fn project_for_actor(work: &mut Work, entity: &Entity) -> Result<Projection, Refusal> {
    let matter = entity.matter(work.now_ms(), &work.actor().user_id);
    let standing = authority::standing(work.actor(), work.context.trigger, &matter);
    work.rule(entity.id(), &ProjectFacts { standing })
        .map(|given| given.ruling)
}

/// Whom the command's actor may know of: a decision of the command.
pub fn sight_of_actor(work: &mut Work, entity: &Entity) -> Result<Sight, Refusal> {
    project_for_actor(work, entity).map(|projection| Sight::of(entity, &projection))
}

/// The view of the command's actor.
pub fn of_command(
    work: &mut Work,
    entity: &Entity,
    people: SomePeople,
) -> Result<EntityView, Refusal> {
    let projection = project_for_actor(work, entity)?;
    Ok(assemble(entity, people, &projection))
}

fn assemble(entity: &Entity, people: SomePeople, projection: &Projection) -> EntityView {
    let EntityRow {
        entity_id,
        track,
        stage,
        title,
        text,
        scope_id,
        privacy_level,
        author_id,
        author_username,
        pic_id,
        pic_username,
        people_count,
        ..
    } = entity.row.clone();
    let shown = projection.fields;
    let show = |field: Fields| shown.contains(field);
    // Whoever the author is stays hidden in the list of people too, and as pic.
    let sight = Sight::of(entity, projection);
    let pic = pic_id
        .zip(pic_username)
        .map(|(user_id, username)| Person { user_id, username });
    let cut = people.reached.is_some();
    let hidden = u32::from(sight.hidden().is_some());
    EntityView {
        entity_id,
        track,
        stage,
        privacy_level,
        title: show(Fields::TITLE).then_some(title),
        text: show(Fields::TEXT).then_some(text),
        scope_id: show(Fields::SCOPE).then_some(scope_id),
        people: sight.shows_people().then(|| here(people.rows)),
        people_count: sight
            .shows_people()
            .then_some(people_count.saturating_sub(hidden)),
        people_cut: sight.shows_people().then_some(cut),
        pic: pic.filter(|pic| sight.shows(&pic.user_id)),
        author: show(Fields::AUTHOR).then_some(Person {
            user_id: author_id,
            username: author_username,
        }),
        open_transition: show(Fields::TIMELINE)
            .then(|| entity.row.open_transition.clone())
            .flatten(),
        created_at_ms: entity.row.created_at_ms,
        stage_since_ms: entity.row.stage_since_ms,
        your_relations: entity.mine,
        withheld: Fields::all().without(shown),
        obligations: projection.obligations.clone(),
    }
}
