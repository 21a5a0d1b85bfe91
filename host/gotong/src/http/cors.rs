//! Which pages of other origins may call the API: those that the settings name, none by default.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::rate::{RATE_LIMIT, RATE_LIMIT_POLICY};
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
