//! `/health/live`: the process answers. `/health/ready`: the store answers too, lets this host write, and can be written.

use axum::Json;
use axum::extract::State;
use gotong_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use crate::app::App;
use crate::problems::Code;
use crate::telemetry::error_for_log;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(live))
        .routes(routes!(ready))
}

#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

/// The process answers
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "health_live",
    tag = "health",
    security(()),
    responses((status = 200, body = Health)),
)]
async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// The store answers too, and lets this host write
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "health_ready",
    tag = "health",
    security(()),
    responses((status = 200, body = Health)),
)]
async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.store.ready().await.map_err(|error| {
        tracing::error!(error = error_for_log(&error), "the store does not answer");
        let detail = match error {
            StoreError::MayNotWrite => "the store does not let this host write",
            StoreError::Broken => {
                "the store can no longer be written: the host has to be started again"
            }
            _ => "the store does not answer",
        };
        Problem::new(Code::NotReady, detail).retry_after(1)
    })?;
    Ok(Json(Health { status: "ready" }))
}
