//! The API's document (OpenAPI 3.1), made from the routes: each handler says what is its own, and what the middleware
//! does to every request is added here.

mod page;

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, Info, License, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use crate::app::App;
use crate::problems::{Code, Reach};
use crate::request::CommandContext;

const ABOUT: &str = "\
The API of a Gotong host: community matters (seeds), the people around them, and the gates through which they \
move.\n\nEvery path that begins with `/v1` stands under `/api/v1` too, with the same answers. A write needs a \
token and an `Idempotency-Key`: the same key, caller and body get the same answer again, with \
`Idempotent-Replayed: true`, and have one effect. Every error is a problem document (RFC 9457) with a stable \
`code`. A field that the viewer may not see is null.";

/// What stands in the head of the document.
pub fn head() -> OpenApi {
    let info = Info::builder()
        .title("Gotong")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(
            License::builder()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ));
    OpenApiBuilder::new().info(info.build()).build()
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(openapi))
        .routes(routes!(docs))
}

/// The document as it is served.
#[derive(Clone, Debug)]
pub struct Served {
    json: Bytes,
    page: Bytes,
}

impl Served {
    pub fn new(document: &Value) -> Self {
        Self {
            json: document.to_string().into(),
            page: page::page(document).into(),
        }
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "read_openapi",
    tag = "contract",
    security(()),
    responses((status = 200, body = Object, content_type = "application/json"))
)]
async fn openapi(Extension(served): Extension<Served>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], served.json)
}

/// The same to read
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "read_docs",
    tag = "contract",
    security(()),
    responses((status = 200, body = String, content_type = "text/html"))
)]
async fn docs(Extension(served): Extension<Served>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    (headers, served.page)
}

/// Adds to every operation what holds for all of them.
pub fn completed(mut document: OpenApi) -> Value {
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(complete);
    }
    let components = document.components.get_or_insert_default();
    components.schemas.extend(Problem::schemas());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT");
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    // A document of strings and numbers always has a JSON form.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    name_millis(&mut document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut()
        && let Some(mut millis) = schemas.remove(ALIASED)
    {
        millis["description"] = "Milliseconds since 1970.".into();
        schemas.insert(MILLIS.to_owned(), millis);
    }
    document
}

/// What utoipa calls the alias `Millis`, and what it is called here.
const ALIASED: &str = "i64";
const MILLIS: &str = "Millis";

fn name_millis(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(place)
                        if name == "$ref" && place.strip_prefix(SCHEMAS) == Some(ALIASED) =>
                    {
                        *place = format!("{SCHEMAS}{MILLIS}");
                    }
                    inner => name_millis(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(name_millis),
        _ => {}
    }
}

const SCHEMAS: &str = "#/components/schemas/";

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

fn complete(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let is_write = parameters.iter().any(is_idempotency_key);
    parameters.push(RefOr::T(correlation_id()));
    let nobody = SecurityRequirement::default();
    let takes_token = operation
        .security
        .iter()
        .flatten()
        .any(|who| *who != nobody);
    let common = Code::ALL.iter().filter(|code| match code.reach() {
        Reach::Every => true,
        Reach::Writes => is_write,
        Reach::Ruled => takes_token,
        Reach::Some => false,
    });
    for code in common {
        operation
            .responses
            .responses
            .entry(code.status().to_string())
            .or_insert_with(|| RefOr::T(Response::new("")));
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if response.description.is_empty() {
            response.description = meaning(status).to_owned();
        }
        if !status.starts_with('2') && response.content.is_empty() {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response
                .content
                .insert("application/problem+json".to_owned(), RefOr::T(problem));
        }
        let mut header = |name: &str, description: &str| {
            let header = HeaderBuilder::new()
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .description(Some(description));
            response
                .headers
                .insert(name.to_owned(), RefOr::T(header.build()));
        };
        header(
            "X-Correlation-Id",
            "The caller's, or one made for this request: it finds the log line.",
        );
        header(
            "RateLimit-Policy",
            "The caller's rate for this class of routes: a burst of `q`, whole again in `w` seconds. Where rates are counted.",
        );
        header(
            "RateLimit",
            "What is left of it: `r` requests now, all of it in `t` seconds.",
        );
        if is_write {
            header("X-Request-Id", "The caller's `Idempotency-Key`.");
            header(
                "Idempotent-Replayed",
                "`true`: this is the stored answer to the same request before.",
            );
        }
        if matches!(status.as_str(), "409" | "429" | "503") {
            header("Retry-After", "After so many seconds it may go otherwise.");
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "201" => "Done; what was made",
        "400" => "The request cannot be read",
        "401" => "There is no token, or none that is accepted",
        "403" => "A policy rules it out: `code` is its reason",
        "404" => "There is nothing here, or nothing that is visible to the caller",
        "408" => "The body took too long to arrive",
        "409" => "What is there already excludes it",
        "413" => "The body is too large",
        "415" => "The body is not plain JSON",
        "422" => "A field cannot be meant, or a policy rules that the matter is not ready",
        "429" => "The caller asked too often",
        "431" => "The address and the headers are too large",
        "503" => "Not now: send it again",
        _ => "The host failed",
    }
}

fn is_idempotency_key(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == IDEMPOTENCY_KEY)
}

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

impl IntoParams for CommandContext {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "Names the request: the same key again gives the same answer, and one effect. `X-Request-Id` may \
            stand in its place. Keys that begin with `timer:` are the host's own.";
        vec![id_header(IDEMPOTENCY_KEY, about, Required::True, 8)]
    }
}

fn correlation_id() -> Parameter {
    let about = "Ties this request to others and to log lines; one is made when there is none.";
    id_header("X-Correlation-Id", about, Required::False, 4)
}

fn id_header(name: &str, about: &str, required: Required, shortest: usize) -> Parameter {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(shortest))
        .max_length(Some(LONGEST_ID))
        .pattern(Some("^[A-Za-z0-9_:.-]*$"));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(about))
        .schema(Some(id))
        .build()
}

const LONGEST_ID: usize = 128;
