//! The pic (accountable lead): nominated, and only with the nominee's own word.

use gotong_engine::role_matrix::{Action, AuthorizeFacts, Obligation};
use gotong_engine::types::Relations;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::relations::{begin, finish, known, union};
use super::{At, Entity, load, store, view};
use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::Actor;
use crate::rulings::authority;
use crate::words::UserId;

/// `PUT /v1/entities/{id}/pic`: nominates that person; sent by the nominee about oneself, it accepts.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nominate {
    pub user_id: UserId,
}

/// Where the entity's leadership stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PicView {
    pub entity_id: String,
    pub status: PicStatus,
    pub pic_id: Option<String>,
    pub nominee_id: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PicStatus {
    Nominated,
    Accepted,
}

impl Command for At<Nominate> {
    type Output = PicView;

    fn scope(&self, _: &Actor) -> String {
        self.entity_id.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<PicView, Refusal> {
        let Self { entity_id, input } = self;
        let entity = load(work, entity_id).await?;
        let nominee = input.user_id.as_str();
        let oneself = nominee == work.actor().user_id;
        if oneself && entity.row.nominee_id.as_deref() == Some(nominee) {
            return accept(work, entity).await;
        }
        let sight = view::sight_of_actor(work, &entity)?;
        let subject = if oneself {
            entity.mine
        } else {
            union(&known(work, &entity, &sight, nominee).await?)
        };
        let facts = AuthorizeFacts {
            sought: Relations::PIC,
            subject,
            subject_is_actor: oneself,
            ..entity.facts(work, Action::PicNominate)
        };
        let allowed = authority::authorize(work, entity_id, &facts, &[Obligation::AcceptAtOnce])?;
        if entity.row.pic_id.as_deref() == Some(nominee) {
            return Err(Refusal::Conflict {
                code: Code::RelationHeld,
                detail: "that person is the pic already",
            });
        }
        if allowed.obliges(Obligation::AcceptAtOnce) {
            return install(work, entity).await;
        }
        work.merge(
            store::entity_key(entity_id),
            &json!({"nominee_id": nominee}),
        )?;
        let event = Event::new(EventKind::PicNominated, json!({"entity_id": entity_id}));
        work.append(
            entity_id,
            event.private("nominee", json!({"user_id": nominee})),
        )?;
        Ok(PicView {
            entity_id: entity_id.to_owned(),
            status: PicStatus::Nominated,
            pic_id: entity.row.pic_id.filter(|pic| sight.shows(pic)),
            nominee_id: Some(nominee.to_owned()),
        })
    }
}

async fn accept(work: &mut Work, entity: Entity) -> Result<PicView, Refusal> {
    entity.authorize(work, Action::PicAccept)?;
    install(work, entity).await
}

/// The actor becomes the pic; the former one, if there is one, ceases to be.
async fn install(work: &mut Work, mut entity: Entity) -> Result<PicView, Refusal> {
    if let Some(former) = &entity.row.pic_id {
        let held = store::relations_of(&work.app.store, entity.id(), former).await?;
        let left = union(&held).without(Relations::PIC);
        let row = held.into_iter().find(|row| row.flag() == Relations::PIC);
        if let Some(row) = row {
            finish(work, &mut entity, row, left)?;
        }
    }
    let actor = work.actor().clone();
    let held = entity.mine;
    begin(
        work,
        &mut entity,
        &actor.user_id,
        &actor.username,
        Relations::PIC,
        held,
    )?;
    work.append(
        entity.id(),
        Event::new(EventKind::PicAccepted, json!({"entity_id": entity.id()})),
    )?;
    work.merge(
        store::entity_key(entity.id()),
        &json!({"pic_id": actor.user_id, "pic_username": actor.username, "nominee_id": null}),
    )?;
    Ok(PicView {
        entity_id: entity.id().to_owned(),
        status: PicStatus::Accepted,
        pic_id: Some(actor.user_id),
        nominee_id: None,
    })
}
