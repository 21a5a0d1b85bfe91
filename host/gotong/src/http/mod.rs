//! HTTP: router, request context, tokens, problems. Knows the services.
//!
//! Their `routes.rs` are its handlers; the rest of a service knows nothing of it. `command/answer.rs` words answers as problems,
//! and `metrics` counts by the classes of its routes.

pub mod address;
pub mod auth;
pub mod context;
mod cors;
pub mod dev;
pub mod health;
pub mod limits;
pub mod openapi;
pub mod paging;
mod patience;
pub mod problem;
pub mod rate;
pub mod server;
pub mod valid;

use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::command::answer::problem_of;
use crate::command::refusal::Refusal;
use crate::problems::Code;
use crate::telemetry::error_for_log;
use crate::{entities, evidence, jobs, ledger, metrics, rulings, transitions};
use problem::{Asked, Problem};

/// The API: each service brings its own routes, each with its part of the document.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(entities::routes::routes())
        .merge(transitions::routes::routes())
        .merge(evidence::routes::routes())
        .merge(rulings::routes::routes())
        .merge(ledger::routes::routes())
        .merge(jobs::routes::routes())
}

/// Every route that the document names.
fn documented(dev: bool) -> OpenApiRouter<App> {
    let all = OpenApiRouter::with_openapi(openapi::head())
        .merge(health::routes())
        .merge(openapi::routes())
        .merge(metrics::routes::routes())
        .nest("/v1", api());
    if dev { all.merge(dev::routes()) } else { all }
}

/// The document of a host, in development or not.
pub fn document(dev: bool) -> Value {
    openapi::completed(documented(dev).into_openapi())
}

/// Every route of the host. The API stands under `/v1` and `/api/v1`.
pub fn router(app: App) -> Router {
    let served = openapi::Served::new(&document(app.config.dev));
    let cors = cors::layer(&app.config);
    let router: Router<App> = if app.config.role.serves_api() {
        let alias: Router<App> = api().into();
        let router: Router<App> = documented(app.config.dev).into();
        router.nest("/api/v1", alias)
    } else {
        health::routes().merge(metrics::routes::routes()).into()
    };
    let router = router
        .layer(Extension(served))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                Code::MethodNotAllowed,
                "this route does not answer to that method",
            )
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), context::middleware))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app.clone());
    match cors {
        Some(cors) => router
            .layer(cors)
            .layer(from_fn_with_state(app, cors::preflights)),
        None => router,
    }
}

/// The problem a refused read is told as. A fault is logged here, once.
pub fn refused(refusal: Refusal) -> Problem {
    problem_of(&refusal).unwrap_or_else(|| {
        tracing::error!(error = error_for_log(&refusal), "a read failed");
        Problem::fault(refusal.store_error(), Asked::ToRead)
    })
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal(Asked::ToWrite).into_response()
}
