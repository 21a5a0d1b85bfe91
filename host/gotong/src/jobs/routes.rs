//! What admins and services do about jobs.

use axum::Json;
use axum::extract::State;
use gotong_store::{Due, JobState};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::JobId;
use super::admin::{self, Cancel, JobView, JobsPage, Retry};
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::command::refusal::Refusal;
use crate::http::paging::PageSize;
use crate::http::problem::Problem;
use crate::http::refused;
use crate::http::valid::{ValidJson, ValidPath, ValidQuery};
use crate::ledger::routes::Auditor;
use crate::request::CommandContext;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(retry))
        .routes(routes!(cancel))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `pending`, `done`, `cancelled` or `dead`; all, if it is not given.
    #[param(inline)]
    state: Option<JobState>,
    /// What the page before gave as `next`.
    after: Option<String>,
    #[param(inline)]
    limit: Option<PageSize>,
}

/// List jobs
///
/// Those that wait in the order of their waking, others by id; and how the queue stands.
#[utoipa::path(
    get,
    path = "/admin/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(Wanted),
    security(("bearer" = [])),
    responses((status = 200, body = JobsPage)),
)]
async fn list(
    State(app): State<App>,
    Auditor(context): Auditor,
    ValidQuery(wanted): ValidQuery<Wanted>,
) -> Result<Json<JobsPage>, Problem> {
    let cursors = app
        .cursors
        .of("list_jobs", &wanted.state, &context.caller)?;
    let after: Option<Due> = cursors.open(wanted.after.as_deref())?;
    let limit = wanted.limit.unwrap_or_default().get();
    let now_ms = app.clock.now_ms();
    let page = admin::page(&app.store, now_ms, wanted.state, after.as_ref(), limit).await;
    let (mut page, next) = page.map_err(|error| refused(error.into()))?;
    page.next = next.map(|place| cursors.seal(&place)).transpose()?;
    Ok(Json(page))
}

/// Read a job
#[utoipa::path(
    get,
    path = "/admin/jobs/{job_id}",
    operation_id = "read_job",
    tag = "jobs",
    params(("job_id" = inline(JobId), Path, description = "The job's id")),
    security(("bearer" = [])),
    responses((status = 200, body = JobView), (status = 404)),
)]
async fn show(
    State(app): State<App>,
    _: Auditor,
    ValidPath(job_id): ValidPath<JobId>,
) -> Result<Json<JobView>, Problem> {
    let found = app.store.jobs().get(job_id.as_str()).await;
    match found.map_err(|error| refused(Refusal::from(error)))? {
        Some(job) => Ok(Json(job.into())),
        None => Err(Problem::not_found()),
    }
}

/// Set a job going again
///
/// A dead one, or one that failed and waits for its next attempt. It has all its attempts before it again.
#[utoipa::path(
    post,
    path = "/admin/jobs/{job_id}/retry",
    operation_id = "retry_job",
    tag = "jobs",
    params(CommandContext, ("job_id" = inline(JobId), Path, description = "The job's id")),
    security(("bearer" = [])),
    responses((status = 200, body = JobView), (status = 404), (status = 409)),
)]
async fn retry(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(job_id): ValidPath<JobId>,
) -> Result<Answer, CommandError> {
    let job_id = job_id.into();
    app.command(nothing_created(context), Retry { job_id })
        .await
}

/// How a job is called off.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CallOff {
    /// Also a job whose work nobody else does: a gate's timer, without which the gate stays open for ever.
    #[serde(default)]
    force: bool,
}

/// Call a job off
///
/// A worker that has it in hand can no longer finish it.
#[utoipa::path(
    post,
    path = "/admin/jobs/{job_id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(CommandContext, ("job_id" = inline(JobId), Path, description = "The job's id")),
    request_body = CallOff,
    security(("bearer" = [])),
    responses((status = 200, body = JobView), (status = 404), (status = 409)),
)]
async fn cancel(
    State(app): State<App>,
    context: CommandContext,
    ValidPath(job_id): ValidPath<JobId>,
    ValidJson(body): ValidJson<CallOff>,
) -> Result<Answer, CommandError> {
    let (job_id, force) = (job_id.into(), body.force);
    app.command(nothing_created(context), Cancel { job_id, force })
        .await
}

/// Neither makes anything new, so a success is 200.
fn nothing_created(context: CommandContext) -> CommandContext {
    CommandContext {
        creates: false,
        ..context
    }
}
