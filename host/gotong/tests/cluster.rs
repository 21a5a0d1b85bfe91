//! Three hosts, one SurrealDB server, one Redis, and each of them killed in turn under load: `make test-cluster`.
//!
//! What is counted at the end is what was promised: every accepted write is there once, every timer fired once, the
//! ledger verifies, every decision replays.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::redis::RedisServer;
use harness::surrealdb::SurrealServer;
use harness::{HOUR_MS, Host, Setup, token};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const HOSTS: usize = 3;
const WRITERS: usize = 6;
/// How long one write may be tried again before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    server: SurrealServer,
    redis: RedisServer,
    setup: Setup,
    hosts: Vec<Option<Host>>,
    /// Where the hosts are, for the writers.
    bases: Arc<Mutex<Vec<Option<String>>>>,
}

impl Cluster {
    async fn start() -> Self {
        let server = SurrealServer::migrated().await;
        let redis = RedisServer::start();
        let setup = server.setup().env("GOTONG_REDIS_URL", redis.url());
        let mut cluster = Self {
            server,
            redis,
            setup,
            hosts: Vec::new(),
            bases: Arc::default(),
        };
        for _ in 0..HOSTS {
            cluster.hosts.push(None);
            cluster.bases.lock().unwrap().push(None);
        }
        for place in 0..HOSTS {
            cluster.start_host(place);
        }
        cluster
    }

    fn start_host(&mut self, place: usize) {
        let host = self.setup.start();
        self.bases.lock().unwrap()[place] = Some(host.base.clone());
        self.hosts[place] = Some(host);
    }

    /// `kill -9`
    fn kill_host(&mut self, place: usize) {
        self.bases.lock().unwrap()[place] = None;
        if let Some(host) = self.hosts[place].take() {
            host.kill();
        }
    }

    fn any(&self) -> &Host {
        self.hosts.iter().flatten().next().unwrap()
    }
}

/// What the writers were promised.
#[derive(Default)]
struct Promises {
    /// Entity -> its seed's author.
    shared: BTreeMap<String, String>,
    /// (entity, person) that joined.
    joined: Vec<(String, String)>,
    /// Transition -> entity.
    proposed: BTreeMap<String, String>,
    retries: u64,
}

/// People who write through whichever host answers, and try the same request again until one does.
struct Writer {
    client: Client,
    bases: Arc<Mutex<Vec<Option<String>>>>,
    name: String,
    turn: usize,
    keys: u64,
    retries: u64,
}

impl Writer {
    async fn post(&mut self, who: &str, path: &str, body: Value) -> Value {
        self.keys += 1;
        let key = format!("{}-{:06}", self.name, self.keys);
        let until = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < until {
            self.turn += 1;
            let base = self.bases.lock().unwrap()[self.turn % HOSTS].clone();
            let Some(base) = base else { continue };
            let sent = self
                .client
                .request(Method::POST, format!("{base}{path}"))
                .bearer_auth(token(who))
                .header("Idempotency-Key", &key)
                .json(&body)
                .send()
                .await;
            match sent {
                Ok(answer) if answer.status().is_success() => return answer.json().await.unwrap(),
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
async fn write(
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
        let mut joined = Vec::new();
        for person in 0..3 {
            let person = format!("{}-{person}", writer.name);
            let path = format!("/v1/entities/{entity}/relations");
            let relation = json!({"relation": "participant"});
            writer.post(&person, &path, relation).await;
            joined.push((entity.clone(), person));
        }
        let step = json!({"entity_id": entity, "to_stage": "bahas"});
        let gate = writer.post(&author, "/v1/transitions", step).await;
        let gate = gate["transition_id"].as_str().unwrap().to_owned();
        let mut promises = promises.lock().unwrap();
        promises.shared.insert(entity.clone(), author.clone());
        promises.joined.append(&mut joined);
        promises.proposed.insert(gate, entity);
        promises.retries += std::mem::take(&mut writer.retries);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until so many more matters are done.
async fn progress(done: &AtomicU64, more: u64) {
    let goal = done.load(Ordering::Relaxed) + more;
    let until = Instant::now() + Duration::from_secs(180);
    while done.load(Ordering::Relaxed) < goal {
        assert!(Instant::now() < until, "the cluster makes no progress");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn whatever_is_killed_nothing_accepted_is_lost_and_nothing_happens_twice() {
    let mut cluster = Cluster::start().await;
    let promises = Arc::new(Mutex::new(Promises::default()));
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Writer {
                client: Client::builder()
                    .timeout(Duration::from_secs(15))
                    .build()
                    .unwrap(),
                bases: cluster.bases.clone(),
                name: format!("writer{number}"),
                turn: number,
                keys: 0,
                retries: 0,
            };
            tokio::spawn(write(writer, promises.clone(), stop.clone(), done.clone()))
        })
        .collect();

    let begun = Instant::now();
    let (_, vote) = cluster.any().at_a_vote().await;
    let ballot = [("wati", "yes"), ("sari", "no")];
    for (who, choice) in ballot {
        cluster.any().vote(who, &vote, choice).await.ok();
    }
    progress(&done, 6).await;
    for place in 0..HOSTS {
        cluster.kill_host(place);
        progress(&done, 6).await;
        cluster.start_host(place);
    }
    cluster.redis.kill();
    progress(&done, 6).await;
    cluster.redis.restart();
    progress(&done, 6).await;
    for _ in 0..2 {
        cluster.server.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.server.restart().await;
        progress(&done, 6).await;
        // A client that lost its connection signs its sessions in again: each as who it was, none with the host's rights.
        ballots_are_private(&cluster, &vote, &ballot).await;
    }
    // All at once.
    cluster.kill_host(0);
    cluster.redis.kill();
    cluster.server.kill();
    cluster.server.restart().await;
    cluster.redis.restart();
    cluster.start_host(0);
    progress(&done, 6).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let wrote = begun.elapsed();

    // Every host starts again a day later: every gate's window has run out, and hosts are killed while the timers fire.
    let later = (25 * HOUR_MS).to_string();
    let setup = std::mem::take(&mut cluster.setup);
    cluster.setup = setup.env("GOTONG_CLOCK_AHEAD_MS", later);
    for place in 0..HOSTS {
        cluster.kill_host(place);
    }
    for place in 0..HOSTS {
        cluster.start_host(place);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.kill_host(1);
    cluster.redis.kill();
    cluster.redis.restart();
    cluster.start_host(1);

    let promises = Arc::into_inner(promises).unwrap().into_inner().unwrap();
    let until = Instant::now() + Duration::from_secs(180);
    let mut open = promises.proposed.clone();
    while !open.is_empty() {
        if Instant::now() >= until {
            let gate = open.keys().next().unwrap();
            let query = format!(
                "USE NS gotong DB main; SELECT * FROM job_due LIMIT 3; SELECT * FROM job WHERE state = 'pending' LIMIT 3; SELECT gate, status FROM transition:⟨{gate}⟩;"
            );
            panic!(
                "{} gates never closed, such as {gate}: {}",
                open.len(),
                cluster.server.sql(&query).await
            );
        }
        let mut still = BTreeMap::new();
        for (gate, entity) in open {
            let path = format!("/v1/transitions/{gate}");
            let seen = cluster.any().get("auditor/admin", &path).await.ok().json;
            assert_eq!(seen["entity_id"], entity.as_str());
            if seen["status"] != "applied" {
                still.insert(gate, entity);
            }
        }
        open = still;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    let counts = audited(&cluster, &promises).await;
    println!(
        "{} matters by {WRITERS} writers over {HOSTS} hosts in {:.1} s ({} requests tried again): {counts}",
        promises.shared.len(),
        wrote.as_secs_f64(),
        promises.retries,
    );
}

async fn ballots_are_private(cluster: &Cluster, vote: &str, ballots: &[(&str, &str)]) {
    let path = format!("/v1/transitions/{vote}/votes");
    for host in cluster.hosts.iter().flatten() {
        for (who, choice) in ballots {
            let own = host.get(who, &path).await.ok();
            let items = own.json["items"].as_array().unwrap();
            assert_eq!(items.len(), 1, "{who}: {}", own.text);
            assert_eq!(items[0]["choice"], *choice, "{who}: {}", own.text);
        }
        let none = host.get("joko", &path).await.ok();
        assert_eq!(none.json["items"], json!([]), "{}", none.text);
    }
}

/// Counts what is there against what was promised.
async fn audited(cluster: &Cluster, promises: &Promises) -> Value {
    let host = cluster.any();
    let mut kinds: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/audit/events?limit=500{after}");
        let page = host.get("auditor/admin", &path).await.ok().json;
        let rows = page.as_array().unwrap();
        let Some(last) = rows.last() else { break };
        after = format!(
            "&after_stream={}&after_seq={}",
            last["stream"].as_str().unwrap(),
            last["seq"]
        );
        for row in rows {
            let body: Value = serde_json::from_str(row["body"].as_str().unwrap()).unwrap();
            let stream = row["stream"].as_str().unwrap().to_owned();
            let kind = body["kind"].as_str().unwrap().to_owned();
            *kinds.entry((stream, kind)).or_default() += 1;
        }
    }
    let count = |entity: &str, kind: &str| {
        let key = (entity.to_owned(), kind.to_owned());
        kinds.get(&key).copied().unwrap_or_default()
    };
    for entity in promises.shared.keys() {
        assert_eq!(count(entity, "entity_shared"), 1, "{entity}: {kinds:?}");
        assert_eq!(count(entity, "relation_started"), 3, "{entity}");
        assert_eq!(count(entity, "transition_proposed"), 1, "{entity}");
        assert_eq!(count(entity, "transition_applied"), 1, "{entity}");
    }
    let (replay, ledger) = host.holds();
    json!({
        "entities": promises.shared.len(), "joined": promises.joined.len(), "gates_closed_once": promises.proposed.len(),
        "events": ledger["events"], "decisions_replayed": replay["match"], "ledger": ledger["ok"],
    })
}
