//! Two hosts that want the same thing in the same moment, with and without Redis, on one SurrealDB server:
//! `make test-cluster`. The database alone decides between them; Redis only saves work.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::redis::RedisServer;
use harness::surrealdb::SurrealServer;
use harness::{Answer, Host, Setup, gotong};
use reqwest::Method;
use serde_json::{Value, json};

const PEOPLE_KEY: &str = "a-key-for-the-sessions-of-people-in-tests";
/// People who want into one seed, half of them through either host.
const CROWD: usize = 12;
const SEEDS: usize = 6;
/// Keys that are sent to both hosts at once.
const KEYS: usize = 24;
/// Two of five races found it out when this was written.
const RACES: usize = 25;
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with its schema, and how a host of it is set up.
async fn server_of(engine: &'static str) -> (SurrealServer, Setup) {
    let server = SurrealServer::start_on(engine).await;
    let migrated = gotong(&["migrate"])
        .env("GOTONG_STORE_URL", server.owner_url())
        .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE_KEY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&migrated.stderr).into_owned();
    assert!(migrated.status.success(), "{said}{}", server.log());
    let setup = Setup::default()
        .env("GOTONG_STORE_URL", server.url())
        .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE_KEY);
    (server, setup)
}

/// The same request until it is answered: a host that is busy, or that hears of the same request elsewhere, says so.
async fn insist(host: &Host, who: &str, path: &str, key: &str, body: &Value) -> Answer {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = host
            .request(who, Method::POST, path)
            .key(key)
            .raw(body.to_string())
            .send()
            .await;
        let busy = answer.status == 409 || answer.status == 503;
        if !busy || Instant::now() >= until {
            return answer.ok();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many events of a kind each stream has.
async fn counted(host: &Host, kind: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/audit/events?limit=500{after}");
        let page = host.get("auditor/admin", &path).await.ok().json;
        let rows = page.as_array().unwrap();
        let Some(last) = rows.last() else {
            return counts;
        };
        after = format!(
            "&after_stream={}&after_seq={}",
            last["stream"].as_str().unwrap(),
            last["seq"]
        );
        for row in rows.iter().filter(|row| row["kind"] == kind) {
            let stream = row["stream"].as_str().unwrap().to_owned();
            *counts.entry(stream).or_default() += 1;
        }
    }
}

/// People crowd into seeds through both hosts at once: each who was let in is there, in the ledger and in the rows.
async fn crowds(hosts: [&Host; 2]) {
    for _ in 0..SEEDS {
        let entity = hosts[0].seed("tuntaskan").await;
        let path = format!("/v1/entities/{entity}/relations");
        let body = json!({"relation": "participant"});
        join_all((0..CROWD).map(|person| {
            let (host, who) = (hosts[person % 2], format!("crowd-{person}"));
            let (path, body, key) = (&path, &body, format!("join-{entity}-{person}"));
            async move { insist(host, &who, path, &key, body).await }
        }))
        .await;
        let joined = counted(hosts[1], "relation_started").await;
        assert_eq!(joined.get(&entity), Some(&(CROWD as u64)), "{entity}");
        for person in 0..CROWD {
            let path = format!("/v1/entities/{entity}/permissions");
            let seen = hosts[0].get(&format!("crowd-{person}"), &path).await.ok();
            assert!(seen.text.contains("participant"), "{}", seen.text);
        }
    }
}

/// One key sent to both hosts at once is one effect and one answer. Returns how many were sent.
async fn twins(hosts: [&Host; 2], name: &str) -> usize {
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/contested"});
    for number in 0..KEYS {
        let (who, key) = (format!("twin-{name}"), format!("twin-{name}-{number:04}"));
        let [one, other] = hosts.map(|host| insist(host, &who, "/v1/entities", &key, &body));
        let (one, other) = tokio::join!(one, other);
        assert_eq!(one.field("entity_id"), other.field("entity_id"), "{key}");
        assert_eq!(one.text, other.text);
        assert!(one.replayed() != other.replayed(), "{key}: {}", one.text);
    }
    KEYS
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn two_hosts_that_meet_lose_nothing_and_do_nothing_twice() {
    let (_server, setup) = server_of("rocksdb").await;
    let mut redis = RedisServer::start();
    let setup = setup.env("GOTONG_REDIS_URL", redis.url());
    let (one, other) = (setup.start(), setup.start());
    let hosts = [&one, &other];

    let mut shared = SEEDS + twins(hosts, "with-redis").await;
    crowds(hosts).await;
    redis.kill();
    shared += SEEDS + twins(hosts, "without-redis").await;
    crowds(hosts).await;

    let seeds = counted(&one, "entity_shared").await;
    assert_eq!(seeds.len(), shared);
    assert!(seeds.values().all(|count| *count == 1), "{seeds:?}");
    let (replay, ledger) = one.holds();
    println!(
        "{shared} seeds and {} people over two hosts: {} decisions replay, {} events hold",
        2 * SEEDS * CROWD,
        replay["match"],
        ledger["events"]
    );
}

/// The engines that lose what they acknowledged (docs/adr/0013): one race may find nothing, a few do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn a_server_whose_engine_loses_commits_is_found_out() {
    let (server, _) = server_of("surrealkv").await;
    for _ in 0..RACES {
        let output = gotong(&["doctor", "--json"])
            .env("GOTONG_STORE_URL", server.url())
            .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE_KEY)
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let commits = findings.iter().find(|one| one["check"] == "commits");
        let commits = commits.unwrap_or_else(|| panic!("{report}"));
        if commits["state"] == "failed" {
            let says = commits["says"].as_str().unwrap();
            assert!(says.starts_with("the server loses writes"), "{says}");
            return;
        }
    }
    panic!("{RACES} races found nothing");
}
