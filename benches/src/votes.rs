//! `POST /v1/transitions/{id}/votes` end to end: a real host as a process, on the memory engine, over HTTP.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::BenchError;
use crate::host::{Answer, Host};
use crate::percentiles::Percentiles;

/// Voters of each matter: what a large RT has.
const VOTERS: usize = 50;

#[derive(Debug, Serialize)]
pub struct Report {
    /// One vote after another.
    pub sequential: Percentiles,
    /// Eight clients at once, each on its own matter.
    pub eight_clients: Percentiles,
    pub votes_per_second: f64,
}

/// # Errors
/// When the host cannot be started, or a vote is not accepted.
pub async fn measure(gotong: &Path, votes: usize) -> Result<Report, BenchError> {
    let host = Host::start(gotong, None)?;
    let mut gates = Vec::new();
    for matter in 0..(2 * votes).div_ceil(VOTERS).max(16) {
        gates.push(gate(&host, matter).await?);
    }
    let (first, second) = gates.split_at(gates.len() / 2);
    let sequential = stream::iter(first)
        .then(|gate| ballots(&host, gate))
        .try_concat()
        .await?;
    let started = Instant::now();
    let parallel = stream::iter(second)
        .map(|gate| ballots(&host, gate))
        .buffer_unordered(8)
        .try_concat()
        .await?;
    let votes_per_second = parallel.len() as f64 / started.elapsed().as_secs_f64();
    Ok(Report {
        sequential: Percentiles::of(sequential),
        eight_clients: Percentiles::of(parallel),
        votes_per_second,
    })
}

/// What was accepted.
async fn post(
    host: &Host,
    who: &str,
    path: &str,
    key: &str,
    body: Value,
) -> Result<Answer, BenchError> {
    let answer = host.post(who, path, key, &body).await?;
    if answer.status.is_success() {
        Ok(answer)
    } else {
        Err(format!("{path}: {} {}", answer.status, answer.body).into())
    }
}

/// A matter at a vote, with its voters. Returns the transition.
async fn gate(host: &Host, matter: usize) -> Result<String, BenchError> {
    let seed = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"});
    let key = format!("seed-{matter:08}");
    let shared = post(host, "sari", "/v1/entities", &key, seed).await?;
    let entity = shared.field("entity_id")?;
    for voter in 0..VOTERS {
        post(
            host,
            &format!("voter-{voter}"),
            &format!("/v1/entities/{entity}/relations"),
            &format!("voter-{voter}-joins"),
            json!({"relation": "participant"}),
        )
        .await?;
    }
    let step = json!({"entity_id": entity, "to_stage": "bahas"});
    let proposed = post(host, "sari", "/v1/transitions", "proposes-this", step).await?;
    let gate = proposed.field("transition_id")?;
    post(
        host,
        "voter-0",
        &format!("/v1/transitions/{gate}/objections"),
        "objects-to-this",
        json!({"reason": "Let us vote."}),
    )
    .await?;
    Ok(gate)
}

/// Every voter votes; the time of each request.
async fn ballots(host: &Host, gate: &str) -> Result<Vec<Duration>, BenchError> {
    let path = format!("/v1/transitions/{gate}/votes");
    let mut durations = Vec::with_capacity(VOTERS);
    for voter in 0..VOTERS {
        let voter = format!("voter-{voter}");
        let key = format!("{voter}-votes");
        let answer = post(host, &voter, &path, &key, json!({"choice": "yes"})).await?;
        durations.push(answer.took);
    }
    Ok(durations)
}
