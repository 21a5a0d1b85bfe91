//! `/metrics`: on the API's address for whoever may audit; on an address of its own, if the settings name one, for whoever
//! reaches that.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::problem::Problem;
use crate::ledger::routes::Auditor;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(metrics))
}

/// The counts of this host, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "read_metrics",
    tag = "operations",
    security(("bearer" = [])),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
    ),
)]
async fn metrics(State(app): State<App>, _: Auditor) -> Result<impl IntoResponse, Problem> {
    Ok(text(&app).await)
}

async fn text(app: &App) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, TEXT)], app.metrics.render(app).await)
}

#[expect(clippy::disallowed_methods, reason = "it is no part of the API")]
/// What is served on the address of its own: nothing else, and to anybody there.
pub fn apart(app: App) -> Router {
    let open = |State(app): State<App>| async move { text(&app).await };
    Router::new()
        .route("/metrics", get(open))
        .fallback(|| async { Problem::not_found() })
        .with_state(app)
}
