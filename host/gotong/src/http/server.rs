//! The server below the router: connections, and what a slow or greedy client may do to them.
//!
//! A head must arrive in time and be no larger than it may be; a client that takes nothing of its answer is left; no
//! more connections are held than the settings allow, and who comes beyond that is told so.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::Service;

use super::address::Peer;
use super::limits::{COME_AGAIN_S, overloaded};
use super::patience::Patience;
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::metrics::words::Room;

/// Beyond the limits that are told as problems: here the connection's own parser gives up.
const HARD: usize = 2;

/// hyper's smallest.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// How many that found no room are told so at once; the next are cut off.
const TOLD_AT_ONCE: usize = 64;

/// How long that may take.
const TELLING: Duration = Duration::from_secs(1);

/// After an error of the listener, which is as a rule that there are no more file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Serves `router` until `stop` resolves, and then until the open requests are answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let telling = Arc::new(Semaphore::new(TOLD_AT_ONCE));
    let write_timeout = Duration::from_millis(limits.write_timeout_ms);
    let protocol = protocol(limits);
    let open = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            metrics.overloaded(Room::Connection);
            if let Ok(turn) = Arc::clone(&telling).try_acquire_owned() {
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(TELLING, no_room(stream)).await;
                    drop(turn);
                });
            }
            continue;
        };
        // Answers are small and sent whole.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Patience::new(stream, write_timeout));
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), peer, request));
        let connection = open.watch(protocol.serve_connection(io, service));
        let metrics = Arc::clone(&metrics);
        metrics.connections(1.0);
        tokio::spawn(async move {
            // What goes wrong here is the client's: cut off, out of time, or not HTTP.
            if let Err(error) = connection.await {
                tracing::debug!(
                    is_timeout = error.is_timeout(),
                    is_parse = error.is_parse(),
                    "a connection ended early"
                );
            }
            metrics.connections(-1.0);
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_timeout_ms))
        .max_headers(limits.headers.saturating_mul(HARD))
        .max_header_size(limits.head_bytes.saturating_mul(HARD))
        .max_buf_size(
            limits
                .head_bytes
                .saturating_mul(HARD * HARD)
                .max(SMALLEST_BUFFER),
        );
    protocol
}

async fn answer(
    mut router: Router,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    router.call(request).await
}

/// Tells a client that there is no room for its connection. What it sends is read, so that it sees the answer and not
/// a broken connection.
async fn no_room(mut stream: TcpStream) -> std::io::Result<()> {
    let body = serde_json::to_string(&overloaded()).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: {COME_AGAIN_S}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
