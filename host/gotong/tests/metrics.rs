//! What a host counts of itself: every family has a source, and no label tells of anybody.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::redis::RedisServer;
use harness::surrealdb::SurrealServer;
use harness::{HOUR_MS, Host, Setup, new_key, policies_copy, root};
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

    /// The sum of the samples of a family that have all of these labels. There must be one: nothing is not 0.
    #[track_caller]
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let is_meant = |sample: &str| {
            let (family, rest) = sample.split_once('{').unwrap_or((sample, ""));
            family == name && wanted.iter().all(|label| rest.contains(label))
        };
        let meant = self.0.iter().filter(|(sample, _)| is_meant(sample));
        let values: Vec<f64> = meant.map(|(_, value)| *value).collect();
        assert!(!values.is_empty(), "no `{name}` with {labels:?}");
        values.iter().sum()
    }

    /// Whether a whole number stands there.
    #[track_caller]
    fn is(&self, name: &str, labels: &[(&str, &str)], number: u32) {
        let sum = self.sum(name, labels);
        assert!(
            (sum - f64::from(number)).abs() < 0.1,
            "{name} {labels:?} is {sum}"
        );
    }

    fn has(&self, family: &str) -> bool {
        let of = |sample: &String| sample.split('{').next() == Some(family);
        self.0.keys().any(of)
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
    // The gate's timer.
    seen.is("gotong_jobs", &[("state", "waiting")], 1);
    seen.is("gotong_jobs", &[("state", "due")], 0);
    seen.is("gotong_jobs", &[("state", "dead")], 0);
    seen.is("gotong_jobs_lag_seconds", &[], 0);
    seen.is("gotong_jobs_oldest_age_seconds", &[], 0);
    seen.is("gotong_store_up", &[], 1);
    for room in ["connection", "request"] {
        seen.is("gotong_http_overloaded_total", &[("for", room)], 0);
    }
    for outcome in ["contention", "failed", "still_running", "key_refused"] {
        seen.is("gotong_commands_total", &[("outcome", outcome)], 0);
    }
    seen.is("gotong_commit_retries_total", &[], 0);
    let run = |outcome| [("kind", "close_gate"), ("outcome", outcome)];
    for outcome in ["done", "failed", "dead", "lease_lost"] {
        seen.is("gotong_job_runs_total", &run(outcome), 0);
    }
    host.wait_hours(48).await;
    let later = scrape(&host).await;
    assert!(
        later.sum(
            "gotong_job_runs_total",
            &[("kind", "close_gate"), ("outcome", "done")]
        ) >= 1.0
    );
    later.is("gotong_jobs", &[("state", "waiting")], 0);
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
    seen.is("gotong_commands_total", &[("outcome", "replayed")], 1);
    seen.is("gotong_build_info", &[], 1);
    seen.sum("gotong_store_errors_total", &[("kind", "conflict")]);
    seen.is("gotong_store_errors_total", &[("kind", "query")], 0);
    assert!(!seen.has("gotong_redis_up"), "there is none");
    assert!(
        !seen.has("gotong_policy_shadow_evaluations_total"),
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
    Scrape::of(&text).is("gotong_redis_up", &[], 1);
    assert_eq!(get(format!("{apart}/v1/transitions"), "").await.0, 404);
    redis.kill();
    let (_, text) = get(format!("{apart}/metrics"), "").await;
    assert!(text.contains("\ngotong_redis_up 0\n"), "{text}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What a timer is late by, how old it is, and a host that is full: each has to be seen to move.
#[tokio::test]
async fn a_queue_that_nobody_works_on_and_a_full_host_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let ahead = (72 * HOUR_MS).to_string();
    let host = Setup::default().data(dir.path()).start();
    host.at_a_vote().await;
    assert!(host.stopped_within(20).is_some());
    let host = Setup::default()
        .data(dir.path())
        .arg("--role")
        .arg("api")
        .env("GOTONG_CLOCK_AHEAD_MS", ahead)
        .env("GOTONG_LIMITS__CONNECTIONS", "1")
        .start();
    let seen = scrape(&host).await;
    seen.is("gotong_jobs", &[("state", "due")], 1);
    for late in ["gotong_jobs_lag_seconds", "gotong_jobs_oldest_age_seconds"] {
        assert!(seen.sum(late, &[]) > 3_600.0, "{late}");
    }
    // The connection that asked is kept open, and there is room for no other.
    seen.is("gotong_http_connections", &[], 1);
    let mut told = String::new();
    let mut other = TcpStream::connect(host.address()).unwrap();
    other.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    let full = [("for", "connection")];
    scrape(&host)
        .await
        .is("gotong_http_overloaded_total", &full, 1);
}

/// The expressions of the alert rules.
fn rules() -> Vec<String> {
    let rules = std::fs::read_to_string(root().join("docs/alerts/gotong.rules.yml")).unwrap();
    let expressions = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    expressions.map(str::to_owned).collect()
}

/// What a rule asks for: names of metrics, each with what stands in its braces.
fn selectors(rule: &str) -> Vec<(&str, &str)> {
    let starts = rule.match_indices("gotong_").map(|(at, _)| &rule[at..]);
    starts
        .map(|text| {
            let end = text
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            (name, inside.map_or("", |(inside, _)| inside))
        })
        .collect()
}

/// The labels that a rule sums by, those that Prometheus adds aside.
fn grouped(rule: &str) -> Vec<&str> {
    let groups = rule.split(" by (").skip(1);
    let names = groups.flat_map(|rest| rest.split(')').next().unwrap().split(", "));
    names.filter(|name| *name != "instance").collect()
}

#[tokio::test]
async fn every_metric_and_label_of_the_alert_rules_is_in_a_scrape() {
    let redis = RedisServer::start();
    let policies = policies_copy();
    let lock = policies.path().join("policies.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let text = text.replacen("mode = \"retired\"", "mode = \"shadow\"", 1);
    std::fs::write(&lock, text).unwrap();
    // Its first command never ends: a request that fails.
    let host = Setup::default()
        .env("GOTONG_REDIS_URL", redis.url())
        .env("GOTONG_POLICIES_DIR", policies.path().display().to_string())
        .env("GOTONG_CRASH_AT", "hang_before_commit")
        .env("GOTONG_LIMITS__REQUEST_TIMEOUT_MS", "2000")
        .start();
    host.post(
        "sari",
        "/v1/entities",
        json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}),
    )
    .await
    .is(503, "request_timeout");
    scrape(&host).await;
    let seen = scrape(&host).await;
    let rules = rules();
    assert!(rules.len() > 10, "{rules:?}");
    for rule in &rules {
        for (name, inside) in selectors(rule) {
            let label = |pair: &str| -> Option<(String, String)> {
                let (label, value) = pair.split_once('=')?;
                let value = value.trim_matches('"');
                Some((label.to_owned(), value.to_owned()))
            };
            // `!=`: the label has to be there, with any value.
            let pairs = inside.split(',').filter_map(label);
            let (other, same): (Vec<_>, Vec<_>) =
                pairs.partition(|(label, _)| label.ends_with('!'));
            let same: Vec<(&str, &str)> = same
                .iter()
                .map(|(label, value)| (label.as_str(), value.as_str()))
                .collect();
            seen.sum(name, &same);
            for label in other
                .iter()
                .map(|(label, _)| label.trim_end_matches('!'))
                .chain(grouped(rule))
            {
                let has = |sample: &String| {
                    sample.split('{').next() == Some(name)
                        && sample.contains(&format!("{label}=\""))
                };
                assert!(seen.0.keys().any(has), "`{label}` of `{name}` in {rule}");
            }
        }
    }
}

/// The store is away: nobody waits for it, and nothing is told of its queue.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-cluster"]
async fn a_store_that_is_away_is_said_to_be_at_once() {
    let mut server = SurrealServer::migrated().await;
    let host = server.setup().start();
    let seen = scrape(&host).await;
    seen.is("gotong_store_up", &[], 1);
    seen.is("gotong_jobs", &[("state", "due")], 0);
    server.kill();
    for _ in 0..2 {
        let started = Instant::now();
        let seen = scrape(&host).await;
        assert!(started.elapsed() < Duration::from_secs(3), "it waits");
        seen.is("gotong_store_up", &[], 0);
        for family in [
            "gotong_jobs",
            "gotong_jobs_lag_seconds",
            "gotong_jobs_oldest_age_seconds",
        ] {
            assert!(!seen.has(family), "{family} is what was");
        }
    }
    server.restart().await;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = scrape(&host).await;
        if seen.sum("gotong_store_up", &[]) > 0.5 {
            break seen.is("gotong_jobs", &[("state", "due")], 0);
        }
        assert!(Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
