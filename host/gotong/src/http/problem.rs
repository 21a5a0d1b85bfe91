//! Every error a client sees: RFC 9457 `application/problem+json`.
//!
//! `code` is stable, `detail` says what to do, `request_id` and `correlation_id` find the log line. No
//! database or engine message ever gets in here.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gotong_store::StoreError;
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problems::Code;

/// Longest detail of a problem, and path of a field, in characters: an answer does not grow with what it quotes.
const LONGEST_DETAIL: usize = 500;
const LONGEST_FIELD: usize = 100;

fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text,
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
    }
}

/// One problem document. In a box, so that the results that carry it stay small.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Document>);

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
struct Document {
    /// `urn:gotong:problem:{code}`
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    /// Stable, snake_case. For a ruled refusal: the policy's reason.
    code: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// When a policy ruled: which rule, in its own words, and the decision to look up.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
}

/// What is wrong with one field of a body.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field, `proof.timestamp`; empty for the whole body.
    pub field: String,
    pub detail: String,
}

/// What a request was for: only a write has a key to be sent again with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    ToRead,
    ToWrite,
}

impl Asked {
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Self::ToRead,
            _ => Self::ToWrite,
        }
    }

    /// The end of a sentence that says to send the request again.
    pub const fn same_key(self) -> &'static str {
        match self {
            Self::ToRead => "",
            Self::ToWrite => " with the same Idempotency-Key",
        }
    }
}

/// The ruling behind a refusal.
#[derive(Clone, Debug)]
pub struct RulingNote {
    pub rule: String,
    pub rule_text: String,
    pub decision_id: String,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::coded(code.status(), code.as_str(), detail)
    }

    /// What a policy ruled out, in its words.
    pub fn ruled(status: StatusCode, reason: &str, detail: impl Into<String>) -> Self {
        Self::coded(status.as_u16(), reason, detail)
    }

    fn coded(status: u16, code: &str, detail: impl Into<String>) -> Self {
        let title = StatusCode::from_u16(status).ok();
        let title = title.and_then(|status| status.canonical_reason());
        Self(Box::new(Document {
            kind: format!("urn:gotong:problem:{code}"),
            title: title.unwrap_or("Error").to_owned(),
            status,
            detail: cut(detail.into(), LONGEST_DETAIL),
            code: code.to_owned(),
            errors: Vec::new(),
            rule: None,
            rule_text: None,
            decision_id: None,
            request_id: None,
            correlation_id: None,
            retry_after_s: None,
        }))
    }

    /// The same words for what does not exist and for what may not be seen.
    pub fn not_found() -> Self {
        Self::new(
            Code::NotFound,
            "there is nothing here, or nothing that is visible to you",
        )
    }

    pub fn invalid_field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = cut(field.into(), LONGEST_FIELD);
        let detail = cut(detail.into(), LONGEST_DETAIL);
        let whole = if field.is_empty() {
            detail.clone()
        } else {
            format!("`{field}`: {detail}")
        };
        let mut problem = Self::new(code, whole);
        problem.0.errors.push(FieldError { field, detail });
        problem
    }

    /// A fault of ours. The cause goes to the log with the correlation id, never to the client.
    pub fn internal(asked: Asked) -> Self {
        let detail = format!(
            "the host could not finish this request; send it again{}",
            asked.same_key()
        );
        Self::new(Code::Internal, detail)
    }

    /// A fault of ours, or of the store: while that is away, the host is only not ready.
    pub fn fault(store: Option<&StoreError>, asked: Asked) -> Self {
        if !store.is_some_and(StoreError::is_outage) {
            return Self::internal(asked);
        }
        let detail = format!(
            "the store cannot be used at the moment; send the request again{}",
            asked.same_key()
        );
        Self::new(Code::NotReady, detail).retry_after(1)
    }

    pub fn with_ruling(mut self, ruling: RulingNote) -> Self {
        self.0.rule = Some(ruling.rule);
        self.0.rule_text = Some(ruling.rule_text);
        self.0.decision_id = Some(ruling.decision_id);
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// What a problem document and its parts are, by name.
    pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
        let mut schemas = vec![(Document::name().into_owned(), Document::schema())];
        Document::schemas(&mut schemas);
        schemas
    }

    /// The ids that find the log line.
    pub fn with_ids(mut self, request_id: Option<String>, correlation_id: &str) -> Self {
        self.0.request_id = request_id;
        self.0.correlation_id = Some(correlation_id.to_owned());
        self
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response =
            (self.status(), [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if self.status() == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.0.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The request middleware adds the ids: it alone knows them for every route.
        response.extensions_mut().insert(self);
        response
    }
}
