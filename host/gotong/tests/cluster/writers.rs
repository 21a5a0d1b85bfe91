//! People who write while hosts die, and what they were promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::harness::token;

/// How long one write may be tried again before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the writers were promised.
#[derive(Default)]
pub struct Promises {
    /// Entity -> its seed's author.
    pub shared: BTreeMap<String, String>,
    /// (entity, person) that joined.
    pub joined: BTreeSet<(String, String)>,
    /// Transition -> entity.
    pub proposed: BTreeMap<String, String>,
    /// Requests that were sent again.
    pub retries: u64,
    /// Answers that said they had been given before.
    pub replayed: u64,
}

/// People who write through whichever host answers, and try the same request again until one does.
pub struct Writer {
    client: Client,
    bases: Arc<Mutex<Vec<Option<String>>>>,
    name: String,
    turn: usize,
    keys: u64,
    retries: u64,
    replayed: u64,
}

impl Writer {
    /// One of several, with names of its own.
    pub fn new(number: usize, bases: Arc<Mutex<Vec<Option<String>>>>) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(15));
        Self {
            client: client.build().unwrap(),
            bases,
            name: format!("writer{number}"),
            turn: number,
            keys: 0,
            retries: 0,
            replayed: 0,
        }
    }

    async fn post(&mut self, who: &str, path: &str, body: Value) -> Value {
        self.keys += 1;
        let key = format!("{}-{:06}", self.name, self.keys);
        let until = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < until {
            self.turn += 1;
            let base = {
                let bases = self.bases.lock().unwrap();
                bases[self.turn % bases.len()].clone()
            };
            let Some(base) = base else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let sent = self
                .client
                .request(Method::POST, format!("{base}{path}"))
                .bearer_auth(token(who))
                .header("Idempotency-Key", &key)
                .json(&body)
                .send()
                .await;
            match sent {
                Ok(answer) if answer.status().is_success() => {
                    let again = answer.headers().contains_key("Idempotent-Replayed");
                    match answer.json().await {
                        Ok(body) => {
                            self.replayed += u64::from(again);
                            return body;
                        }
                        Err(error) => last = error.to_string(),
                    }
                }
                Ok(answer) => {
                    let status = answer.status();
                    last = format!("{status} {}", answer.text().await.unwrap_or_default());
                    // Anything else is an answer that is meant.
                    assert!(
                        status.is_server_error() || status == 409 || status == 429,
                        "{path}: {last}"
                    );
                }
                Err(error) => last = error.to_string(),
            }
            self.retries += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} got no answer within {PATIENCE:?}: {last}");
    }
}

/// Shares seeds, lets people join and opens gates of consent, until told to stop.
pub async fn write(
    mut writer: Writer,
    promises: Arc<Mutex<Promises>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    let author = format!("{}-author", writer.name);
    while !stop.load(Ordering::Relaxed) {
        let seed = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/cluster"});
        let entity = writer.post(&author, "/v1/entities", seed).await;
        let entity = entity["entity_id"].as_str().unwrap().to_owned();
        let mut joined = BTreeSet::new();
        for person in 0..3 {
            let person = format!("{}-{person}", writer.name);
            let path = format!("/v1/entities/{entity}/relations");
            let relation = json!({"relation": "participant"});
            writer.post(&person, &path, relation).await;
            joined.insert((entity.clone(), person));
        }
        let step = json!({"entity_id": entity, "to_stage": "bahas"});
        let gate = writer.post(&author, "/v1/transitions", step).await;
        let gate = gate["transition_id"].as_str().unwrap().to_owned();
        let mut promises = promises.lock().unwrap();
        promises.shared.insert(entity.clone(), author.clone());
        promises.joined.append(&mut joined);
        promises.proposed.insert(gate, entity);
        promises.retries += std::mem::take(&mut writer.retries);
        promises.replayed += std::mem::take(&mut writer.replayed);
        done.fetch_add(1, Ordering::Relaxed);
    }
}
