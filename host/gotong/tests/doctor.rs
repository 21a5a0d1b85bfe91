//! `gotong doctor`: what is said of settings that are well, odd or broken, and that nothing is changed by asking.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use harness::redis::{self, PASSWORD, RedisServer};
use harness::{Setup, gotong, root};
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
        ("golden", "golden decisions replay"),
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
    is(&report, "recorded", "ok", "0 recorded decisions");
    is(
        &says(&mut doctor(&["--dev"])).1,
        "config",
        "warning",
        "development",
    );
    is(&says(&mut doctor(&[])).1, "store", "warning", "in memory");
}

#[test]
fn a_redis_is_reached_over_tls_by_whom_its_certificate_convinces() {
    let (_redis, url) = RedisServer::start_with_tls();
    let ask = |url: &str, vouched_by: &str| {
        let mut doctor = doctor(&[]);
        doctor.env("GOTONG_REDIS_URL", url);
        says(doctor.env("SSL_CERT_FILE", redis::key(vouched_by)))
    };
    let (code, report) = ask(&url, "test-redis-ca.pem");
    assert_eq!(code, 0, "{report:#}");
    is(&report, "redis", "ok", "version 7.");
    // Another name than the certificate's, and nobody who vouches for it.
    let elsewhere = url.replace("127.0.0.1", "localhost");
    for (url, vouched_by) in [(&elsewhere, "test-redis-ca.pem"), (&url, "test-redis.pem")] {
        let (code, report) = ask(url, vouched_by);
        assert_eq!(code, 1, "{report:#}");
        is(&report, "redis", "failed", "certificate");
        assert!(!report.to_string().contains(PASSWORD));
    }
    // Nor is it left to the address whether that is looked at.
    let (code, report) = ask(&format!("{url}/#insecure"), "test-redis-ca.pem");
    assert_eq!(code, 1, "{report:#}");
    is(&report, "redis", "failed", "rediss:// for TLS");
}

/// A folder with a golden decision that the modules do not come to.
fn diverging(folder: &Path) {
    let decisions = std::fs::read_dir(root().join("fixtures/decisions")).unwrap();
    let one = decisions
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "ndjson"));
    let text = std::fs::read_to_string(one.unwrap()).unwrap();
    let mut row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    row["output"] = "{}".into();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("one.ndjson"), row.to_string()).unwrap();
}

#[test]
fn what_answers_like_a_host_need_not_be_one() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stranger.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in stranger.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    let (code, report) = says(doctor(&[]).env("GOTONG_LISTEN", &address));
    assert_eq!(code, 1, "{report:#}");
    is(&report, "listen", "failed", "in use");
}

#[test]
fn a_remedy_is_for_what_is_wrong() {
    let fix = |name: &str, value: &str| {
        let mut asked = doctor(&[]);
        let (_, report) = says(
            asked
                .env("GOTONG_REQUIRE_SIGNED_LOCK", "true")
                .env("GOTONG_LOCK_KEYS", "/nonexistent")
                .env(name, value),
        );
        let findings = report["findings"].as_array().unwrap();
        let policies = findings
            .iter()
            .find(|finding| finding["check"] == "policies");
        policies.unwrap()["fix"].as_str().unwrap().to_owned()
    };
    assert!(fix("GOTONG_DEV", "false").contains("set lock_keys"));
    assert!(fix("GOTONG_POLICIES_DIR", "/nonexistent").contains("set policies_dir"));
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
    let golden = dir.path().join("golden");
    diverging(&golden);
    let file = policies.join("policies.lock");
    let file_url = format!("surrealkv://{}", file.join("store").display());
    let full_url = format!("surrealkv://{}", policies.display());
    for (name, value, check, state, word) in [
        (
            "GOTONG_METRICS_LISTEN",
            &*in_use,
            "metrics",
            "failed",
            "in use",
        ),
        (
            "GOTONG_METRICS_LISTEN",
            "nonsense",
            "metrics",
            "failed",
            "nonsense",
        ),
        (
            "GOTONG_AUTH__EDDSA_PUBLIC_KEY_PEM",
            "nonsense",
            "config",
            "failed",
            "public key",
        ),
        (
            "GOTONG_STORE_PEOPLE_KEY",
            "too-short",
            "config",
            "failed",
            "store_people_key",
        ),
        (
            "GOTONG_STORE_URL",
            &*file_url,
            "store",
            "failed",
            "not a directory",
        ),
        (
            "GOTONG_STORE_URL",
            &*full_url,
            "store",
            "warning",
            "what else is there",
        ),
        (
            "GOTONG_CACHE_DIR",
            file.to_str().unwrap(),
            "cache",
            "warning",
            "not a directory",
        ),
        (
            "GOTONG_TRUSTED_PROXIES",
            r#"["10.0.0.1", "0.0.0.0/0"]"#,
            "proxies",
            "warning",
            "any client",
        ),
        (
            "GOTONG_LIMITS__CONNECTIONS",
            "99999999",
            "files",
            "warning",
            "99999999",
        ),
        (
            "GOTONG_CLOCK_AHEAD_MS",
            "1000",
            "config",
            "warning",
            "clock_ahead_ms has no effect",
        ),
        (
            "GOTONG_GOLDEN_DIR",
            "/nonexistent",
            "golden",
            "failed",
            "/nonexistent",
        ),
        (
            "GOTONG_GOLDEN_DIR",
            golden.to_str().unwrap(),
            "golden",
            "failed",
            "does not replay",
        ),
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
        // Nor would a host start, which does without Redis alone, and it leaves nothing behind.
        if state == "failed" && check != "redis" {
            let mut serve = gotong(&["serve"]);
            if check != "store" {
                serve.arg("--data").arg(dir.path().join("never"));
            }
            serve
                .env("GOTONG_AUTH__HS256_SECRET", SECRET)
                .env("GOTONG_LISTEN", "127.0.0.1:0")
                .env(name, value);
            harness::one_line(&mut serve);
            assert!(!dir.path().join("never").exists(), "{name}={value}");
        }
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
