//! Reading decisions: one, for whoever may see its entity; all of them, for auditors.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use gotong_engine::{Digest, Family, Pin, RecordMode};
use gotong_store::DecisionQuery;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decision::DecisionRow;
use crate::app::App;
use crate::command::refusal::{Fault, Refusal};
use crate::entities::view::visible;
use crate::http::paging::AuditPageSize;
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::{ValidPath, ValidQuery};
use crate::jobs;
use crate::ledger::routes::{Auditor, authorize_audit};
use crate::ledger::source::IDS_AT_ONCE;
use crate::request::{Caller, ReadContext};
use crate::rulings::pinned::{PinnedError, PinnedModules};
use crate::words::Id;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(read))
        .routes(routes!(page))
        .routes(routes!(modules))
        .routes(routes!(module))
        .merge(super::shadow::routes::routes())
}

/// A decision as a person reads it: the facts, the ruling, and the rule in words.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DecisionView {
    #[serde(flatten)]
    row: DecisionRow,
    facts: Value,
    ruling: Value,
    /// The rule that decided; null when the answer names none.
    rule: Option<RuleView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RuleView {
    id: String,
    text: String,
}

/// Read a decision: its facts, its ruling, and the rule in words
#[utoipa::path(
    get,
    path = "/decisions/{id}",
    operation_id = "read_decision",
    tag = "decisions",
    params(("id" = inline(Id), Path, description = "The decision's id")),
    security((), ("bearer" = [])),
    responses((status = 200, body = DecisionView), (status = 404)),
)]
async fn read(
    State(app): State<App>,
    context: ReadContext,
    ValidPath(id): ValidPath<Id>,
) -> Result<Json<DecisionView>, Problem> {
    decision(&app, &context, id.as_str())
        .await
        .map(Json)
        .map_err(refused)
}

async fn decision(app: &App, context: &ReadContext, id: &str) -> Result<DecisionView, Refusal> {
    let row = app
        .store
        .decision(id)
        .await?
        .ok_or(Refusal::NotFound("decision"))?;
    let mut row: DecisionRow = serde_json::from_value(row).map_err(Fault::from)?;
    // Its facts name nobody, but that there is such a matter may be nobody's business: auditors see all.
    if authorize_audit(app, context).is_err() {
        if let Err(refusal) = visible(app, context, &row.entity_id).await {
            if !matches!(refusal, Refusal::NotFound(_)) {
                return Err(refusal);
            }
            if !was_asked_by(app, &context.caller, &row).await? {
                return Err(Refusal::NotFound("decision"));
            }
        }
        // Whose request it was is between the one who asked and the auditors.
        row.request_id.clear();
        row.correlation_id.clear();
        row.trace_id = None;
    }
    let facts = serde_json::from_str(&row.input).map_err(Fault::from)?;
    let ruling: Value = row
        .output
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(Fault::from)?
        .unwrap_or_default();
    let rule = ruling["rule"].as_str().and_then(|id| {
        let digest = row.module_digest.parse().ok()?;
        let text = app.policies.by_digest(&digest)?.rule_text(id)?;
        Some(RuleView {
            id: id.to_owned(),
            text: text.to_owned(),
        })
    });
    Ok(DecisionView {
        row,
        facts,
        ruling,
        rule,
    })
}

/// Whether it was taken for a request of this caller, who was told of it then. A decision holds no person; the answer
/// that was kept for the request does. So one reads a decision about what is no matter: a job.
async fn was_asked_by(app: &App, caller: &Caller, row: &DecisionRow) -> Result<bool, Refusal> {
    let Some(actor) = caller.actor() else {
        return Ok(false);
    };
    let of_a_job = jobs::admin::scope_of(&row.entity_id);
    for scope in std::iter::once(&row.entity_id).chain(&of_a_job) {
        let kept = app.store.response(scope, &row.request_id).await?;
        if kept.is_some_and(|kept| kept.actor == actor.user_id && kept.at_ms == row.at_ms) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct After {
    /// Behind the decision of this id: the order of ids is the order of making.
    after: Option<String>,
    #[param(inline)]
    limit: Option<AuditPageSize>,
    /// These instead of a page, separated by commas; those that are not there are left out.
    ids: Option<String>,
    /// Of one family.
    #[param(inline)]
    family: Option<Family>,
    /// By a module of this name.
    module: Option<String>,
    /// By a module of this version.
    version: Option<String>,
    /// Not before, milliseconds since 1970.
    since_ms: Option<i64>,
    /// About one entity.
    entity: Option<String>,
    /// Followed, or only made by a shadow.
    #[param(inline)]
    mode: Option<RecordMode>,
}

impl After {
    fn filter(self) -> DecisionQuery {
        DecisionQuery {
            after: self.after,
            since_ms: self.since_ms,
            family: self.family.map(|family| family.to_string()),
            module_name: self.module,
            module_version: self.version,
            entity_id: self.entity,
            mode: self.mode.map(|mode| mode.as_str().to_owned()),
        }
    }
}

/// Decisions, page by page
///
/// The next page begins behind the last decision of this one.
#[utoipa::path(
    get,
    path = "/audit/decisions",
    operation_id = "audit_decisions",
    tag = "audit",
    params(After),
    security(("bearer" = [])),
    responses((status = 200, body = Vec<DecisionRow>)),
)]
async fn page(
    State(app): State<App>,
    _: Auditor,
    ValidQuery(query): ValidQuery<After>,
) -> Result<Json<Vec<Value>>, Problem> {
    let rows = match &query.ids {
        Some(ids) => {
            let ids: Vec<&str> = ids.split(',').take(IDS_AT_ONCE).collect();
            app.store.decisions(&ids).await
        }
        None => {
            let limit = query.limit.unwrap_or_default().get();
            app.store.decisions_where(&query.filter(), limit).await
        }
    };
    rows.map(Json).map_err(|error| refused(error.into()))
}

/// The pinned modules
#[utoipa::path(
    get,
    path = "/audit/modules",
    operation_id = "audit_modules",
    tag = "audit",
    security(("bearer" = [])),
    responses((status = 200, body = Vec<Pin>)),
)]
async fn modules(State(app): State<App>, _: Auditor) -> Result<Json<Vec<Pin>>, Problem> {
    Ok(Json(app.policies.lock().pins().to_vec()))
}

/// The bytes of a pinned module
///
/// What an auditor replays with.
#[utoipa::path(
    get,
    path = "/audit/modules/{digest}",
    operation_id = "audit_module",
    tag = "audit",
    params(("digest" = inline(Digest), Path, description = "The module's digest")),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/wasm"),
        (status = 404),
    ),
)]
async fn module(
    State(app): State<App>,
    _: Auditor,
    ValidPath(digest): ValidPath<Digest>,
) -> Result<impl IntoResponse, Problem> {
    let read = || {
        let pinned = PinnedModules::open(&app.config)?;
        pinned.pin(&digest).map(|pin| pinned.bytes(pin)).transpose()
    };
    let broken = |error: PinnedError| refused(Fault::Broken(error.to_string()).into());
    match read().map_err(broken)? {
        Some(bytes) => Ok(([(CONTENT_TYPE, "application/wasm")], bytes)),
        None => Err(refused(Refusal::NotFound("module"))),
    }
}
