//! What auditors read of shadows.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::counts::ShadowView;
use super::store::{self, DifferenceRow};
use crate::app::App;
use crate::http::context::ReadContext;
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::ValidQuery;
use crate::ledger::routes::{audit_page_size, authorize_audit};
use crate::ledger::source::PAGE;

pub fn routes() -> Router<App> {
    Router::new().route("/admin/policies/shadow", get(page))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Option<String>,
    #[serde(default = "page_size")]
    limit: usize,
}

fn page_size() -> usize {
    PAGE
}

/// What one host can say of its shadows.
#[derive(Debug, Serialize, Deserialize)]
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

async fn page(
    State(app): State<App>,
    context: ReadContext,
    ValidQuery(query): ValidQuery<After>,
) -> Result<Json<ShadowPage>, Problem> {
    authorize_audit(&app, &context)?;
    let limit = audit_page_size(query.limit)?;
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
