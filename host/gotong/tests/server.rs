//! A store on a real SurrealDB server: who may be a host there, and what a host says when it no longer may:
//! `make test-cluster`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::process::Command;
use std::time::{Duration, Instant};

use harness::surrealdb::{PEOPLE_KEY, SurrealServer};
use harness::{Answer, Host, gotong, new_key};
use reqwest::Method;
use serde_json::{Value, json};

const ANOTHER_KEY: &str = "another-key-for-the-sessions-of-people-in-tests";
/// A client looks for its server again every second.
const SOON: Duration = Duration::from_secs(30);

async fn share_a_seed(host: &Host, key: &str) -> Answer {
    let seed = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/cluster"});
    host.request("sari", Method::POST, "/v1/entities")
        .key(key)
        .raw(seed.to_string())
        .send()
        .await
}

/// Asks until the answer has this status, and this code unless it is a success.
async fn until(mut ask: impl AsyncFnMut() -> Answer, status: u16, code: &str) -> Answer {
    let limit = Instant::now() + SOON;
    loop {
        let answer = ask().await;
        let told = answer.json["code"].as_str().unwrap_or("");
        if answer.status == status && told == code {
            return answer;
        }
        assert!(Instant::now() < limit, "{} {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn rows(server: &SurrealServer) -> Value {
    let counted = server
        .sql(
            "USE NS gotong DB main; SELECT count() FROM event GROUP ALL; SELECT count() FROM idempotency GROUP ALL; \
             SELECT count() FROM entity GROUP ALL; SELECT count() FROM policy_decision GROUP ALL;",
        )
        .await;
    let counts = counted.as_array().unwrap()[1..].iter();
    counts.map(|count| count["result"].clone()).collect()
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn a_login_that_may_only_read_is_no_hosts() {
    let server = SurrealServer::migrated().await;
    server.let_host_be("VIEWER").await;
    let says = server.setup().refused();
    assert!(says.contains("does not let the login"), "{says}");
    assert!(says.contains("as an editor"), "{says}");
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn a_host_that_may_no_longer_write_says_so_and_loses_nothing() {
    let mut server = SurrealServer::migrated().await;
    let host = server.setup().start();
    share_a_seed(&host, &new_key()).await.ok();
    host.get("", "/health/ready").await.ok();
    let before = rows(&server).await;

    server.let_host_be("VIEWER").await;
    server.kill();
    server.restart().await;
    let key = new_key();
    let refused = until(|| share_a_seed(&host, &key), 503, "not_ready").await;
    assert_eq!(refused.headers["retry-after"], "1");
    for _ in 0..2 {
        share_a_seed(&host, &key).await.is(503, "not_ready");
    }
    let unready = host.get("", "/health/ready").await.is(503, "not_ready");
    assert!(
        unready.text.contains("does not let this host write"),
        "{}",
        unready.text
    );
    assert_eq!(rows(&server).await, before);

    server.let_host_be("EDITOR").await;
    server.kill();
    server.restart().await;
    let first = until(|| share_a_seed(&host, &key), 201, "").await;
    let again = share_a_seed(&host, &key).await.ok();
    assert!(again.replayed(), "{}", again.text);
    assert_eq!(first.field("entity_id"), again.field("entity_id"));
    host.get("", "/health/ready").await.ok();
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn while_the_server_is_away_a_host_is_not_ready() {
    let mut server = SurrealServer::migrated().await;
    let host = server.setup().start();
    let entity = share_a_seed(&host, &new_key())
        .await
        .ok()
        .field("entity_id");
    let path = format!("/v1/entities/{entity}");
    server.kill();
    let key = new_key();
    let (read, write) = tokio::join!(host.get("sari", &path), share_a_seed(&host, &key));
    for answer in [&read, &write] {
        answer.clone().is(503, "not_ready");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert!(!read.text.contains("Key"), "a read has none: {}", read.text);
    assert!(
        write.text.contains("same Idempotency-Key"),
        "{}",
        write.text
    );
    server.restart().await;
    // Whatever is answered from now on is no fault of the host.
    let limit = Instant::now() + SOON;
    loop {
        let answer = host.get("sari", &path).await;
        if answer.status.is_success() {
            break;
        }
        answer.is(503, "not_ready");
        assert!(Instant::now() < limit);
    }
    let written = until(|| share_a_seed(&host, &key), 201, "").await;
    let again = share_a_seed(&host, &key).await.ok();
    assert_eq!(written.field("entity_id"), again.field("entity_id"));
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn a_person_who_lost_the_session_is_signed_in_again() {
    let mut server = SurrealServer::migrated().await;
    let host = server.setup().start();
    let (_, gate) = host.at_a_vote().await;
    host.vote("wati", &gate, "yes").await.ok();
    let path = format!("/v1/transitions/{gate}/votes");
    let own = async || host.get("wati", &path).await;
    assert_eq!(own().await.ok().json["items"][0]["choice"], "yes");

    // The session that is kept can sign in no more when the connection is lost, nor can a new one.
    server.migrate(ANOTHER_KEY);
    server.kill();
    server.restart().await;
    until(
        async || host.get("sari", &format!("/v1/transitions/{gate}")).await,
        200,
        "",
    )
    .await;
    let refused = own().await.is(503, "not_ready");
    assert!(!refused.text.contains("Key"), "{}", refused.text);
    let metrics = host.get("admin/admin", "/metrics").await.ok().text;
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("gotong_store_errors_total{kind=\"query\"} "));
    assert_ne!(counted, Some("0"), "{metrics}");

    // As soon as the key is let in again, the person is: nothing broken is kept.
    server.migrate(PEOPLE_KEY);
    assert_eq!(own().await.ok().json["items"][0]["choice"], "yes");
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn only_an_owner_migrates_and_anybody_else_leaves_nothing() {
    let server = SurrealServer::start().await;
    let mut migrate = gotong(&["migrate"]);
    migrate
        .env("GOTONG_STORE_URL", server.url())
        .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE_KEY);
    let says = harness::one_line(&mut migrate);
    assert!(says.contains("as an owner of the database"), "{says}");
    let info = server.sql("USE NS gotong DB main; INFO FOR DB;").await;
    assert_eq!(info[1]["result"]["tables"], json!({}), "{info}");
}

fn doctor(url: &str, people_key: Option<&str>) -> Command {
    let mut command = gotong(&["doctor", "--json"]);
    command
        .env(
            "GOTONG_AUTH__HS256_SECRET",
            "a-secret-of-more-than-32-bytes-for-tests",
        )
        .env("GOTONG_LISTEN", "127.0.0.1:0")
        .env("GOTONG_STORE_URL", url);
    if let Some(key) = people_key {
        command.env("GOTONG_STORE_PEOPLE_KEY", key);
    }
    command
}

#[track_caller]
fn says(mut command: Command, expected: i32, findings: &[(&str, &str, &str)]) {
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.code(), Some(expected), "{report:#}");
    for (check, state, words) in findings {
        let found = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| {
                finding["check"] == *check
                    && finding["state"] == *state
                    && finding["says"].as_str().unwrap().contains(words)
            });
        assert!(found, "no {check}, {state}, `{words}` in {report:#}");
    }
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn the_doctor_says_of_a_login_what_a_start_would() {
    let server = SurrealServer::start().await;
    let host = || doctor(&server.url(), Some(PEOPLE_KEY));
    let unmigrated = [
        ("store", "failed", "lacks 0001_ledger"),
        ("writes", "ok", "lets this login write"),
        ("people", "failed", "admits nobody"),
        ("clock", "ok", "the store's"),
    ];
    says(host(), 1, &unmigrated);
    let info = server.sql("USE NS gotong DB main; INFO FOR DB;").await;
    assert_eq!(info[1]["result"]["tables"], json!({}), "{info}");
    server.setup().refused();

    server.migrate(PEOPLE_KEY);
    let well = [
        ("store", "ok", "every migration"),
        ("writes", "ok", "lets this login write"),
        ("people", "ok", "lets people in"),
        ("recorded", "ok", "0 recorded"),
        ("clock", "ok", "the store's"),
    ];
    says(host(), 0, &well);
    let owner = [("login", "warning", "an owner's"), ("writes", "ok", "")];
    says(doctor(&server.owner_url(), Some(PEOPLE_KEY)), 0, &owner);

    for (key, config) in [
        (None, "ok"),
        (Some(ANOTHER_KEY), "ok"),
        (Some("too-short"), "failed"),
    ] {
        let findings = [
            ("people", "failed", "store_people_key"),
            ("config", config, ""),
        ];
        says(doctor(&server.url(), key), 1, &findings);
        let setup = server.setup();
        let setup = match key {
            Some(key) => setup.env("GOTONG_STORE_PEOPLE_KEY", key),
            None => setup.without("GOTONG_STORE_PEOPLE_KEY"),
        };
        setup.refused();
    }

    server.let_host_be("VIEWER").await;
    says(host(), 1, &[("writes", "failed", "does not let the login")]);
    let wrong = server.url().replace("an-editor", "no-editor");
    says(
        doctor(&wrong, Some(PEOPLE_KEY)),
        1,
        &[("store", "failed", "could not open")],
    );
}

#[tokio::test]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn an_owner_is_warned_of_at_start() {
    let server = SurrealServer::migrated().await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let into = log.reopen().unwrap();
    let setup = server
        .setup()
        .env("GOTONG_STORE_URL", server.owner_url())
        .env("RUST_LOG", "warn");
    let host = setup.start_with(|command| {
        command.env("RUST_LOG", "warn").stderr(into);
    });
    host.get("", "/health/ready").await.ok();
    let logged = std::fs::read_to_string(log.path()).unwrap();
    assert!(logged.contains("an owner's"), "{logged}");
}
