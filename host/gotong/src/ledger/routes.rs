//! What auditors read over HTTP: events and heads, page by page. Personal fields are not among it.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use gotong_engine::role_matrix::Action;
use gotong_engine::types::{Effect, PrivacyLevel};
use gotong_store::{EventRow, Head};
use serde::Deserialize;
use serde_json::{Value, json};

use super::source::PAGE;
use crate::app::App;
use crate::command::refusal::Refusal;
use crate::entities::authority::{self, Matter};
use crate::http::auth::Caller;
use crate::http::context::ReadContext;
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::ValidQuery;
use crate::rulings;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/audit/events", get(events))
        .route("/audit/head", get(head))
        .route("/audit/counts", get(counts))
}

/// May this caller audit? 401 for nobody in particular, 403 by the role-matrix.
pub fn authorize_audit(app: &App, context: &ReadContext) -> Result<(), Problem> {
    if context.caller == Caller::Anonymous {
        return Err(Problem::unauthorized(
            "token_required",
            "auditing needs a token: send `Authorization: Bearer TOKEN`",
        ));
    }
    let standing = authority::viewing(&context.caller, &Matter::of_a_new_seed(PrivacyLevel::Open));
    let ruling = rulings::peek(
        app,
        rulings::NOWHERE,
        &authority::facts(Action::AuditRead, standing),
    )
    .map_err(refused)?;
    if ruling.effect == Effect::Allow {
        return Ok(());
    }
    let text = app
        .policies
        .active(gotong_engine::Family::RoleMatrix)
        .rule_text(&ruling.rule)
        .unwrap_or_default();
    Err(Problem::new(
        axum::http::StatusCode::FORBIDDEN,
        &ruling.reason,
        text,
    ))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after_stream: Option<String>,
    after_seq: Option<u64>,
    #[serde(default = "page")]
    limit: usize,
}

fn page() -> usize {
    PAGE
}

/// How many rows an auditor reads at once.
pub fn audit_page_size(limit: usize) -> Result<usize, Problem> {
    match limit {
        1..=PAGE => Ok(limit),
        _ => Err(Problem::bad_request(
            "invalid_query",
            format!("`limit` is not within 1 to {PAGE}"),
        )),
    }
}

async fn events(
    State(app): State<App>,
    context: ReadContext,
    ValidQuery(query): ValidQuery<After>,
) -> Result<Json<Vec<EventRow>>, Problem> {
    authorize_audit(&app, &context)?;
    let after = query
        .after_stream
        .as_deref()
        .map(|stream| (stream, query.after_seq.unwrap_or_default()));
    found(
        app.store
            .events_after(after, audit_page_size(query.limit)?)
            .await,
    )
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    stream: String,
}

async fn head(
    State(app): State<App>,
    context: ReadContext,
    ValidQuery(query): ValidQuery<Of>,
) -> Result<Json<Head>, Problem> {
    authorize_audit(&app, &context)?;
    found(app.store.head(&query.stream).await)
}

async fn counts(State(app): State<App>, context: ReadContext) -> Result<Json<Value>, Problem> {
    authorize_audit(&app, &context)?;
    let Json(counts) = found(app.store.counts().await)?;
    Ok(Json(json!(counts)))
}

fn found<T>(read: Result<T, gotong_store::StoreError>) -> Result<Json<T>, Problem> {
    read.map(Json)
        .map_err(|error| refused(Refusal::from(error)))
}
