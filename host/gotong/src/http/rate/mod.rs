//! How often one caller may ask: GCRA, counted in this process, or over Redis for all hosts together.
//!
//! Redis is speed: while it is away, each host counts for itself, and no request fails for it.

mod local;
mod shared;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::Response;

use super::address;
use super::problem::{Asked, Problem};
use crate::config::{Rate, Rates};
use crate::problems::Code;
use crate::redis::{Redis, RedisError};
use crate::request::Caller;
use crate::telemetry::error_for_log;
use local::LocalRates;
use shared::SharedRates;

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What a route asks of the host, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteClass {
    Read,
    Write,
    Admin,
    Public,
    /// What browsers ask before they send a request of another origin's page.
    Preflight,
}

impl RouteClass {
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Write,
        Self::Admin,
        Self::Public,
        Self::Preflight,
    ];

    /// The one place where a class is chosen, but for preflights. `route` is the pattern of the route.
    pub fn of(method: &Method, route: &str) -> Self {
        let path = route.strip_prefix("/api").unwrap_or(route);
        let (root, rest) = match path.strip_prefix("/v1") {
            Some(rest) => (true, rest),
            None => (false, path),
        };
        let is_under = |folder: &str| {
            rest.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if root && (is_under("/audit") || is_under("/admin")) {
            Self::Admin
        } else if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            Self::Write
        } else if !root
            && ["/health", "/metrics", "/docs", "/openapi.json"]
                .iter()
                .any(|path| is_under(path))
        {
            Self::Public
        } else {
            Self::Read
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Public => "public",
            Self::Preflight => "preflight",
        }
    }
}

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Subject(Box<str>),
    Address(IpAddr),
}

impl Who {
    /// A valid token's subject; without one, and on public routes, the address.
    pub fn is(class: RouteClass, caller: Option<&Caller>, address: IpAddr) -> Self {
        match caller.and_then(Caller::actor) {
            Some(actor) if class != RouteClass::Public => {
                Self::Subject(actor.user_id.as_str().into())
            }
            _ => Self::Address(address::counted(address)),
        }
    }

    /// `subject` or `address`
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject",
            Self::Address(_) => "address",
        }
    }
}

/// What a count came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    pub rate: Rate,
    /// How many more would be let through now.
    pub remaining: u32,
    /// How long until one is let through, if this one was not.
    pub wait: Option<Duration>,
    /// How long until all is forgotten.
    pub reset: Duration,
}

/// Counts every request of a host.
#[derive(Debug)]
pub struct RateLimits {
    rates: Rates,
    local: LocalRates,
    shared: Option<SharedRates>,
    /// A fault of ours in the way Redis is asked: told once.
    told: AtomicBool,
}

impl RateLimits {
    pub fn new(rates: &Rates, redis: Option<Redis>) -> Self {
        Self {
            rates: rates.clone(),
            local: LocalRates::new(rates),
            shared: redis.map(SharedRates::new),
            told: AtomicBool::new(false),
        }
    }

    /// Counts one request; `None` when nothing is counted.
    pub async fn count(&self, class: RouteClass, who: &Who) -> Option<Count> {
        if !self.rates.enabled {
            return None;
        }
        let rate = rate_of(&self.rates, class, who);
        if let Some(shared) = &self.shared {
            match shared.count(class, who, rate).await {
                Ok(count) => return Some(count),
                Err(RedisError::Refused(error)) if !self.told.swap(true, Ordering::Relaxed) => {
                    let error = error_for_log(&error);
                    tracing::warn!(error, "requests are counted by this host alone for now");
                }
                Err(_) => {}
            }
        }
        Some(self.local.count(class, who, rate))
    }
}

fn rate_of(rates: &Rates, class: RouteClass, who: &Who) -> Rate {
    let of_class = match class {
        RouteClass::Read => &rates.read,
        RouteClass::Write => &rates.write,
        RouteClass::Admin => &rates.admin,
        RouteClass::Public => return rates.public,
        RouteClass::Preflight => return rates.preflight,
    };
    match who {
        Who::Subject(_) => of_class.subject,
        Who::Address(_) => of_class.address,
    }
}

/// The problem of one request too many.
pub fn too_many(wait: Duration, asked: Asked) -> Problem {
    let detail = format!(
        "too many requests; send this one again after the time in Retry-After{}",
        asked.same_key()
    );
    Problem::new(Code::RateLimited, detail)
        .retry_after(u32::try_from(whole_seconds(wait).max(1)).unwrap_or(u32::MAX))
}

/// Says on an answer how much is left (draft-ietf-httpapi-ratelimit-headers-10).
pub fn tell(response: &mut Response, class: RouteClass, count: &Count) {
    let (name, rate) = (class.as_str(), count.rate);
    let window = whole_seconds(rate.interval() * rate.burst.get());
    let policy = format!("\"{name}\";q={};w={}", rate.burst, window.max(1));
    let left = format!(
        "\"{name}\";r={};t={}",
        count.remaining,
        whole_seconds(count.reset)
    );
    for (header, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(header, value);
        }
    }
}

/// Rounded up: who waits that long is let through.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_chosen_by_method_and_route() {
        let class = |method: Method, route: &str| RouteClass::of(&method, route);
        for root in ["/v1", "/api/v1"] {
            assert_eq!(
                class(Method::GET, &format!("{root}/entities/{{id}}")),
                RouteClass::Read
            );
            assert_eq!(
                class(Method::POST, &format!("{root}/entities")),
                RouteClass::Write
            );
            assert_eq!(
                class(
                    Method::DELETE,
                    &format!("{root}/entities/{{id}}/relations/{{relation}}")
                ),
                RouteClass::Write
            );
            assert_eq!(
                class(Method::GET, &format!("{root}/audit/events")),
                RouteClass::Admin
            );
            assert_eq!(
                class(Method::POST, &format!("{root}/admin/x")),
                RouteClass::Admin
            );
            assert_eq!(
                class(Method::GET, &format!("{root}/auditor")),
                RouteClass::Read
            );
            assert_eq!(
                class(Method::GET, &format!("{root}/health")),
                RouteClass::Read
            );
        }
        assert_eq!(class(Method::GET, "/health/ready"), RouteClass::Public);
        assert_eq!(class(Method::POST, "/health/ready"), RouteClass::Write);
        assert_eq!(
            class(Method::GET, "-"),
            RouteClass::Read,
            "what is no route"
        );
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
    }
}
