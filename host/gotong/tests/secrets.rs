//! No secret is told: not in logs at their loudest, not in answers, not by the doctor, not in the metrics.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use harness::redis::{PASSWORD, RedisServer};
use harness::surrealdb::{self, SurrealServer};
use harness::{Setup, gotong, new_key, now_s, sign};
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

const HS256: &str = "the-signing-secret-0123456789-abcdef-xyz";
const CURSORS: &str = "the-cursor-secret-0123456789-abcdef-xyz-";
const PEOPLE: &str = "the-people-key-0123456789-abcdef-xyz-123";
const STORE_PASSWORD: &str = "the-store-password";
const OTLP_PASSWORD: &str = "the-password-of-who-takes-traces";

/// As loud as can be, and louder than that for those who were heard to tell.
const LOUDEST: &str =
    "trace,tungstenite::protocol=trace,hyper_util::client::legacy::pool=trace,surrealdb=trace";

fn token(secret: &str, sub: &str, role: &str, ttl: i64) -> String {
    let exp = i64::try_from(now_s()).unwrap() + ttl;
    let claims = json!({"sub": sub, "username": sub, "role": role, "iss": "gotong", "aud": "gotong", "exp": exp});
    sign(&claims, Algorithm::HS256, secret)
}

/// Everything a host with secrets may let slip.
struct Overheard(Vec<(String, String)>);

impl Overheard {
    fn add(&mut self, what: impl Into<String>, text: impl Into<String>) {
        self.0.push((what.into(), text.into()));
    }

    fn tells_none_of(&self, secrets: &[(&str, &str)]) {
        for (what, text) in &self.0 {
            for (name, secret) in secrets {
                let line = text.lines().find(|line| line.contains(secret));
                assert!(
                    line.is_none(),
                    "{what} tells the {name}: {}",
                    line.unwrap_or_default()
                );
            }
        }
    }
}

fn with_secrets(setup: Setup, redis: &RedisServer) -> Setup {
    setup
        .env("GOTONG_AUTH__HS256_SECRET", HS256)
        .env("GOTONG_CURSOR_SECRET", CURSORS)
        .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE)
        .env("GOTONG_REDIS_URL", redis.url())
        .env(
            "GOTONG_OTLP_ENDPOINT",
            nobodys_address("http", OTLP_PASSWORD, ""),
        )
}

/// An address with a password where nobody listens.
fn nobodys_address(scheme: &str, password: &str, path: &str) -> String {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    format!("{scheme}://host:{password}@{address}{path}")
}

/// Something that a host says at debug of its own accord: this is not HTTP.
fn be_odd(host: &harness::Host) {
    let mut stream = TcpStream::connect(host.address()).unwrap();
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    // Until it is told so, or cut off.
    let _ = stream.read(&mut [0; 64]);
}

fn loud(setup: &Setup, log: &Path) -> harness::Host {
    setup.start_with(|command| {
        command
            .env("RUST_LOG", LOUDEST)
            .stderr(std::fs::File::create(log).unwrap());
    })
}

#[tokio::test]
async fn no_secret_is_told_by_anything() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut redis = RedisServer::start();
    let setup = with_secrets(Setup::default().outside_dev(), &redis)
        .env("GOTONG_LIMITS__RATE__ENABLED", "true")
        .data(&dir.path().join("store"));
    let host = loud(&setup, &log);
    let mut heard = Overheard(Vec::new());

    let good = token(HS256, "sari", "user", 600);
    let admin = token(HS256, "root", "admin", 600);
    let expired = token(HS256, "sari", "user", -600);
    let forged = token(&"z".repeat(40), "sari", "admin", 600);
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    for round in 0..2 {
        for (who, token) in [
            ("good", &good),
            ("admin", &admin),
            ("expired", &expired),
            ("forged", &forged),
        ] {
            for (method, path, body) in [
                (Method::GET, "/v1/transitions?limit=1", ""),
                (Method::GET, "/v1/audit/counts", ""),
                (Method::GET, "/v1/transitions?after=forged", ""),
                (Method::GET, "/metrics", ""),
                (Method::GET, "/openapi.json", ""),
                (Method::GET, "/v1/nowhere", ""),
                (Method::POST, "/v1/entities", body.as_str()),
                (Method::POST, "/v1/entities", "{"),
                (Method::POST, "/v1/entities", "{\"track\": 1}"),
            ] {
                let request = host
                    .request("", method.clone(), path)
                    .header("Authorization", &format!("Bearer {token}"));
                let request = request.key(&new_key());
                let answer = if body.is_empty() {
                    request
                } else {
                    request.raw(body)
                }
                .send()
                .await;
                let headers: String = answer
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value:?}\n"))
                    .collect();
                heard.add(
                    format!("{who} {method} {path}"),
                    format!("{headers}{}", answer.text),
                );
            }
        }
        if round == 0 {
            // What fails is told at its loudest.
            redis.kill();
        }
    }
    let odd = format!("Basic {HS256}");
    let answer = host
        .request("", Method::GET, "/v1/transitions")
        .header("Authorization", &odd)
        .send()
        .await;
    heard.add("another scheme", answer.is(401, "token_invalid").text);
    be_odd(&host);
    let ended = host.stopped_within(20);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");

    redis.restart();
    let doctor = |store: &str| {
        let mut command = gotong(&["doctor", "--json"]);
        command
            .envs(&setup.env)
            .env("RUST_LOG", LOUDEST)
            .env("GOTONG_STORE_URL", store);
        let output = command.output().unwrap();
        let (out, err) = (output.stdout, output.stderr);
        assert!(serde_json::from_slice::<Value>(&out).is_ok());
        String::from_utf8_lossy(&out).into_owned() + &String::from_utf8_lossy(&err)
    };
    heard.add("the doctor", doctor("memory"));
    let server = nobodys_address("ws", STORE_PASSWORD, "/gotong/main");
    heard.add("the doctor, with a server", doctor(&server));
    let refused = with_secrets(Setup::default().outside_dev(), &redis)
        .env("GOTONG_STORE_URL", &server)
        .env("RUST_LOG", LOUDEST);
    heard.add("a start that fails", refused.refused());
    for (name, value) in [
        ("GOTONG_STORE_URL", format!("wss://host:{STORE_PASSWORD}@x")),
        ("GOTONG_REDIS_URL", format!("http://:{PASSWORD}@x")),
    ] {
        let odd = with_secrets(Setup::default().outside_dev(), &redis).env(name, value);
        heard.add(format!("an odd {name}"), odd.refused());
    }

    let text = std::fs::read_to_string(&log).unwrap();
    for word in [
        "\"DEBUG\"",
        "redis is away",
        "traces are not taken by otlp_endpoint",
    ] {
        assert!(text.contains(word), "it is loud: {word}");
    }
    heard.add("the log", text);
    let ending = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    heard.tells_none_of(&[
        ("signing secret", HS256),
        ("cursor secret", CURSORS),
        ("people's key", PEOPLE),
        ("password of the store", STORE_PASSWORD),
        ("password of Redis", PASSWORD),
        ("password of who takes traces", OTLP_PASSWORD),
        ("token", &ending(&good)),
        ("token of an admin", &ending(&admin)),
        ("expired token", &ending(&expired)),
        ("forged token", &ending(&forged)),
    ]);
}

/// What a host and `migrate` say to a server goes over a wire of libraries that log what they carry.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn no_secret_and_no_person_gets_from_a_server_into_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut server = SurrealServer::start().await;
    let redis = RedisServer::start();
    let mut heard = Overheard(Vec::new());
    let migrated = gotong(&["migrate"])
        .env("RUST_LOG", LOUDEST)
        .env("GOTONG_STORE_URL", server.owner_url())
        .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE)
        .output()
        .unwrap();
    assert!(migrated.status.success());
    for said in [migrated.stdout, migrated.stderr] {
        heard.add("migrate", String::from_utf8_lossy(&said));
    }
    let setup = Setup::default()
        .env("GOTONG_STORE_URL", server.url())
        .env("GOTONG_STORE_PEOPLE_KEY", PEOPLE)
        .env("GOTONG_REDIS_URL", redis.url())
        .env(
            "GOTONG_OTLP_ENDPOINT",
            nobodys_address("http", OTLP_PASSWORD, ""),
        );
    let host = loud(&setup, &log);
    let (_, gate) = host.at_a_vote().await;
    let votes = format!("/v1/transitions/{gate}/votes");
    for (who, choice) in [("wati", "yes"), ("sari", "no")] {
        host.vote(who, &gate, choice).await.ok();
        // In a session of this person's own.
        host.get(who, &votes).await.ok();
    }
    server.kill();
    let asked = host.get("sari", &votes);
    let away = tokio::time::timeout(std::time::Duration::from_secs(3), asked).await;
    assert!(!away.is_ok_and(|answer| answer.status.is_success()));
    server.restart().await;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !host.get("wati", &votes).await.status.is_success() {
        assert!(std::time::Instant::now() < until, "it does not come back");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    be_odd(&host);
    host.stopped_within(20).unwrap();
    let mut command = gotong(&["doctor", "--json"]);
    command.envs(&setup.env).env("RUST_LOG", LOUDEST);
    let doctor = command.output().unwrap();
    for said in [doctor.stdout, doctor.stderr] {
        heard.add("the doctor", String::from_utf8_lossy(&said));
    }
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("\"DEBUG\""), "it is loud");
    heard.add("the log", text);
    heard.tells_none_of(&[
        ("owner's password", surrealdb::OWNER_PASSWORD),
        ("host's password", surrealdb::HOST_PASSWORD),
        ("people's key", PEOPLE),
        ("password of Redis", PASSWORD),
        ("password of who takes traces", OTLP_PASSWORD),
        ("signing secret", harness::dev_secret()),
        ("tokens", "eyJ"),
        ("title", "A seed"),
        ("objection", "Let us talk first"),
        ("people", "wati"),
        ("people", "sari"),
    ]);
}

#[test]
fn a_secret_in_settings_that_cannot_be_read_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let name = &["token", "--sub", "x", "--username", "x", "--role", "user"];
    for (settings, words) in [
        (
            // The quotation mark at its end was forgotten.
            "[auth]\nhs256_secret = \"hunter2-is-my-secret-and-it-is-long",
            &["gotong.toml", "line 2", "column"][..],
        ),
        (
            "[auth]\nhs256_secret = hunter2-is-my-secret",
            &["gotong.toml", "line 2", "column"],
        ),
        (
            "cursor_secret = \"a\"\ncursor_secret = \"hunter2\"",
            &["gotong.toml", "line 2"],
        ),
        (
            "[auth]\nhs256_secret = 1234567890123456789",
            &["gotong.toml", "auth.hs256_secret", "a string"],
        ),
        (
            "redis_url = [\"hunter2\"]",
            &["gotong.toml", "redis_url", "a string"],
        ),
        ("auth = \"hunter2\"", &["gotong.toml", "auth"]),
        ("role = \"hunter2\"", &["gotong.toml", "role", "`worker`"]),
    ] {
        std::fs::write(dir.path().join("gotong.toml"), settings).unwrap();
        for args in [name, &["doctor"][..]] {
            let says = harness::one_line(gotong(args).current_dir(dir.path()));
            for word in words {
                assert!(says.contains(word), "`{word}` in {says}");
            }
            for secret in ["hunter2", "1234567890123456789"] {
                assert!(!says.contains(secret), "{says}");
            }
        }
    }
    std::fs::remove_file(dir.path().join("gotong.toml")).unwrap();
    let says = harness::one_line(
        gotong(name)
            .current_dir(dir.path())
            .env("GOTONG_AUTH", "hunter2"),
    );
    assert!(
        says.contains("expected") && !says.contains("hunter2"),
        "{says}"
    );
}
