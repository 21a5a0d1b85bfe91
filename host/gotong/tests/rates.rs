//! How often one caller may ask: counted by a host alone, or by several over Redis, which may go away at any time.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::path::Path;
use std::time::{Duration, Instant};

use harness::redis::{PASSWORD, RedisServer};
use harness::{Answer, Host, Setup, host, sign};
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::json;

/// Hosts that count: a rate and a burst for each class that a test is about.
fn counting(rates: &[(&str, &str, u32, u32)]) -> Setup {
    let mut setup = Setup::default().env("GOTONG_LIMITS__RATE__ENABLED", "true");
    for (place, per, requests, burst) in rates {
        let name = format!("GOTONG_LIMITS__RATE__{place}");
        setup = setup
            .env(&format!("{name}__PER"), *per)
            .env(&format!("{name}__REQUESTS"), requests.to_string())
            .env(&format!("{name}__BURST"), burst.to_string());
    }
    setup
}

const SLOW: (&str, &str, u32, u32) = ("READ__SUBJECT", "minute", 1, 3);

async fn read(host: &Host, who: &str) -> Answer {
    host.get(who, "/v1/transitions?limit=1").await
}

/// `(r, t)` of the `RateLimit` header.
fn left(answer: &Answer) -> (u32, u64) {
    let text = answer.headers["ratelimit"].to_str().unwrap();
    let number = |name: &str| {
        let (_, rest) = text.split_once(&format!(";{name}=")).unwrap();
        rest.split(';').next().unwrap().parse::<u64>().unwrap()
    };
    (u32::try_from(number("r")).unwrap(), number("t"))
}

#[track_caller]
fn is_limited(answer: &Answer) {
    let answer = answer.clone().is(429, "rate_limited");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(answer.json["correlation_id"].is_string(), "{}", answer.text);
    let after: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(left(&answer).0, 0);
}

/// Three reads of one person, and no fourth; others are counted alone.
async fn lets_three_through(host: &Host, who: &str) {
    for remaining in [2, 1, 0] {
        let answer = read(host, who).await.ok();
        assert_eq!(answer.headers["ratelimit-policy"], "\"read\";q=3;w=180");
        let (r, t) = left(&answer);
        assert_eq!(r, remaining);
        assert!(t.abs_diff(60 * u64::from(3 - remaining)) <= 5, "{t}");
    }
    for _ in 0..3 {
        is_limited(&read(host, who).await);
    }
}

#[tokio::test]
async fn a_burst_is_let_through_and_no_more() {
    let host = counting(&[SLOW]).start();
    lets_three_through(&host, "sari").await;
    lets_three_through(&host, "budi").await;
    host.seed("tuntaskan").await;
    let anonymous = read(&host, "").await.ok();
    assert_eq!(left(&anonymous).0, 99, "by address, which is another rate");
    let health = host.get("sari", "/health/live").await.ok();
    assert!(
        health.headers["ratelimit-policy"]
            .to_str()
            .unwrap()
            .starts_with("\"public\"")
    );
}

#[tokio::test]
async fn who_waits_as_told_is_let_through_and_one_write_has_one_effect() {
    let host = counting(&[("WRITE__SUBJECT", "second", 1, 1)]).start();
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    let send = |key: &str| {
        host.request("sari", Method::POST, "/v1/entities")
            .key(key)
            .raw(body.clone())
            .send()
    };
    let first = send("the-first-seed").await.ok();
    let refused = send("another-seed").await;
    is_limited(&refused);
    let after: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(after)).await;
    let second = send("another-seed").await.ok();
    assert!(!second.replayed(), "a request too many is not kept");
    tokio::time::sleep(Duration::from_secs(after)).await;
    let again = send("the-first-seed").await.ok();
    assert_eq!((again.replayed(), again.text), (true, first.text));
}

#[tokio::test]
async fn an_invalid_token_is_counted_by_address() {
    let host = counting(&[("READ__ADDRESS", "minute", 1, 4)]).start();
    for n in 0..4 {
        let claims = json!({"sub": format!("stranger-{n}"), "username": "x", "role": "user", "iss": "gotong", "aud": "gotong", "exp": harness::now_s() + 60});
        let forged = sign(&claims, Algorithm::HS256, &"y".repeat(40));
        let answer = host
            .request("", Method::GET, "/v1/transitions")
            .header("Authorization", &format!("Bearer {forged}"))
            .send()
            .await;
        answer.is(401, "token_invalid");
    }
    let garbage = host
        .request("", Method::GET, "/v1/transitions")
        .header("Authorization", "Bearer garbage")
        .send()
        .await;
    is_limited(&garbage);
    is_limited(&read(&host, "").await);
    is_limited(&host.get("", "/v1/nowhere").await);
    let odd = host
        .request("", Method::GET, "/v1/transitions")
        .header("X-Correlation-Id", "?")
        .send()
        .await;
    is_limited(&odd);
    read(&host, "sari").await.ok();
}

async fn from(host: &Host, name: &str, value: &str) -> Answer {
    let request = host.request("", Method::GET, "/v1/transitions");
    request.header(name, value).send().await
}

#[tokio::test]
async fn an_address_is_taken_from_proxies_that_are_trusted_and_from_nobody_else() {
    let rate = ("READ__ADDRESS", "minute", 1, 1);
    let host = counting(&[rate]).start();
    from(&host, "X-Forwarded-For", "198.51.100.1").await.ok();
    is_limited(&from(&host, "X-Forwarded-For", "198.51.100.2").await);

    let behind = counting(&[rate])
        .env("GOTONG_TRUSTED_PROXIES", r#"["127.0.0.0/8","::1"]"#)
        .start();
    from(&behind, "X-Forwarded-For", "203.0.113.9, 198.51.100.1")
        .await
        .ok();
    is_limited(&from(&behind, "X-Forwarded-For", "203.0.113.10, 198.51.100.1").await);
    from(&behind, "X-Forwarded-For", "198.51.100.2").await.ok();
    from(&behind, "Forwarded", "for=198.51.100.3").await.ok();
    is_limited(&from(&behind, "Forwarded", "for=198.51.100.4").await);

    let says = Setup::default()
        .env("GOTONG_TRUSTED_PROXIES", r#"["everybody"]"#)
        .refused();
    assert!(says.contains("`everybody`"), "{says}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_who_is_hasty_waits_as_told() {
    let host = counting(&[("ADMIN__SUBJECT", "second", 1, 1)]).start();
    host.at_a_vote().await;
    let started = Instant::now();
    host.holds();
    assert!(
        started.elapsed() > Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let limited = harness::gotong(&[
        "replay",
        "--url",
        &host.base,
        "--token",
        &harness::token("sari"),
    ]);
    assert_eq!(
        { limited }.output().unwrap().status.code(),
        Some(2),
        "who may not is not waited with"
    );
}

fn shared(redis: &RedisServer, prefix: &str, log: &Path) -> Host {
    counting(&[SLOW])
        .env("GOTONG_REDIS_URL", redis.url())
        .env("GOTONG_REDIS_PREFIX", prefix)
        .start_with(|command| {
            command
                .env("RUST_LOG", "warn,gotong=info")
                .stderr(std::fs::File::create(log).unwrap());
        })
}

fn lines(log: &Path, text: &str) -> usize {
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn hosts_count_together_over_redis() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let hosts = ["one", "two"].map(|name| shared(&redis, "a:test", &dir.path().join(name)));
    for (host, remaining) in [(&hosts[0], 2), (&hosts[1], 1), (&hosts[0], 0)] {
        let answer = read(host, "sari").await.ok();
        assert_eq!(left(&answer).0, remaining);
        assert_eq!(answer.headers["ratelimit-policy"], "\"read\";q=3;w=180");
    }
    for host in &hosts {
        is_limited(&read(host, "sari").await);
        read(host, "budi").await.ok();
    }
    let keys = redis.cli(&["KEYS", "*"]);
    assert!(keys.lines().all(|key| key.starts_with("a:test:")), "{keys}");
    let keys = redis.cli(&["KEYS", "a:test:rate:*"]);
    assert_eq!(keys.lines().count(), 2, "{keys}");
    for key in keys.lines() {
        assert!(!key.contains("sari") && !key.contains("127.0.0.1"), "{key}");
        let ttl: i64 = redis.cli(&["TTL", key]).parse().unwrap();
        assert!((1..=200).contains(&ttl), "{key} is kept for {ttl} s");
    }
    let elsewhere = shared(&redis, "another", &dir.path().join("three"));
    lets_three_through(&elsewhere, "sari").await;
}

#[tokio::test]
async fn a_redis_that_is_killed_fails_no_request_and_is_told_once() {
    let mut redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let host = shared(&redis, "gotong", &log);
    lets_three_through(&host, "sari").await;
    assert_eq!(lines(&log, "redis is away"), 0);

    redis.kill();
    let started = Instant::now();
    // By itself the host knows nothing of the three before.
    lets_three_through(&host, "sari").await;
    lets_three_through(&host, "budi").await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    is_limited(&read(&host, "budi").await);
    assert_eq!(lines(&log, "redis is away"), 1);

    redis.restart();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // Redis has forgotten everything, which lets nobody wait longer.
    read(&host, "wati").await.ok();
    lets_three_through(&host, "sari").await;
    assert_eq!(
        (lines(&log, "redis is away"), lines(&log, "redis is back")),
        (1, 1)
    );
    assert!(!redis.cli(&["KEYS", "gotong:rate:read:*"]).is_empty());

    // There, but answering nothing: nobody waits for longer than the time-out, and after that nobody at all.
    redis.freeze();
    let started = Instant::now();
    read(&host, "dewi").await.ok();
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let started = Instant::now();
    for _ in 0..2 {
        read(&host, "dewi").await.ok();
    }
    assert!(
        started.elapsed() < Duration::from_millis(200),
        "{:?}",
        started.elapsed()
    );
    redis.resume();
    assert_eq!(lines(&log, PASSWORD), 0);
}

#[tokio::test]
async fn a_host_starts_and_counts_without_the_redis_it_is_told_of() {
    let mut redis = RedisServer::start();
    redis.kill();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let host = shared(&redis, "gotong", &log);
    lets_three_through(&host, "sari").await;
    assert_eq!(lines(&log, "redis is away"), 1);

    let says = Setup::default()
        .env("GOTONG_REDIS_URL", "http://:hunter2@127.0.0.1")
        .refused();
    assert!(
        says.contains("redis_url") && !says.contains("hunter2"),
        "{says}"
    );
}

#[tokio::test]
async fn nothing_is_counted_where_limits_are_off_and_odd_limits_are_refused() {
    let host = host();
    let answer = read(&host, "sari").await.ok();
    assert!(!answer.headers.contains_key("ratelimit"));
    for (name, value) in [
        ("RATE__READ__SUBJECT__REQUESTS", "0"),
        ("RATE__WRITE__ADDRESS__BURST", "0"),
        ("RATE__PUBLIC__PER", "hour"),
        ("RATE__PUBLIC__BURST", "2000000"),
        ("RATE__SECRET__BURST", "1"),
        ("HEAD_BYTES", "100"),
        ("HEADERS", "0"),
        ("CONNECTIONS", "0"),
    ] {
        let says = Setup::default()
            .env(&format!("GOTONG_LIMITS__{name}"), value)
            .refused();
        assert_eq!(says.lines().count(), 1, "{name}: {says}");
    }
}

async fn ask(host: &Host, method: Method, origin: &str) -> Answer {
    let request = host.request("", method, "/v1/transitions");
    request
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,idempotency-key",
        )
        .send()
        .await
}

#[tokio::test]
async fn preflights_are_counted_by_address_and_measured() {
    let host = counting(&[("PREFLIGHT", "minute", 1, 3), ("PUBLIC", "minute", 1, 1)])
        .env("GOTONG_CORS_ORIGINS", r#"["https://app.example"]"#)
        .start();
    for left_over in [2, 1] {
        let answer = ask(&host, Method::OPTIONS, "https://app.example")
            .await
            .ok();
        assert_eq!(left(&answer).0, left_over);
        assert!(answer.headers.contains_key("x-correlation-id"));
    }
    // An OPTIONS that asks for nothing is answered, and counted, too.
    let bare = host.request("", Method::OPTIONS, "/v1/transitions");
    bare.send().await.ok();
    let refused = ask(&host, Method::OPTIONS, "https://app.example").await;
    is_limited(&refused);
    assert!(
        !refused.text.contains("Idempotency-Key"),
        "{}",
        refused.text
    );
    // They take nothing from others at the address.
    let metrics = host.get("ops/admin", "/metrics").await.ok().text;
    assert!(metrics.contains("method=\"OPTIONS\""), "{metrics}");
    ask(&host, Method::GET, "https://app.example").await.ok();
}

#[tokio::test]
async fn pages_of_other_origins_may_call_where_the_settings_say_so() {
    let closed = host();
    for method in [Method::GET, Method::OPTIONS] {
        let answer = ask(&closed, method, "https://app.example").await;
        assert!(
            !answer
                .headers
                .keys()
                .any(|name| name.as_str().starts_with("access-control"))
        );
    }
    let open = Setup::default()
        .env("GOTONG_CORS_ORIGINS", r#"["https://app.example"]"#)
        .start();
    let preflight = ask(&open, Method::OPTIONS, "https://app.example")
        .await
        .ok();
    assert_eq!(
        preflight.headers["access-control-allow-origin"],
        "https://app.example"
    );
    let allowed = preflight.headers["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(allowed.contains("idempotency-key"), "{allowed}");
    let answer = ask(&open, Method::GET, "https://app.example").await.ok();
    let exposed = answer.headers["access-control-expose-headers"]
        .to_str()
        .unwrap();
    for name in [
        "idempotent-replayed",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "x-correlation-id",
    ] {
        assert!(
            exposed.split(',').any(|each| each.trim() == name),
            "{name} in {exposed}"
        );
    }
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );
    let stranger = ask(&open, Method::GET, "https://evil.example").await.ok();
    assert!(!stranger.headers.contains_key("access-control-allow-origin"));
    for odd in [
        r#"["app.example"]"#,
        r#"["https://app.example/path"]"#,
        r#"["*","https://a.example"]"#,
    ] {
        let says = Setup::default().env("GOTONG_CORS_ORIGINS", odd).refused();
        assert!(says.contains("cors_origins"), "{says}");
    }
}
