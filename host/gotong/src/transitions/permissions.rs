//! What a viewer may do with an entity as it stands, its open gate included.

use gotong_engine::role_matrix::{Action, PermittedFacts};
use gotong_engine::types::Relations;
use serde::Serialize;

use super::ballot;
use crate::app::App;
use crate::command::refusal::Refusal;
use crate::entities::view::{Visible, visible};
use crate::request::ReadContext;
use crate::rulings::{self, authority};

/// What the viewer may do here, for drawing buttons.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PermissionsView {
    pub entity_id: String,
    pub actions: Vec<Action>,
    pub your_relations: Relations,
}

/// For a reader of the entity.
pub async fn read(
    app: &App,
    context: &ReadContext,
    entity_id: &str,
) -> Result<PermissionsView, Refusal> {
    let Visible { entity, .. } = visible(app, context, entity_id).await?;
    let standing = authority::viewing(
        &context.caller,
        &entity.matter(context.now_ms, context.caller.user_id()),
    );
    let snapshot = match &entity.row.open_transition {
        Some(transition_id) => {
            ballot::snapshot_of(app, transition_id, context.caller.user_id()).await?
        }
        None => Relations::empty(),
    };
    let actions = rulings::peek(
        app,
        &entity.row.scope_id,
        &PermittedFacts {
            standing,
            snapshot,
            approvals: Relations::empty(),
        },
    )?;
    Ok(PermissionsView {
        entity_id: entity_id.to_owned(),
        actions,
        your_relations: entity.mine,
    })
}
