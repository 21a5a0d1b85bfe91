//! Routes of transitions, their gates, an entity's timeline, and what may be done there.

use axum::Json;
use axum::extract::State;
use gotong_engine::types::Track;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ballot::{self, Receipt, Vote};
use super::objection::{Challenge, Objection};
use super::permissions::{self, PermissionsView};
use super::store::{self, Filter, Status};
use super::view::{self, EligiblePerson, TransitionView};
use super::{Propose, Upon};
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::http::paging::{Page, PageSize, Paging};
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::{ValidJson, ValidPath, ValidQuery};
use crate::request::{CommandContext, ReadContext};
use crate::words::{Id, ScopeId};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(propose, list))
        .routes(routes!(read))
        .routes(routes!(eligible))
        .routes(routes!(object))
        .routes(routes!(vote, own_votes))
        .routes(routes!(challenge))
        .routes(routes!(timeline))
        .routes(routes!(permissions))
}

/// Propose a transition
///
/// A gate opens; an emergency is applied at once, and audited.
#[utoipa::path(
    post,
    path = "/transitions",
    operation_id = "propose_transition",
    tag = "transitions",
    params(CommandContext),
    request_body = Propose,
    security(("bearer" = [])),
    responses((status = 201, body = TransitionView), (status = 404)),
)]
async fn propose(
    State(app): State<App>,
    context: CommandContext,
    ValidJson(body): ValidJson<Propose>,
) -> Result<Answer, CommandError> {
    app.command(context, body).await
}

/// Object
///
/// A gate of consent becomes a vote.
#[utoipa::path(
    post,
    path = "/transitions/{id}/objections",
    operation_id = "object_to_transition",
    tag = "transitions",
    params(CommandContext, ("id" = inline(Id), Path, description = "The transition's id")),
    request_body = Objection,
    security(("bearer" = [])),
    responses((status = 201, body = TransitionView), (status = 404)),
)]
async fn object(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(id): ValidPath<Id>,
    ValidJson(input): ValidJson<Objection>,
) -> Result<Answer, Problem> {
    Ok(app
        .command(context, upon(&app, id.into(), input).await?)
        .await?)
}

/// Challenge a vote that was won
///
/// It is voted on again.
#[utoipa::path(
    post,
    path = "/transitions/{id}/challenges",
    operation_id = "challenge_result",
    tag = "transitions",
    params(CommandContext, ("id" = inline(Id), Path, description = "The transition's id")),
    request_body = Challenge,
    security(("bearer" = [])),
    responses((status = 201, body = TransitionView), (status = 404)),
)]
async fn challenge(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(id): ValidPath<Id>,
    ValidJson(input): ValidJson<Challenge>,
) -> Result<Answer, Problem> {
    Ok(app
        .command(context, upon(&app, id.into(), input).await?)
        .await?)
}

/// Vote
///
/// One ballot a round, secret and final.
#[utoipa::path(
    post,
    path = "/transitions/{id}/votes",
    operation_id = "cast_vote",
    tag = "transitions",
    params(CommandContext, ("id" = inline(Id), Path, description = "The transition's id")),
    request_body = Vote,
    security(("bearer" = [])),
    responses((status = 201, body = Receipt), (status = 404)),
)]
async fn vote(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(id): ValidPath<Id>,
    ValidJson(input): ValidJson<Vote>,
) -> Result<Answer, Problem> {
    Ok(app
        .command(context, upon(&app, id.into(), input).await?)
        .await?)
}

/// The caller's own ballots, one a round.
#[derive(Debug, Serialize, ToSchema)]
struct OwnVotes {
    items: Vec<Receipt>,
}

/// Your own ballots
///
/// One a round, and nobody else's, whoever asks.
#[utoipa::path(
    get,
    path = "/transitions/{id}/votes",
    operation_id = "read_own_votes",
    tag = "transitions",
    params(("id" = inline(Id), Path, description = "The transition's id")),
    security(("bearer" = [])),
    responses((status = 200, body = OwnVotes), (status = 404)),
)]
async fn own_votes(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<OwnVotes>, Problem> {
    let actor = context.actor()?;
    let items = ballot::own(&app, &context, actor, id.as_str()).await;
    items.map(|items| Json(OwnVotes { items })).map_err(refused)
}

/// Finds the entity a transition belongs to: the scope of its commands.
async fn upon<I>(app: &App, transition_id: String, input: I) -> Result<Upon<I>, Problem> {
    let entity_id = store::entity_of(&app.store, &transition_id)
        .await
        .map_err(|error| refused(error.into()))?
        .ok_or_else(Problem::not_found)?;
    Ok(Upon {
        entity_id,
        transition_id,
        input,
    })
}

/// Read a transition
#[utoipa::path(
    get,
    path = "/transitions/{id}",
    operation_id = "read_transition",
    tag = "transitions",
    params(("id" = inline(Id), Path, description = "The transition's id")),
    security((), ("bearer" = [])),
    responses((status = 200, body = TransitionView), (status = 404)),
)]
async fn read(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<TransitionView>, Problem> {
    view::read(&app, &context, id.as_str())
        .await
        .map(Json)
        .map_err(refused)
}

/// Who could vote when the gate opened
///
/// In the order of user ids.
#[utoipa::path(
    get,
    path = "/transitions/{id}/eligible",
    operation_id = "list_eligible",
    tag = "transitions",
    params(("id" = inline(Id), Path, description = "The transition's id"), Paging),
    security((), ("bearer" = [])),
    responses((status = 200, body = Page<EligiblePerson>), (status = 404)),
)]
async fn eligible(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
    ValidQuery(query): ValidQuery<Paging>,
) -> Result<Json<Page<EligiblePerson>>, Problem> {
    let cursors = app
        .cursors
        .of("list_eligible", &id.as_str(), &context.caller)?;
    let after: Option<String> = cursors.open(query.after.as_deref())?;
    let size = query.limit.unwrap_or_default().get();
    let listed = view::eligible(&app, &context, id.as_str(), after.as_deref(), size).await;
    cursors.page(listed.map_err(refused)?)
}

/// The transitions of an entity, in the order of time
#[utoipa::path(
    get,
    path = "/entities/{id}/timeline",
    operation_id = "read_timeline",
    tag = "transitions",
    params(("id" = inline(Id), Path, description = "The entity's id"), Paging),
    security((), ("bearer" = [])),
    responses((status = 200, body = Page<TransitionView>), (status = 404)),
)]
async fn timeline(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
    ValidQuery(query): ValidQuery<Paging>,
) -> Result<Json<Page<TransitionView>>, Problem> {
    let cursors = app
        .cursors
        .of("read_timeline", &id.as_str(), &context.caller)?;
    let after = cursors.open(query.after.as_deref())?;
    let size = query.limit.unwrap_or_default().get();
    let listed = view::timeline(&app, &context, id.as_str(), after.as_ref(), size).await;
    cursors.page(listed.map_err(refused)?)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Narrow {
    /// In this scope alone, not in those below it.
    #[param(inline)]
    scope_id: Option<ScopeId>,
    #[param(inline)]
    track: Option<Track>,
    #[param(inline)]
    status: Option<Status>,
    /// The `next` of a page.
    after: Option<String>,
    #[param(inline)]
    limit: Option<PageSize>,
}

/// Transitions across entities, newest first
///
/// Those that the viewer may not know of are passed over, and those of another track or status. A request looks at so many
/// at most: a page may be short, or empty, and still have a `next`.
#[utoipa::path(
    get,
    path = "/transitions",
    operation_id = "list_transitions",
    tag = "transitions",
    params(Narrow),
    security((), ("bearer" = [])),
    responses((status = 200, body = Page<TransitionView>)),
)]
async fn list(
    State(app): State<App>,
    context: ReadContext,
    ValidQuery(query): ValidQuery<Narrow>,
) -> Result<Json<Page<TransitionView>>, Problem> {
    let narrowed = (&query.scope_id, query.track, query.status);
    let cursors = app
        .cursors
        .of("list_transitions", &narrowed, &context.caller)?;
    let after = cursors.open(query.after.as_deref())?;
    let filter = Filter {
        scope_id: query.scope_id.as_ref().map(ScopeId::as_str),
        track: query.track,
        status: query.status,
        after: after.as_ref(),
    };
    let size = query.limit.unwrap_or_default().get();
    let listed = view::list(&app, &context, &filter, size).await;
    cursors.page(listed.map_err(refused)?)
}

/// What the viewer may do here
///
/// For drawing buttons: every action is ruled again when it is asked for.
#[utoipa::path(
    get,
    path = "/entities/{id}/permissions",
    operation_id = "read_permissions",
    tag = "entities",
    params(("id" = inline(Id), Path, description = "The entity's id")),
    security((), ("bearer" = [])),
    responses((status = 200, body = PermissionsView), (status = 404)),
)]
async fn permissions(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<PermissionsView>, Problem> {
    permissions::read(&app, &context, id.as_str())
        .await
        .map(Json)
        .map_err(refused)
}
