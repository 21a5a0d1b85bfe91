//! Which pages of other origins may call the API: those that the settings name, none by default.
//!
//! The layer stands outside the request middleware, so that pages can read refusals of their requests too. It answers
//! preflights by itself: they are counted here. Of a refused preflight a page is told nothing, whatever the answer says.

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::context::{mint, signed_off};
use super::problem::Asked;
use super::rate::{RATE_LIMIT, RATE_LIMIT_POLICY, RouteClass, Who, tell, too_many};
use crate::app::App;
use crate::config::Config;

/// How long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The layer of the configured origins, if there are any. No cookies are used, so none are allowed.
pub fn layer(config: &Config) -> Option<CorsLayer> {
    let origins = &config.cors_origins;
    let origin = match origins.as_slice() {
        [] => return None,
        [all] if all == "*" => AllowOrigin::from(Any),
        some => AllowOrigin::list(
            some.iter()
                .filter_map(|text| HeaderValue::from_str(text).ok()),
        ),
    };
    let named = HeaderName::from_static;
    Some(
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                named("idempotency-key"),
                named("x-request-id"),
                named("x-correlation-id"),
                named("traceparent"),
            ])
            .expose_headers([
                named("idempotent-replayed"),
                named("x-request-id"),
                named("x-correlation-id"),
                header::RETRY_AFTER,
                RATE_LIMIT,
                RATE_LIMIT_POLICY,
            ])
            .max_age(MAX_AGE),
    )
}

/// Counts preflights by address, measures and logs them: what the layer answers comes no further, and it answers every
/// OPTIONS.
pub async fn preflights(State(app): State<App>, request: Request, next: Next) -> Response {
    if *request.method() != Method::OPTIONS {
        return next.run(request).await;
    }
    let started = Instant::now();
    let correlation_id = mint();
    let (parts, body) = request.into_parts();
    let class = RouteClass::Preflight;
    let who = Who::is(class, None, app.gate.address(&parts));
    let count = app.gate.rates.count(class, &who).await;
    let mut response = match count.and_then(|count| count.wait) {
        Some(wait) => {
            app.metrics.rate_limited(class, &who);
            too_many(wait, Asked::ToRead).into_response()
        }
        None => next.run(Request::from_parts(parts, body)).await,
    };
    if let Some(count) = &count {
        tell(&mut response, class, count);
    }
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    app.metrics.request("OPTIONS", "-", status, elapsed);
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(
        correlation_id,
        method = "OPTIONS",
        route = "-",
        status,
        elapsed_us,
        "request"
    );
    signed_off(response, None, &correlation_id)
}
