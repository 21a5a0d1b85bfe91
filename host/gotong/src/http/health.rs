//! `/health/live`: the process answers. `/health/ready`: the store answers too.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::app::App;
use crate::command::answer::error_for_log;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({"status": "live"}))
}

async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    app.store.head("health").await.map_err(|error| {
        tracing::error!(error = error_for_log(&error), "the store does not answer");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            "the store does not answer",
        )
        .retry_after(1)
    })?;
    Ok(Json(json!({"status": "ready"})))
}
