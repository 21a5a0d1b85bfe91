//! `gotong doctor`: what is said of settings that are well, odd or broken, and that nothing is changed by asking.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::process::Command;

use harness::redis::{PASSWORD, RedisServer};
use harness::{Setup, gotong};
use serde_json::Value;

const SECRET: &str = "a-secret-of-more-than-32-bytes-for-tests";

fn doctor(args: &[&str]) -> Command {
    let mut command = gotong(&["doctor", "--json"]);
    command
        .args(args)
        .env("GOTONG_AUTH__HS256_SECRET", SECRET)
        .env("GOTONG_LISTEN", "127.0.0.1:0");
    command
}

/// The exit code, and the state and words of each check.
#[track_caller]
fn says(command: &mut Command) -> (i32, Value) {
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

#[track_caller]
fn is(report: &Value, check: &str, state: &str, word: &str) {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| {
        finding["check"] == check && finding["says"].as_str().unwrap().contains(word)
    });
    let found = found.unwrap_or_else(|| panic!("no `{check}` that says `{word}` in {report:#}"));
    assert_eq!(found["state"], state, "{found}");
    assert_eq!(
        found["fix"].is_string(),
        state != "ok",
        "what is not ok has a remedy: {found}"
    );
}

#[test]
fn a_host_that_is_well_set_up_has_nothing_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    let data = dir.path().join("store");
    let data = data.to_str().unwrap();
    let (code, report) = says(doctor(&["--data", data]).env("GOTONG_REDIS_URL", redis.url()));
    assert_eq!((code, &report["ok"]), (0, &Value::Bool(true)), "{report:#}");
    for (check, word) in [
        ("config", "a secret"),
        ("lease", "10000 ms"),
        ("cache", "can be written"),
        ("policies", "every digest"),
        ("listen", "free"),
        ("store", "the host makes it"),
        ("redis", "version 7."),
        ("eviction", "nothing"),
        ("clock", "Redis"),
    ] {
        is(&report, check, "ok", word);
    }
    is(&report, "signature", "warning", "not signed");
    assert!(!dir.path().join("store").exists(), "it made nothing");
    let text = doctor(&[]).output().unwrap();
    assert_eq!(text.status.code(), Some(0));

    let host = Setup::default().data(&dir.path().join("store")).start();
    let (code, report) = says(doctor(&["--data", data]).env("GOTONG_LISTEN", host.address()));
    assert_eq!(code, 0, "{report:#}");
    is(&report, "listen", "ok", "a host answers there");
    is(&report, "store", "ok", "in use, by the host that answers");
    let (code, report) = says(&mut doctor(&["--data", data]));
    assert_eq!(code, 1, "{report:#}");
    is(&report, "store", "failed", "in use by another process");
    host.kill();
    let (code, report) = says(&mut doctor(&["--data", data]));
    assert_eq!(code, 0, "{report:#}");
    is(&report, "store", "ok", "has every migration");
    is(
        &says(&mut doctor(&["--dev"])).1,
        "config",
        "warning",
        "development",
    );
    is(&says(&mut doctor(&[])).1, "store", "warning", "in memory");
}

#[test]
fn what_is_broken_is_named_and_no_secret_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = taken.local_addr().unwrap().to_string();
    let policies = dir.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("policies.lock"), "nonsense").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (name, value, check, state, word) in [
        (
            "GOTONG_AUTH__HS256_SECRET",
            "short-secret",
            "config",
            "failed",
            "12 bytes",
        ),
        (
            "GOTONG_AUTH__HS256_SECRET",
            harness::dev_secret(),
            "config",
            "failed",
            "public",
        ),
        (
            "GOTONG_LIMITS__REQUEST_TIMEOUT_MS",
            "60000",
            "lease",
            "failed",
            "60000",
        ),
        (
            "GOTONG_CACHE_DIR",
            "/proc/nowhere",
            "cache",
            "warning",
            "/proc",
        ),
        (
            "GOTONG_POLICIES_DIR",
            policies.to_str().unwrap(),
            "policies",
            "failed",
            "lock",
        ),
        (
            "GOTONG_STORE_URL",
            "surrealkv:///proc/nowhere",
            "store",
            "failed",
            "/proc",
        ),
        (
            "GOTONG_STORE_URL",
            "ws://host:hunter2@nowhere",
            "store",
            "failed",
            "not a store address",
        ),
        (
            "GOTONG_STORE_URL",
            &format!("ws://host:hunter2@{closed}/a/b"),
            "store",
            "failed",
            "could not open",
        ),
        (
            "GOTONG_REDIS_URL",
            "redis+tls://:hunter2@x",
            "redis",
            "failed",
            "redis_url",
        ),
        (
            "GOTONG_REDIS_URL",
            &format!("redis://:hunter2@{}", redis.address()),
            "redis",
            "failed",
            "did not do",
        ),
        (
            "GOTONG_REDIS_URL",
            &redis.url(),
            "eviction",
            "warning",
            "allkeys-lru",
        ),
        (
            "GOTONG_LISTEN",
            "nowhere:port",
            "listen",
            "failed",
            "nowhere",
        ),
        ("GOTONG_LISTEN", &in_use, "listen", "failed", "in use"),
    ] {
        let (code, report) = says(doctor(&[]).env(name, value));
        is(&report, check, state, word);
        assert_eq!(code, i32::from(state == "failed"), "{name}: {report:#}");
        for secret in [
            "hunter2",
            PASSWORD,
            SECRET,
            "short-secret",
            harness::dev_secret(),
        ] {
            assert!(!report.to_string().contains(secret), "{name}: {report:#}");
        }
    }
    redis.kill();
    let (code, report) = says(doctor(&[]).env("GOTONG_REDIS_URL", redis.url()));
    is(&report, "redis", "failed", "refused");
    assert_eq!(code, 1);
    harness::one_line(gotong(&["doctor"]).env("GOTONG_LISTN", "127.0.0.1:0"));
}
