//! Routes of a `--dev` server only: moving the clock, so that a 72-hour window can be tried in a second.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{Asked, Problem};
use super::valid::ValidJson;
use crate::app::App;
use crate::clock::Millis;
use crate::problems::Code;
use crate::telemetry::error_for_log;

/// Ten years: further than any window, and far from the end of the timestamps.
const FURTHEST_MS: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Now {
    now_ms: Millis,
    /// Timers that this move set off and that have run.
    timers_run: usize,
}

/// The routes here ask for no token.
pub fn takes_bodies_of_anybody(app: &App, uri: &Uri) -> bool {
    app.config.dev && uri.path().starts_with("/dev/")
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(advance))
}

/// Move the clock
#[utoipa::path(
    post,
    path = "/dev/clock",
    operation_id = "move_clock",
    tag = "development",
    request_body = Advance,
    security(()),
    responses((status = 200, body = Now), (status = 409), (status = 415), (status = 422)),
)]
async fn advance(
    State(app): State<App>,
    ValidJson(body): ValidJson<Advance>,
) -> Result<Json<Now>, Problem> {
    if !app.store.is_embedded() {
        return Err(Problem::new(
            Code::ClockIsShared,
            "other hosts share this store: its clock cannot be moved from here",
        ));
    }
    if body.advance_ms > FURTHEST_MS {
        return Err(Problem::invalid_field(
            Code::InvalidField,
            "advance_ms",
            format!("at most {FURTHEST_MS} ms at once"),
        ));
    }
    let now_ms = app.clock.advance(body.advance_ms);
    let timers_run = if app.config.role.runs_jobs() {
        app.run_due_jobs().await.map_err(|error| {
            tracing::error!(error = error_for_log(&error), "due timers could not be run");
            Problem::internal(Asked::ToWrite)
        })?
    } else {
        0
    };
    Ok(Json(Now { now_ms, timers_run }))
}
