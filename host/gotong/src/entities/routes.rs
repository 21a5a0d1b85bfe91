//! Routes of entities and of what people are to them.

use axum::extract::State;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Serialize;

use super::pic::Nominate;
use super::relations::{Relation, Take};
use super::view::{self, EntityView, PermissionsView};
use super::{At, Share};
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::http::context::{CommandContext, ReadContext};
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::{ValidJson, ValidPath};
use crate::words::Id;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/entities", post(share))
        .route("/entities/{id}", get(read))
        .route("/entities/{id}/relations", post(take))
        .route("/entities/{id}/relations/{relation}", delete(end))
        .route("/entities/{id}/pic", put(nominate))
        .route("/entities/{id}/permissions", get(permissions))
        .route("/entities/{id}/stage", get(stage))
}

async fn share(
    State(app): State<App>,
    context: CommandContext,
    ValidJson(body): ValidJson<Share>,
) -> Result<Answer, CommandError> {
    app.command(context, body).await
}

async fn read(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<EntityView>, Problem> {
    view::read(&app, &context, id.as_str())
        .await
        .map(Json)
        .map_err(refused)
}

async fn take(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(entity_id): ValidPath<Id>,
    ValidJson(input): ValidJson<Take>,
) -> Result<Answer, CommandError> {
    app.command(
        context,
        At {
            entity_id: entity_id.into(),
            input,
        },
    )
    .await
}

async fn end(
    State(app): State<App>,
    context: CommandContext,
    ValidPath((entity_id, word)): ValidPath<(Id, String)>,
) -> Result<Answer, Problem> {
    let input = Relation::try_from(word)
        .map_err(|error| Problem::invalid_field("invalid_field", "relation", error.to_string()))?;
    Ok(app
        .command(
            context,
            At {
                entity_id: entity_id.into(),
                input,
            },
        )
        .await?)
}

async fn nominate(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(entity_id): ValidPath<Id>,
    ValidJson(input): ValidJson<Nominate>,
) -> Result<Answer, CommandError> {
    app.command(
        context,
        At {
            entity_id: entity_id.into(),
            input,
        },
    )
    .await
}

async fn permissions(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<PermissionsView>, Problem> {
    view::permissions(&app, &context, id.as_str())
        .await
        .map(Json)
        .map_err(refused)
}

/// Where the entity stands on its track.
#[derive(Debug, Serialize)]
struct WhereItStands {
    entity_id: String,
    track: gotong_engine::types::Track,
    stage: gotong_engine::types::Stage,
    stage_since_ms: i64,
    open_transition: Option<String>,
    stages: Vec<gotong_engine::gate::StageDoc>,
}

async fn stage(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<WhereItStands>, Problem> {
    let visible = view::visible(&app, &context, id.as_str())
        .await
        .map_err(refused)?;
    let row = visible.entity.row;
    let stages = app.tracks(&row.scope_id).stages(row.track).to_vec();
    Ok(Json(WhereItStands {
        entity_id: row.entity_id,
        track: row.track,
        stage: row.stage,
        stage_since_ms: row.stage_since_ms,
        open_transition: row.open_transition,
        stages,
    }))
}
