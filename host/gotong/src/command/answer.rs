//! The answer to a command: made once, stored in the command's own commit, given again byte for byte.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gotong_engine::Family;
use gotong_store::{CommitError, StoreError, StoredResponse};
use serde::Serialize;

use super::refusal::{Fault, Refusal};
use crate::http::problem::{Asked, PROBLEM_JSON, Problem, RulingNote};
use crate::problems::Code;
use crate::request::CommandContext;
use crate::telemetry::error_for_log;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A success or a ruled refusal, as it was stored.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: String,
    pub replayed: bool,
    /// It lies in the store.
    pub kept: bool,
}

/// No answer was stored: the same request may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("the same request is still running")]
    StillRunning,
    /// Never told: the command begins again.
    #[error("another host has the turn of this request")]
    TurnLost,
    #[error("the facts kept changing")]
    Contention,
    #[error("the request id was used for another request")]
    KeyReused,
    #[error("the request id belongs to somebody else")]
    KeyTaken,
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(CommitError),
}

impl CommandError {
    /// What the store said, when it is the store that failed.
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Commit(CommitError::Store(error)) => Some(error),
            Self::Fault(fault) => fault.store_error(),
            _ => None,
        }
    }

    /// It may go otherwise from new facts.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Commit(error) => error.is_retryable() || matches!(error, CommitError::Duplicate),
            Self::Store(error) | Self::Fault(Fault::Store(error)) => {
                matches!(error, StoreError::Busy(_))
            }
            _ => false,
        }
    }
}

impl Answer {
    /// What `outcome` says to the caller.
    pub fn first<T: Serialize>(
        outcome: &Result<T, Refusal>,
        context: &CommandContext,
    ) -> Result<Self, CommandError> {
        let (status, body) = match outcome {
            Ok(value) => (
                match context.creates {
                    true => StatusCode::CREATED,
                    false => StatusCode::OK,
                },
                serde_json::to_string(value).map_err(Fault::from)?,
            ),
            Err(refusal) => {
                let problem =
                    problem_of(refusal).ok_or_else(|| Fault::Broken(refusal.to_string()))?;
                let problem =
                    problem.with_ids(Some(context.request_id.clone()), &context.correlation_id);
                (
                    problem.status(),
                    serde_json::to_string(&problem).map_err(Fault::from)?,
                )
            }
        };
        Ok(Self {
            status,
            body,
            replayed: false,
            kept: false,
        })
    }

    /// The stored answer, for the one who got it first and asks the same again.
    pub fn repeat(stored: StoredResponse, context: &CommandContext) -> Result<Self, CommandError> {
        if stored.actor != context.actor.user_id {
            return Err(CommandError::KeyTaken);
        }
        if stored.request_digest != context.request_digest {
            return Err(CommandError::KeyReused);
        }
        let status =
            StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Ok(Self {
            status,
            body: stored.body,
            replayed: true,
            kept: true,
        })
    }
}

/// The status of what a family rules out: who may is a matter of permission (403); whether the matter is ready is one
/// of state (422).
pub fn status_of(family: Family) -> StatusCode {
    match family {
        Family::RoleMatrix => StatusCode::FORBIDDEN,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// The problem a refusal is told as; a fault is not told.
pub fn problem_of(refusal: &Refusal) -> Option<Problem> {
    Some(match refusal {
        Refusal::Ruled(ruled) if ruled.is_invisibility() => Problem::not_found(),
        Refusal::Ruled(ruled) => Problem::ruled(
            status_of(ruled.family),
            &ruled.reason,
            ruled.rule_text.clone(),
        )
        .with_ruling(RulingNote {
            rule: ruled.rule.clone(),
            rule_text: ruled.rule_text.clone(),
            decision_id: ruled.decision_id.clone(),
        }),
        Refusal::PolicyFailed {
            family,
            code,
            decision_id,
        } => {
            let decision = if decision_id.is_empty() {
                String::new()
            } else {
                format!(" (decision {decision_id})")
            };
            let detail =
                format!("the {family} policy gave no ruling, so the answer is no{decision}");
            let problem = Problem::new(*code, detail);
            match code {
                Code::PolicyEngineError => problem.retry_after(1),
                _ => problem,
            }
        }
        Refusal::NotFound(_) => Problem::not_found(),
        Refusal::Conflict { code, detail } => Problem::new(*code, *detail),
        Refusal::Invalid {
            code,
            field,
            detail,
        } => Problem::invalid_field(*code, *field, detail.clone()),
        Refusal::Fault(_) => return None,
    })
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let kind = if self.status.is_success() {
            HeaderValue::from_static("application/json")
        } else {
            PROBLEM_JSON
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], self.body).into_response();
        if self.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::StillRunning => Self::new(
                Code::RequestInProgress,
                "the same request is still running; ask again in a moment",
            )
            .retry_after(1),
            CommandError::Contention | CommandError::TurnLost => Self::new(
                Code::Contention,
                "too many changes at once; send the request again with the same Idempotency-Key",
            )
            .retry_after(1),
            CommandError::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "this Idempotency-Key was used for another request; take a new one",
            ),
            CommandError::KeyTaken => Self::new(
                Code::IdempotencyKeyTaken,
                "this Idempotency-Key is in use; take a new one",
            ),
            CommandError::Fault(_) | CommandError::Store(_) | CommandError::Commit(_) => {
                tracing::error!(error = error_for_log(&error), "a command failed");
                Self::fault(error.store_error(), Asked::ToWrite)
            }
        }
    }
}

impl IntoResponse for CommandError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
