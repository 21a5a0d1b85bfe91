//! `POST /v1/evidence`

use axum::Router;
use axum::extract::State;
use axum::routing::post;

use super::Submit;
use crate::app::App;
use crate::command::answer::{Answer, CommandError};
use crate::http::context::CommandContext;
use crate::http::valid::ValidJson;

pub fn routes() -> Router<App> {
    Router::new().route("/evidence", post(create))
}

async fn create(
    State(app): State<App>,
    context: CommandContext,
    ValidJson(body): ValidJson<Submit>,
) -> Result<Answer, CommandError> {
    app.command(context, body).await
}
