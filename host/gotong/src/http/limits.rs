//! What stands before every request: how often its caller may ask, how large its head may be, and whether the host has
//! room for it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::{NOWHERE, Peer, Proxies};
use super::problem::Problem;
use super::rate::RateLimits;
use crate::config::{Config, Limits};
use crate::problems::Code;
use crate::redis::Redis;
use crate::request::Place;

/// How long a client that found no room waits before it comes again.
pub const COME_AGAIN_S: u32 = 1;

/// The limits of a running host, and what they have counted.
#[derive(Debug)]
pub struct Gate {
    pub rates: RateLimits,
    proxies: Proxies,
    room: Arc<Semaphore>,
    /// In units of [`UNIT`].
    bodies: Arc<Semaphore>,
}

/// Bodies are counted by the kilobyte.
const UNIT: usize = 1024;

impl Gate {
    pub fn new(config: &Config, redis: Option<Redis>) -> Self {
        Self {
            rates: RateLimits::new(&config.limits.rate, redis),
            proxies: Proxies::new(config.trusted_proxies.clone(), config.forwarded_by),
            room: semaphore(config.limits.requests),
            bodies: semaphore(config.limits.bodies_bytes.div_ceil(UNIT)),
        }
    }

    /// The address a request is counted under.
    pub fn address(&self, request: &Parts) -> IpAddr {
        let peer = request.extensions.get::<Peer>();
        let peer = peer.map_or(NOWHERE, |peer| peer.0.ip());
        self.proxies.client(peer, &request.headers)
    }

    /// As much more room as a body takes that has grown to so many bytes.
    pub fn take_in(
        &self,
        room: &mut Option<OwnedSemaphorePermit>,
        bytes: usize,
    ) -> Result<(), Problem> {
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(UNIT).saturating_sub(held);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.bodies).try_acquire_many_owned(more);
        let more = more.map_err(|_| overloaded())?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }

    /// A place among the requests that are worked on.
    pub fn enter(&self, body: Option<OwnedSemaphorePermit>) -> Result<Place, Problem> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| overloaded())?;
        Ok(Place::holding((body, room)))
    }
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
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
