//! `ValidJson<T>`, `ValidQuery<T>` and `ValidPath<T>`: input that is already what its type promises.
//!
//! Unknown fields are refused and named; limits live in the field types (`TryFrom`), so a value that
//! exists is valid.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::context::BodyBytes;
use super::problem::Problem;
use crate::problems::Code;

#[derive(Debug)]
pub struct ValidJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ValidJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(
                Code::JsonRequired,
                "send the body as `Content-Type: application/json`",
            ));
        }
        if request
            .headers()
            .get(header::CONTENT_ENCODING)
            .is_some_and(|encoding| encoding != "identity")
        {
            return Err(Problem::new(
                Code::EncodingUnsupported,
                "send the body without a Content-Encoding",
            ));
        }
        let body = request
            .extensions()
            .get::<BodyBytes>()
            .cloned()
            .unwrap_or_default();
        parse(&body.0).map(Self)
    }
}

#[derive(Debug)]
pub struct ValidQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(query) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let text = error.body_text();
            let says = text
                .split_once("query string: ")
                .map_or(&*text, |(_, says)| says);
            Problem::new(Code::InvalidQuery, plain(says))
        })?;
        Ok(Self(query))
    }
}

#[derive(Debug)]
pub struct ValidPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ValidPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What cannot be an id is the id of nothing.
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path))
            .map_err(|_| Problem::not_found())
    }
}

/// What a deserialiser says it expected, in words that clients know.
fn plain(says: &str) -> String {
    let Some((found, expected)) = says.rsplit_once("expected ") else {
        return says.to_owned();
    };
    let plain = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("struct ") => "an object",
        _ => return says.to_owned(),
    };
    format!("{found}expected {plain}")
}

/// Parses a body, naming the field that does not fit.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Serde would take an array for a struct, field by field and without their names.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid_field(
            Code::InvalidField,
            "",
            "the body is an array, not an object",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let inner = error.into_inner();
        if inner.is_syntax() || inner.is_eof() {
            return Problem::new(
                Code::MalformedJson,
                format!("the body is not JSON: {inner}"),
            );
        }
        let detail = inner.to_string();
        // serde_json ends its messages with a position; the path says it better.
        let detail = detail.split(" at line ").next().unwrap_or(&detail);
        let code = if detail.starts_with("unknown field") {
            Code::UnknownField
        } else {
            Code::InvalidField
        };
        Problem::invalid_field(code, path, plain(detail))
    })?;
    json.end().map_err(|error| {
        Problem::new(
            Code::MalformedJson,
            format!("the body is not JSON: {error}"),
        )
    })?;
    Ok(value)
}
