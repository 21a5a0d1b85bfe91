//! What a host counts of itself: every family has a source, and no label tells of anybody.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use harness::redis::RedisServer;
use harness::{Host, Setup, new_key};
use reqwest::Method;
use serde_json::{Value, json};

/// Samples by name and labels, as Prometheus reads them.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn of(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse = |line: &str| {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            (sample.to_owned(), value.parse().unwrap())
        };
        Self(samples.map(parse).collect())
    }

    /// The sum of the samples of a family that have all of these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let is_meant = |sample: &str| {
            let (family, rest) = sample.split_once('{').unwrap_or((sample, ""));
            family == name && wanted.iter().all(|label| rest.contains(label))
        };
        self.0
            .iter()
            .filter(|(sample, _)| is_meant(sample))
            .map(|(_, value)| value)
            .sum()
    }
}

async fn scrape(host: &Host) -> Scrape {
    let answer = host.get("admin/admin", "/metrics").await.ok();
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    Scrape::of(&answer.text)
}

#[tokio::test]
async fn what_happens_is_counted() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__RATE__ENABLED", "true")
        .env("GOTONG_LIMITS__RATE__READ__SUBJECT__BURST", "30")
        .env("GOTONG_LIMITS__RATE__READ__SUBJECT__PER", "minute")
        .start();
    let (entity, gate) = host.at_a_vote().await;
    host.vote("wati", &gate, "yes").await.ok();
    let key = new_key();
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string();
    for replayed in [false, true] {
        let request = host
            .request("sari", Method::POST, "/api/v1/entities")
            .key(&key)
            .raw(body.clone());
        assert_eq!(request.send().await.ok().replayed(), replayed);
    }
    host.propose("dewi", &entity, "bahas").await;
    host.get("sari", "/v1/nowhere/at/all")
        .await
        .is(404, "not_found");
    for _ in 0..60 {
        host.get("budi", &format!("/v1/entities/{entity}")).await;
    }
    let seen = scrape(&host).await;
    assert!(
        (seen.sum("gotong_jobs", &[("state", "waiting")]) - 1.0).abs() < 0.1,
        "the gate's timer"
    );
    assert!((seen.sum("gotong_jobs", &[("state", "due")])).abs() < 0.1);
    host.wait_hours(48).await;
    let later = scrape(&host).await;
    assert!(
        later.sum(
            "gotong_job_runs_total",
            &[("kind", "close_gate"), ("outcome", "done")]
        ) >= 1.0
    );
    assert!(later.sum("gotong_jobs", &[("state", "waiting")]).abs() < 0.1);
    let requests = |labels: &[(&str, &str)]| seen.sum("gotong_http_requests_total", labels);
    assert!(
        (requests(&[
            ("method", "POST"),
            ("route", "/v1/entities"),
            ("status", "2xx")
        ]) - 3.0)
            .abs()
            < 0.1,
        "both roots are one"
    );
    assert!((requests(&[("route", "-"), ("status", "4xx")]) - 1.0).abs() < 0.1);
    let count = seen.sum(
        "gotong_http_request_duration_seconds_count",
        &[("route", "/v1/entities")],
    );
    assert!((count - 3.0).abs() < 0.1, "{count}");
    let limited = seen.sum(
        "gotong_http_rate_limited_total",
        &[("class", "read"), ("by", "subject")],
    );
    assert!(limited >= 1.0, "{limited}");
    assert!(seen.sum("gotong_http_connections", &[]) >= 1.0);

    let asked = [
        ("module", "role-matrix"),
        ("function", "authorize"),
        ("outcome", "ruled"),
    ];
    assert!(seen.sum("gotong_policy_evaluations_total", &asked) >= 5.0);
    let buckets = [
        ("module", "role-matrix"),
        ("function", "authorize"),
        ("le", "0.000002"),
    ];
    assert!(
        seen.0.keys().any(|sample| buckets
            .iter()
            .all(|(name, value)| sample.contains(&format!("{name}=\"{value}\"")))),
        "microseconds are told apart"
    );
    assert!(
        seen.sum(
            "gotong_policy_rulings_total",
            &[("module", "role-matrix"), ("effect", "allow")]
        ) >= 4.0
    );
    let denied: Vec<&String> = seen
        .0
        .keys()
        .filter(|sample| {
            sample.starts_with("gotong_policy_rulings_total") && sample.contains("effect=\"deny\"")
        })
        .collect();
    assert!(
        denied.iter().any(|sample| !sample.contains("rule=\"\"")),
        "{denied:?}"
    );
    assert!(seen.sum("gotong_ruling_cache_lookups_total", &[("result", "miss")]) >= 1.0);
    assert!(seen.sum("gotong_ruling_cache_lookups_total", &[("result", "hit")]) >= 1.0);
    assert!(seen.sum("gotong_commands_total", &[("outcome", "done")]) >= 5.0);
    assert!((seen.sum("gotong_commands_total", &[("outcome", "replayed")]) - 1.0).abs() < 0.1);
    assert!((seen.sum("gotong_build_info", &[]) - 1.0).abs() < 0.1);
    assert!(
        seen.0
            .keys()
            .any(|sample| sample.starts_with("gotong_store_errors_total"))
    );
    assert!(
        !seen
            .0
            .keys()
            .any(|sample| sample.starts_with("gotong_redis_up")),
        "there is none"
    );

    for word in [
        entity.as_str(),
        gate.as_str(),
        "sari",
        "wati",
        "budi",
        "nowhere",
        "id/jabar",
        "A seed",
    ] {
        let told: Vec<&String> = seen
            .0
            .keys()
            .filter(|sample| sample.contains(word))
            .collect();
        assert!(told.is_empty(), "`{word}` in {told:?}");
    }
}

#[tokio::test]
async fn however_odd_requests_are_there_are_no_more_samples() {
    let host = harness::host();
    host.get("sari", "/v1/entities/first").await;
    host.request("sari", Method::from_bytes(b"BREW").unwrap(), "/v1/x")
        .send()
        .await;
    host.get("sari", "/v1/nowhere").await;
    host.seed("tuntaskan").await;
    scrape(&host).await;
    let before = scrape(&host).await.0.len();
    for n in 0..50 {
        host.get(&format!("person-{n}"), &format!("/v1/entities/{n}"))
            .await;
        host.get("sari", &format!("/v1/path-{n}")).await;
        let method = Method::from_bytes(format!("BREW{n}").as_bytes()).unwrap();
        host.request("sari", method, "/v1/x").send().await;
        host.seed("tuntaskan").await;
    }
    assert_eq!(scrape(&host).await.0.len(), before);
}

#[tokio::test]
async fn only_who_may_audit_reads_them_unless_they_have_an_address_of_their_own() {
    let mut redis = RedisServer::start();
    let mut command = Setup::default()
        .env("GOTONG_METRICS_LISTEN", "127.0.0.1:0")
        .env("GOTONG_REDIS_URL", redis.url())
        .command();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let [api, apart] =
        ["listening", "metrics"].map(|name| format!("http://{}", ready[name].as_str().unwrap()));
    let get = async |url: String, who: &str| {
        let mut request = reqwest::Client::new().get(url);
        if !who.is_empty() {
            request = request.bearer_auth(harness::token(who));
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (who, status) in [
        ("", 401),
        ("sari", 403),
        ("mira/moderator", 403),
        ("admin/admin", 200),
        ("watch/service", 200),
    ] {
        assert_eq!(get(format!("{api}/metrics"), who).await.0, status, "{who}");
    }
    let (status, text) = get(format!("{apart}/metrics"), "").await;
    assert_eq!(status, 200);
    assert!((Scrape::of(&text).sum("gotong_redis_up", &[]) - 1.0).abs() < 0.1);
    assert_eq!(get(format!("{apart}/v1/transitions"), "").await.0, 404);
    redis.kill();
    let (_, text) = get(format!("{apart}/metrics"), "").await;
    assert!(text.contains("\ngotong_redis_up 0\n"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}
