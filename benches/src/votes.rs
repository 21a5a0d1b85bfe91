//! `POST /v1/transitions/{id}/votes` end to end: a real host as a process, on the memory engine, over HTTP.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Client;
use serde::Serialize;
use serde_json::{Value, json};

use crate::percentiles::Percentiles;
use crate::{BenchError, root};

const DEV_SECRET: &str = include_str!("../../fixtures/keys/dev-hs256.key");
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

struct Host {
    child: Child,
    base: String,
    client: Client,
    signing: EncodingKey,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// # Errors
/// When the host cannot be started, or a vote is not accepted.
pub async fn measure(gotong: &Path, votes: usize) -> Result<Report, BenchError> {
    let host = Host::start(gotong)?;
    let mut gates = Vec::new();
    for _ in 0..(2 * votes).div_ceil(VOTERS).max(16) {
        gates.push(host.gate().await?);
    }
    let (first, second) = gates.split_at(gates.len() / 2);
    let sequential = stream::iter(first)
        .then(|gate| host.votes(gate))
        .try_concat()
        .await?;
    let started = Instant::now();
    let parallel = stream::iter(second)
        .map(|gate| host.votes(gate))
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

impl Host {
    fn start(gotong: &Path) -> Result<Self, BenchError> {
        let mut child = Command::new(gotong)
            .args(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .current_dir(root())
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{}` cannot be started: {error}", gotong.display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the host has no stdout")?)
            .read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        let base = format!(
            "http://{}",
            ready["listening"]
                .as_str()
                .ok_or("the host did not say where it listens")?
        );
        let signing = EncodingKey::from_secret(DEV_SECRET.trim().as_bytes());
        Ok(Self {
            child,
            base,
            client: Client::builder().build()?,
            signing,
        })
    }

    fn token(&self, who: &str) -> Result<String, BenchError> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({"sub": who, "username": who, "role": "user", "iss": "gotong", "aud": "gotong", "exp": now_s + 3_600});
        Ok(jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &self.signing,
        )?)
    }

    async fn post(
        &self,
        who: &str,
        path: &str,
        key: &str,
        body: Value,
    ) -> Result<Value, BenchError> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth(self.token(who)?)
            .header("Idempotency-Key", key)
            .json(&body);
        let response = request.send().await?;
        let status = response.status();
        let answer: Value = response.json().await?;
        if status.is_success() {
            Ok(answer)
        } else {
            Err(format!("{path}: {status} {answer}").into())
        }
    }

    /// A matter at a vote, with its voters. Returns the transition.
    async fn gate(&self) -> Result<String, BenchError> {
        let id = |value: &Value, field: &str| {
            value[field]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("no {field}"))
        };
        let seed = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"});
        let key = format!(
            "seed-{}",
            SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos()
        );
        let entity = id(
            &self.post("sari", "/v1/entities", &key, seed).await?,
            "entity_id",
        )?;
        for voter in 0..VOTERS {
            self.post(
                &format!("voter-{voter}"),
                &format!("/v1/entities/{entity}/relations"),
                &format!("voter-{voter}-joins"),
                json!({"relation": "participant"}),
            )
            .await?;
        }
        let proposed = self
            .post(
                "sari",
                "/v1/transitions",
                "proposes-this",
                json!({"entity_id": entity, "to_stage": "bahas"}),
            )
            .await;
        let gate = id(&proposed?, "transition_id")?;
        self.post(
            "voter-0",
            &format!("/v1/transitions/{gate}/objections"),
            "objects-to-this",
            json!({"reason": "Let us vote."}),
        )
        .await?;
        Ok(gate)
    }

    /// Every voter votes; the time of each request, its token made before.
    async fn votes(&self, gate: &str) -> Result<Vec<Duration>, BenchError> {
        let url = format!("{}/v1/transitions/{gate}/votes", self.base);
        let mut durations = Vec::with_capacity(VOTERS);
        for voter in 0..VOTERS {
            let voter = format!("voter-{voter}");
            let key = format!("{voter}-votes");
            let request = self
                .client
                .post(&url)
                .bearer_auth(self.token(&voter)?)
                .header("Idempotency-Key", key)
                .json(&json!({"choice": "yes"}));
            let started = Instant::now();
            let response = request.send().await?;
            let status = response.status();
            let text = response.text().await?;
            durations.push(started.elapsed());
            if !status.is_success() {
                return Err(format!("a vote was not accepted: {status} {text}").into());
            }
        }
        Ok(durations)
    }
}
