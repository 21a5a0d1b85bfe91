//! Routes of transitions, their gates, and an entity's timeline.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use gotong_engine::types::Track;
use serde::Deserialize;

use super::ballot::Vote;
use super::objection::{Challenge, Object};
use super::store::{self, Filter, Status};
use super::view::{self, Page, TransitionView};
use super::{Propose, Upon};
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::command::refusal::Refusal;
use crate::http::context::{CommandContext, ReadContext};
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::{ValidJson, ValidPath, ValidQuery};
use crate::words::{Id, ScopeId};

const PAGE: usize = 20;
const LONGEST_PAGE: usize = 50;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/transitions", post(propose).get(list))
        .route("/transitions/{id}", get(read))
        .route("/transitions/{id}/objections", post(object))
        .route("/transitions/{id}/votes", post(vote))
        .route("/transitions/{id}/challenges", post(challenge))
        .route("/entities/{id}/timeline", get(timeline))
}

async fn propose(
    State(app): State<App>,
    context: CommandContext,
    ValidJson(body): ValidJson<Propose>,
) -> Result<Answer, CommandError> {
    app.command(context, body).await
}

async fn object(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(id): ValidPath<Id>,
    ValidJson(input): ValidJson<Object>,
) -> Result<Answer, Problem> {
    Ok(app
        .command(context, upon(&app, id.into(), input).await?)
        .await?)
}

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    after: Option<String>,
    limit: Option<usize>,
}

async fn timeline(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
    ValidQuery(query): ValidQuery<Paging>,
) -> Result<Json<Page>, Problem> {
    let after = query.after.as_deref().map(cursor).transpose()?;
    view::timeline(&app, &context, id.as_str(), after, page_size(query.limit)?)
        .await
        .map(Json)
        .map_err(refused)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Narrow {
    scope_id: Option<ScopeId>,
    track: Option<Track>,
    status: Option<Status>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(
    State(app): State<App>,
    context: ReadContext,
    ValidQuery(query): ValidQuery<Narrow>,
) -> Result<Json<Page>, Problem> {
    let after = query.after.as_deref().map(cursor).transpose()?;
    let filter = Filter {
        scope_id: query.scope_id.as_ref().map(ScopeId::as_str),
        track: query.track,
        status: query.status,
        after,
    };
    let page: Result<Page, Refusal> =
        view::list(&app, &context, &filter, page_size(query.limit)?).await;
    page.map(Json).map_err(refused)
}

fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    let size = limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&size) {
        return Err(Problem::bad_request(
            "invalid_query",
            format!("`limit` is not within 1 to {LONGEST_PAGE}"),
        ));
    }
    Ok(size)
}

/// `occurred_at_ms.transition_id`, as a page's `next` has it.
fn cursor(text: &str) -> Result<(i64, &str), Problem> {
    text.split_once('.')
        .and_then(|(at_ms, id)| Some((at_ms.parse().ok()?, id)))
        .ok_or_else(|| {
            Problem::bad_request("invalid_cursor", "`after` is not the `next` of a page")
        })
}
