//! What auditors read of shadows.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::counts::ShadowView;
use super::store::{self, DifferenceRow};
use crate::app::App;
use crate::http::paging::AuditPageSize;
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::ValidQuery;
use crate::ledger::routes::Auditor;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(page))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct After {
    /// Behind the difference of this decision.
    after: Option<String>,
    #[param(inline)]
    limit: Option<AuditPageSize>,
}

/// What one host can say of its shadows.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ShadowPage {
    /// How many questions in a thousand the shadows are asked.
    pub sample_permille: Option<u16>,
    /// The counts of this process since its start.
    pub shadows: Vec<ShadowView>,
    /// What is kept of differences, by any host, in the order of making.
    pub differences: Vec<DifferenceRow>,
    /// Where the next page begins; null when this one was not full.
    pub next: Option<String>,
}

/// What shadows would have ruled otherwise
#[utoipa::path(
    get,
    path = "/admin/policies/shadow",
    operation_id = "shadow_differences",
    tag = "audit",
    params(After),
    security(("bearer" = [])),
    responses((status = 200, body = ShadowPage)),
)]
async fn page(
    State(app): State<App>,
    _: Auditor,
    ValidQuery(query): ValidQuery<After>,
) -> Result<Json<ShadowPage>, Problem> {
    let limit = query.limit.unwrap_or_default().get();
    let differences = store::page(&app.store, query.after.as_deref(), limit)
        .await
        .map_err(|error| refused(error.into()))?;
    let is_full = differences.len() == limit;
    let last = differences.last().map(|row| row.decision_id.clone());
    Ok(Json(ShadowPage {
        sample_permille: Some(app.shadows.sample_permille()),
        shadows: app.shadows.view(&app.policies),
        next: last.filter(|_| is_full),
        differences,
    }))
}
