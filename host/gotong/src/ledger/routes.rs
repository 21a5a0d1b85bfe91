//! What auditors read over HTTP: events and heads, page by page. Personal fields are not among it.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use gotong_engine::role_matrix::Action;
use gotong_engine::types::{Effect, PrivacyLevel};
use gotong_store::{Counts, EventRow, Head};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::command::refusal::Refusal;
use crate::http::paging::AuditPageSize;
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::ValidQuery;
use crate::problems::Code;
use crate::request::ReadContext;
use crate::rulings;
use crate::rulings::authority::{self, Matter};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(events))
        .routes(routes!(head))
        .routes(routes!(counts))
}

/// A reader who may audit. Asked for before anything else of the request, so that nobody else learns what it lacks.
#[derive(Clone, Debug)]
pub struct Auditor(pub ReadContext);

impl FromRequestParts<App> for Auditor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let context = ReadContext::from_request_parts(parts, app).await?;
        authorize_audit(app, &context)?;
        Ok(Self(context))
    }
}

/// May this caller audit? 401 for nobody in particular, 403 by the role-matrix.
pub fn authorize_audit(app: &App, context: &ReadContext) -> Result<(), Problem> {
    context.actor()?;
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
    Err(Problem::ruled(
        axum::http::StatusCode::FORBIDDEN,
        &ruling.reason,
        text,
    ))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct After {
    /// Behind this stream: positions are in the order of streams, and of sequence within each
    after_stream: Option<String>,
    /// and behind this event of it.
    #[param(minimum = 0)]
    after_seq: Option<i64>,
    #[param(inline)]
    limit: Option<AuditPageSize>,
}

/// Events of the ledger, page by page
///
/// The next page begins behind the last event of this one.
#[utoipa::path(
    get,
    path = "/audit/events",
    operation_id = "audit_events",
    tag = "audit",
    params(After),
    security(("bearer" = [])),
    responses((status = 200, body = Vec<EventRow>)),
)]
async fn events(
    State(app): State<App>,
    _: Auditor,
    ValidQuery(query): ValidQuery<After>,
) -> Result<Json<Vec<EventRow>>, Problem> {
    let after = match (&query.after_stream, query.after_seq) {
        (None, None) => None,
        (Some(stream), seq) => {
            let seq = u64::try_from(seq.unwrap_or_default()).map_err(|_| wrong_position())?;
            Some((stream.as_str(), seq))
        }
        (None, Some(_)) => return Err(wrong_position()),
    };
    found(
        app.store
            .events_after(after, query.limit.unwrap_or_default().get())
            .await,
    )
}

fn wrong_position() -> Problem {
    Problem::new(
        Code::InvalidQuery,
        "`after_seq` is a position within `after_stream`, 0 or more",
    )
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Of {
    /// The stream's name: an entity's id.
    stream: String,
}

/// The end of a stream
#[utoipa::path(
    get,
    path = "/audit/head",
    operation_id = "audit_head",
    tag = "audit",
    params(Of),
    security(("bearer" = [])),
    responses((status = 200, body = Head)),
)]
async fn head(
    State(app): State<App>,
    _: Auditor,
    ValidQuery(query): ValidQuery<Of>,
) -> Result<Json<Head>, Problem> {
    found(app.store.head(&query.stream).await)
}

/// How many rows there are
#[utoipa::path(
    get,
    path = "/audit/counts",
    operation_id = "audit_counts",
    tag = "audit",
    security(("bearer" = [])),
    responses((status = 200, body = Counts)),
)]
async fn counts(State(app): State<App>, _: Auditor) -> Result<Json<Counts>, Problem> {
    found(app.store.counts().await)
}

fn found<T>(read: Result<T, gotong_store::StoreError>) -> Result<Json<T>, Problem> {
    read.map(Json)
        .map_err(|error| refused(Refusal::from(error)))
}
