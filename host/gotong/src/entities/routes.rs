//! Routes of entities and of what people are to them.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pic::Nominate;
use super::pic::PicView;
use super::relations::{Relation, RelationView, Take};
use super::view::{self, EntityView, PersonHere};
use super::{At, Share};
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::http::paging::{Page, Paging};
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::{ValidJson, ValidPath, ValidQuery};
use crate::problems::Code;
use crate::request::{CommandContext, ReadContext};
use crate::words::Id;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(share))
        .routes(routes!(read))
        .routes(routes!(take))
        .routes(routes!(end))
        .routes(routes!(nominate))
        .routes(routes!(stage))
        .routes(routes!(people))
}

/// Share a seed
///
/// Its author is the caller; it begins at the first stage of its track.
#[utoipa::path(
    post,
    path = "/entities",
    operation_id = "share_entity",
    tag = "entities",
    params(CommandContext),
    request_body = Share,
    security(("bearer" = [])),
    responses((status = 201, body = EntityView)),
)]
async fn share(
    State(app): State<App>,
    context: CommandContext,
    ValidJson(body): ValidJson<Share>,
) -> Result<Answer, CommandError> {
    app.command(context, body).await
}

/// Read an entity
///
/// Each field as far as the viewer may see it; what is withheld is null, and named.
#[utoipa::path(
    get,
    path = "/entities/{id}",
    operation_id = "read_entity",
    tag = "entities",
    params(("id" = inline(Id), Path, description = "The entity's id")),
    security((), ("bearer" = [])),
    responses((status = 200, body = EntityView), (status = 404)),
)]
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

/// Begin a relation
///
/// For oneself, or with `user_id` for somebody whom the caller appoints.
#[utoipa::path(
    post,
    path = "/entities/{id}/relations",
    operation_id = "begin_relation",
    tag = "entities",
    params(CommandContext, ("id" = inline(Id), Path, description = "The entity's id")),
    request_body = Take,
    security(("bearer" = [])),
    responses((status = 201, body = RelationView), (status = 404)),
)]
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

/// Give up a relation of one's own
///
/// It is kept as having ended.
#[utoipa::path(
    delete,
    path = "/entities/{id}/relations/{relation}",
    operation_id = "end_relation",
    tag = "entities",
    params(
        CommandContext,
        ("id" = inline(Id), Path, description = "The entity's id"),
        ("relation" = inline(Relation), Path, description = "The relation"),
    ),
    security(("bearer" = [])),
    responses((status = 200, body = RelationView), (status = 404)),
)]
async fn end(
    State(app): State<App>,
    context: CommandContext,
    ValidPath((entity_id, word)): ValidPath<(Id, String)>,
) -> Result<Answer, Problem> {
    let input = Relation::try_from(word).map_err(|error| {
        Problem::invalid_field(Code::InvalidField, "relation", error.to_string())
    })?;
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

/// Nominate the pic, or accept
///
/// Sent by the nominee about oneself it accepts.
#[utoipa::path(
    put,
    path = "/entities/{id}/pic",
    operation_id = "nominate_pic",
    tag = "entities",
    params(CommandContext, ("id" = inline(Id), Path, description = "The entity's id")),
    request_body = Nominate,
    security(("bearer" = [])),
    responses((status = 200, body = PicView), (status = 404)),
)]
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

/// Where the entity stands on its track.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct WhereItStands {
    entity_id: String,
    track: gotong_engine::types::Track,
    stage: gotong_engine::types::Stage,
    stage_since_ms: i64,
    open_transition: Option<String>,
    stages: Vec<gotong_engine::gate::StageDoc>,
}

/// Where the entity stands on its track
#[utoipa::path(
    get,
    path = "/entities/{id}/stage",
    operation_id = "read_stage",
    tag = "entities",
    params(("id" = inline(Id), Path, description = "The entity's id")),
    security((), ("bearer" = [])),
    responses((status = 200, body = WhereItStands), (status = 404)),
)]
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

/// The people of an entity, each relation for itself
///
/// In the order of user ids. Relations that ended are passed over: a page may be short, or empty, and still have a `next`.
#[utoipa::path(
    get,
    path = "/entities/{id}/people",
    operation_id = "list_people",
    tag = "entities",
    params(("id" = inline(Id), Path, description = "The entity's id"), Paging),
    security((), ("bearer" = [])),
    responses((status = 200, body = Page<PersonHere>), (status = 404)),
)]
async fn people(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
    ValidQuery(query): ValidQuery<Paging>,
) -> Result<Json<Page<PersonHere>>, Problem> {
    let cursors = app
        .cursors
        .of("list_people", &id.as_str(), &context.caller)?;
    let after = cursors.open(query.after.as_deref())?;
    let size = query.limit.unwrap_or_default().get();
    let listed = view::people(&app, &context, id.as_str(), after.as_ref(), size).await;
    cursors.page(listed.map_err(refused)?)
}
