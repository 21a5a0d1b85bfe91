//! What every request carries: who, which request, which correlation, and one reading of the clock.
//!
//! The middleware makes it once. Handlers take it as `CommandContext` (a write: a token and an
//! `Idempotency-Key` are required) or `ReadContext`.

use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use gotong_engine::types::Trigger;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;
use uuid::Uuid;

use super::dev;
use super::limits::head_fits;
use super::problem::{Asked, Problem};
use super::rate::{RouteClass, Who, tell, too_many};
use crate::app::App;
use crate::clock::Millis;
use crate::config::Limits;
use crate::metrics::words::Room;
use crate::problems::Code;
use crate::request::{Actor, Caller, CommandContext, Place, ReadContext, TIMER_PREFIX};
use crate::telemetry::traces;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// So many times the largest body may go by of one that is refused.
const GOES_BY: usize = 4;

/// The body of a write, read once and within its limit.
#[derive(Clone, Debug, Default)]
pub struct BodyBytes(pub Bytes);

impl ReadContext {
    /// Who asks, for what nobody is shown without a token.
    pub fn actor(&self) -> Result<&Actor, Problem> {
        self.caller.actor().ok_or_else(|| {
            Problem::new(
                Code::TokenRequired,
                "this is shown to nobody without a token: send `Authorization: Bearer TOKEN`",
            )
        })
    }
}

#[derive(Clone, Debug)]
struct RequestContext {
    caller: Caller,
    request_id: Option<String>,
    correlation_id: String,
    request_digest: String,
    now_ms: Millis,
    creates: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for CommandContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let context = request_context(parts)?;
        let place = parts.extensions.get::<Place>().cloned();
        let Caller::Known(actor) = context.caller else {
            return Err(Problem::new(
                Code::TokenRequired,
                "this request changes something: send `Authorization: Bearer TOKEN`",
            ));
        };
        let request_id = context.request_id.ok_or_else(|| {
            Problem::new(Code::RequestIdRequired, "a write needs an `Idempotency-Key` header (or X-Request-Id): 8-128 characters of A-Z a-z 0-9 _ : . -")
        })?;
        let RequestContext {
            correlation_id,
            request_digest,
            now_ms,
            creates,
            ..
        } = context;
        Ok(Self {
            actor,
            request_id,
            correlation_id,
            request_digest,
            now_ms,
            trigger: Trigger::UserAction,
            creates,
            lease: None,
            place,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ReadContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let RequestContext { caller, now_ms, .. } = request_context(parts)?;
        Ok(Self { caller, now_ms })
    }
}

fn request_context(parts: &Parts) -> Result<RequestContext, Problem> {
    parts
        .extensions
        .get::<RequestContext>()
        .cloned()
        .ok_or_else(|| {
            tracing::error!("a route stands outside the request middleware");
            Problem::internal(Asked::of(&parts.method))
        })
}

/// Makes the context, keeps the limits, answers with both ids, and logs the request once.
pub async fn middleware(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let ids = Ids::of(request.headers(), is_read(request.method()));
    let correlation_id = ids
        .as_ref()
        .map_or_else(|_| mint(), |ids| ids.correlation_id.clone());
    let span = tracing::info_span!("request", %correlation_id);
    traces::continue_trace(&span, request.headers());
    async {
        let method = request.method().clone();
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
        let request_id = ids.as_ref().ok().and_then(|ids| ids.request_id.clone());
        let class = RouteClass::of(&method, &route);
        let response = serve(&app, class, ids, request, next).await;
        let status = response.status().as_u16();
        let elapsed = started.elapsed();
        app.metrics
            .request(method.as_str(), &route, status, elapsed);
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(%method, route, status, elapsed_us, "request");
        traces::describe_request(method.as_str(), &route, status);
        signed_off(response, request_id, &correlation_id)
    }
    .instrument(span)
    .await
}

/// Counts the request, then answers it unless its caller has asked too often.
async fn serve(
    app: &App,
    class: RouteClass,
    ids: Result<Ids, Problem>,
    request: Request,
    next: Next,
) -> Response {
    let limits = &app.config.limits;
    let (parts, body) = request.into_parts();
    let caller = caller(app, &parts.headers);
    let asked = Asked::of(&parts.method);
    let who = Who::is(class, caller.as_ref().ok(), app.gate.address(&parts));
    let count = app.gate.rates.count(class, &who).await;
    let admitted = || {
        if let Some(wait) = count.and_then(|count| count.wait) {
            app.metrics.rate_limited(class, &who);
            return Err(too_many(wait, asked));
        }
        head_fits(limits, &parts.uri, &parts.headers)?;
        Ok((ids?, caller?))
    };
    let answered = match admitted() {
        Ok((ids, caller)) => {
            let within = within(app, class, ids, caller, (parts, body), next);
            let limit = Duration::from_millis(limits.request_timeout_ms);
            let ended = tokio::time::timeout(limit, within).await;
            ended.unwrap_or_else(|_| {
                let detail = format!(
                    "the request took too long; send it again{}",
                    asked.same_key()
                );
                Err(Problem::new(Code::RequestTimeout, detail).retry_after(1))
            })
        }
        Err(problem) => {
            pass_over(limits, body.into_data_stream());
            Err(problem)
        }
    };
    let mut response = answered.unwrap_or_else(Problem::into_response);
    if let Some(count) = &count {
        tell(&mut response, class, count);
    }
    response
}

/// Answers a request that was let in.
async fn within(
    app: &App,
    class: RouteClass,
    ids: Ids,
    caller: Caller,
    request: (Parts, Body),
    next: Next,
) -> Result<Response, Problem> {
    let preparing = tracing::debug_span!("prepare", correlation_id = ids.correlation_id);
    let (mut request, room) = prepare(app, ids, caller, request)
        .instrument(preparing)
        .await?;
    // Who is asked whether the host lives must not be told that it is busy.
    if class == RouteClass::Public {
        return Ok(next.run(request).await);
    }
    let place = app.gate.enter(room);
    let place = place.inspect_err(|_| app.metrics.overloaded(Room::Request))?;
    // A command keeps one of its own, for when nobody waits here any more; the request itself is gone when its
    // handler begins.
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    drop(place);
    Ok(response)
}

/// Who asks, by the one `Authorization` header.
fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let mut headers = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().map_err(|_| {
            Problem::new(Code::TokenInvalid, "the Authorization header is not text")
        })?),
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                Code::TokenInvalid,
                "there is more than one Authorization header",
            ));
        }
    };
    app.tokens.caller(authorization)
}

/// Lets a body, or its rest, go by that nobody needs, piece by piece: a client that still sends it would otherwise find its
/// connection broken in the place of the answer.
fn pass_over(limits: &Limits, mut pieces: BodyDataStream) {
    if pieces.is_end_stream() {
        return;
    }
    let most = limits.body_bytes.saturating_mul(GOES_BY);
    let limit = Duration::from_millis(limits.body_timeout_ms);
    let going_by = async move {
        let mut bytes = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            bytes += piece.len();
            if bytes > most {
                break;
            }
        }
    };
    tokio::spawn(tokio::time::timeout(limit, going_by));
}

fn too_large(limits: &Limits) -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!("the body is larger than {} bytes", limits.body_bytes),
    )
}

/// A body, and the room that it takes among all.
type Held = (Bytes, Option<OwnedSemaphorePermit>);

/// The whole body, if it is small enough, comes in time and finds room.
async fn whole(app: &App, body: Body) -> Result<Held, Problem> {
    let limits = &app.config.limits;
    let mut pieces = body.into_data_stream();
    let limit = Duration::from_millis(limits.body_timeout_ms);
    match tokio::time::timeout(limit, gathered(app, &mut pieces)).await {
        Ok(Ok(held)) => Ok(held),
        Ok(Err(problem)) => {
            pass_over(limits, pieces);
            Err(problem)
        }
        Err(_) => Err(Problem::new(
            Code::BodyTimeout,
            "the body took too long to arrive; send the request again with the same Idempotency-Key",
        )),
    }
}

/// Takes room for what is there: a body that is announced and does not come takes none.
async fn gathered(app: &App, pieces: &mut BodyDataStream) -> Result<Held, Problem> {
    let limits = &app.config.limits;
    let most = u64::try_from(limits.body_bytes).unwrap_or(u64::MAX);
    if HttpBody::size_hint(pieces).lower() > most {
        return Err(too_large(limits));
    }
    let (mut whole, mut room) = (Vec::new(), None);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            Problem::new(
                Code::BodyIncomplete,
                "the body was cut off, or is not as the head says; send the request again with the same Idempotency-Key",
            )
        })?;
        let bytes = whole.len() + piece.len();
        if bytes > limits.body_bytes {
            return Err(too_large(limits));
        }
        let found = app.gate.take_in(&mut room, bytes);
        found.inspect_err(|_| app.metrics.overloaded(Room::Body))?;
        whole.extend_from_slice(&piece);
    }
    Ok((Bytes::from(whole), room))
}

/// Reads the body of who may send one.
async fn prepare(
    app: &App,
    ids: Ids,
    caller: Caller,
    (mut parts, body): (Parts, Body),
) -> Result<(Request, Option<OwnedSemaphorePermit>), Problem> {
    let is_of_a_stranger =
        || caller.actor().is_none() && !dev::takes_bodies_of_anybody(app, &parts.uri);
    let (bytes, room) = if body.is_end_stream() {
        (Bytes::new(), None)
    } else if is_read(&parts.method) || is_of_a_stranger() {
        // The body of a read means nothing (RFC 9110, 9.3.1), and a write asks for a token before it asks for anything
        // else: nobody needs this one.
        pass_over(&app.config.limits, body.into_data_stream());
        (Bytes::new(), None)
    } else {
        whole(app, body).await?
    };
    let context = RequestContext {
        caller,
        request_id: ids.request_id,
        correlation_id: ids.correlation_id,
        request_digest: if is_read(&parts.method) {
            String::new()
        } else {
            request_digest(&parts.method, parts.uri.path(), &bytes)
        },
        now_ms: app.clock.now_ms(),
        creates: parts.method == Method::POST,
    };
    parts.extensions.insert(context);
    parts.extensions.insert(BodyBytes(bytes.clone()));
    Ok((Request::from_parts(parts, Body::from(bytes)), room))
}

/// Equal for the same command whatever the spacing of its body, and under `/v1` and `/api/v1`.
fn request_digest(method: &Method, path: &str, body: &[u8]) -> String {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let canonical = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|value| serde_json_canonicalizer::to_vec(&value).ok())
        .unwrap_or_else(|| body.to_vec());
    let mut digest = Sha256::new();
    digest.update(format!("{method}\n{path}\n"));
    digest.update(&canonical);
    hex::encode(digest.finalize())
}

struct Ids {
    request_id: Option<String>,
    correlation_id: String,
}

impl Ids {
    /// A read has no effect to name: an id that some proxy gave it and that does not fit is passed over.
    fn of(headers: &HeaderMap, is_read: bool) -> Result<Self, Problem> {
        let request_id = match request_id(headers) {
            Err(_) if is_read => None,
            found => found?,
        };
        let correlation_id =
            match header_text(headers, &X_CORRELATION_ID, Code::CorrelationIdInvalid)? {
                Some(id) if (4..=128).contains(&id.len()) && id.bytes().all(is_id_byte) => id,
                Some(_) => {
                    return Err(Problem::new(
                        Code::CorrelationIdInvalid,
                        "an X-Correlation-Id has 4-128 characters of A-Z a-z 0-9 _ : . -",
                    ));
                }
                None => mint(),
            };
        Ok(Self {
            request_id,
            correlation_id,
        })
    }
}

fn request_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let key = header_text(headers, &IDEMPOTENCY_KEY, Code::RequestIdInvalid)?;
    let alias = header_text(headers, &X_REQUEST_ID, Code::RequestIdInvalid)?;
    if let (Some(key), Some(alias)) = (&key, &alias)
        && key != alias
    {
        return Err(Problem::new(
            Code::RequestIdInvalid,
            "Idempotency-Key and X-Request-Id are the same thing here, but they differ",
        ));
    }
    let id = key.or(alias);
    if let Some(id) = &id {
        if id.starts_with(TIMER_PREFIX) {
            return Err(Problem::new(
                Code::RequestIdReserved,
                format!("keys that begin with `{TIMER_PREFIX}` are the host's own"),
            ));
        }
        if !(8..=128).contains(&id.len()) || !id.bytes().all(is_id_byte) {
            return Err(Problem::new(
                Code::RequestIdInvalid,
                "an Idempotency-Key has 8-128 characters of A-Z a-z 0-9 _ : . -",
            ));
        }
    }
    Ok(id)
}

fn is_read(method: &Method) -> bool {
    Asked::of(method) == Asked::ToRead
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte)
}

fn header_text(
    headers: &HeaderMap,
    name: &HeaderName,
    code: Code,
) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| Problem::new(code, format!("the header `{name}` is not plain text")))?;
    if values.next().is_some() {
        return Err(Problem::new(
            code,
            format!("the header `{name}` stands there more than once"),
        ));
    }
    Ok(Some(text.to_owned()))
}

pub(super) fn mint() -> String {
    Uuid::now_v7().to_string()
}

/// Puts both ids on the answer, and into its problem document if it is one.
pub(super) fn signed_off(
    mut response: Response,
    request_id: Option<String>,
    correlation_id: &str,
) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let problem = problem.with_ids(request_id.clone(), correlation_id);
        let before = std::mem::take(response.headers_mut());
        response = problem.into_response();
        response.extensions_mut().remove::<Problem>();
        // What a layer added on the way (an `Allow`, say) stays; what the problem says of itself is new.
        for (name, value) in &before {
            if !response.headers().contains_key(name) && *name != header::CONTENT_LENGTH {
                response.headers_mut().append(name, value.clone());
            }
        }
    }
    let mut put = |name: HeaderName, id: &str| {
        if let Ok(value) = HeaderValue::from_str(id) {
            response.headers_mut().insert(name, value);
        }
    };
    put(X_CORRELATION_ID, correlation_id);
    if let Some(id) = &request_id {
        put(X_REQUEST_ID, id);
    }
    response
}
