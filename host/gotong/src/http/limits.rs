//! What stands before every request: how often its caller may ask, how large its head may be, and whether the host has
//! room for it.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Uri};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::{NOWHERE, Peer, Proxies};
use super::problem::Problem;
use super::rate::RateLimits;
use crate::config::{Config, Limits};
use crate::problems::Code;
use crate::redis::Redis;

/// How long a client that found no room waits before it comes again.
pub const COME_AGAIN_S: u32 = 1;

/// The limits of a running host, and what they have counted.
#[derive(Debug)]
pub struct Gate {
    pub rates: RateLimits,
    proxies: Proxies,
    room: Semaphore,
}

impl Gate {
    pub fn new(config: &Config, redis: Option<Redis>) -> Self {
        Self {
            rates: RateLimits::new(&config.limits.rate, redis),
            proxies: Proxies::new(config.trusted_proxies.clone(), config.forwarded_by),
            room: Semaphore::new(config.limits.requests.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// The address a request is counted under.
    pub fn address(&self, request: &Request) -> IpAddr {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.map_or(NOWHERE, |peer| peer.0.ip());
        self.proxies.client(peer, request.headers())
    }

    /// A place among the requests that are worked on, held until the answer is there.
    pub fn enter(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.room.try_acquire().map_err(|_| overloaded())
    }
}

/// The host has as much to do as it may have.
pub fn overloaded() -> Problem {
    Problem::new(
        Code::Overloaded,
        "the host has too much to do; send the request again with the same Idempotency-Key",
    )
    .retry_after(COME_AGAIN_S)
}

/// Refuses a head that is larger than it may be.
pub fn head_fits(limits: &Limits, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    // As on the wire: `name: value` and a line end.
    let of_header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        name.as_str().len() + value.len() + 4
    };
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let bytes = path + headers.iter().map(of_header).sum::<usize>();
    if bytes <= limits.head_bytes && headers.len() <= limits.headers {
        return Ok(());
    }
    Err(Problem::new(
        Code::HeadTooLarge,
        format!(
            "a request has at most {} headers and, with its address, {} bytes of them",
            limits.headers, limits.head_bytes
        ),
    ))
}
