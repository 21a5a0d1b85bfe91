//! `POST /v1/evidence`

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{EvidenceView, Submit};
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::http::valid::ValidJson;
use crate::request::CommandContext;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(create))
}

/// Submit evidence
///
/// The fields of the evidence type stand in `evidence_data` or in `proof`, each once: those of `GpsVerification` or of `WitnessAttestation`.
#[utoipa::path(
    post,
    path = "/evidence",
    operation_id = "submit_evidence",
    tag = "evidence",
    params(CommandContext),
    request_body = Submit,
    security(("bearer" = [])),
    responses((status = 201, body = EvidenceView), (status = 404)),
)]
async fn create(
    State(app): State<App>,
    context: CommandContext,
    ValidJson(body): ValidJson<Submit>,
) -> Result<Answer, CommandError> {
    app.command(context, body).await
}
