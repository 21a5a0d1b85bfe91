//! No secret is told: not in logs at their loudest, not in answers, not by the doctor, not in the metrics.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::path::Path;

use harness::redis::{PASSWORD, RedisServer};
use harness::{Setup, gotong, new_key, now_s, sign};
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

const HS256: &str = "the-signing-secret-0123456789-abcdef-xyz";
const CURSORS: &str = "the-cursor-secret-0123456789-abcdef-xyz-";
const PEOPLE: &str = "the-people-key-0123456789-abcdef-xyz-123";
const STORE_PASSWORD: &str = "the-store-password";

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
        .env("GOTONG_LIMITS__RATE__ENABLED", "true")
}

fn loud(setup: &Setup, log: &Path) -> harness::Host {
    setup.start_with(|command| {
        command
            .env("RUST_LOG", "trace")
            .stderr(std::fs::File::create(log).unwrap());
    })
}

#[tokio::test]
async fn no_secret_is_told_by_anything() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut redis = RedisServer::start();
    let setup =
        with_secrets(Setup::default().outside_dev(), &redis).data(&dir.path().join("store"));
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
    let ended = host.stopped_within(20);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");

    redis.restart();
    let doctor = |store: &str| {
        let mut command = gotong(&["doctor", "--json"]);
        command
            .envs(&setup.env)
            .env("RUST_LOG", "trace")
            .env("GOTONG_STORE_URL", store);
        let output = command.output().unwrap();
        let (out, err) = (output.stdout, output.stderr);
        assert!(serde_json::from_slice::<Value>(&out).is_ok());
        String::from_utf8_lossy(&out).into_owned() + &String::from_utf8_lossy(&err)
    };
    heard.add("the doctor", doctor("memory"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = format!("ws://host:{STORE_PASSWORD}@{closed}/gotong/main");
    heard.add("the doctor, with a server", doctor(&server));
    let refused = with_secrets(Setup::default().outside_dev(), &redis)
        .env("GOTONG_STORE_URL", &server)
        .env("RUST_LOG", "trace");
    heard.add("a start that fails", refused.refused());
    for (name, value) in [
        ("GOTONG_STORE_URL", format!("wss://host:{STORE_PASSWORD}@x")),
        ("GOTONG_REDIS_URL", format!("http://:{PASSWORD}@x")),
    ] {
        let odd = with_secrets(Setup::default().outside_dev(), &redis).env(name, value);
        heard.add(format!("an odd {name}"), odd.refused());
    }

    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("\"TRACE\"") && text.contains("redis is away"),
        "it is loud"
    );
    heard.add("the log", text);
    let ending = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    heard.tells_none_of(&[
        ("signing secret", HS256),
        ("cursor secret", CURSORS),
        ("people's key", PEOPLE),
        ("password of the store", STORE_PASSWORD),
        ("password of Redis", PASSWORD),
        ("token", &ending(&good)),
        ("token of an admin", &ending(&admin)),
        ("expired token", &ending(&expired)),
        ("forged token", &ending(&forged)),
    ]);
}
