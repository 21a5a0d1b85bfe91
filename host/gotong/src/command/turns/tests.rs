//! Hosts that are sent the same request: one effect and one answer, whatever becomes of the turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use reqwest::Client;
use serde_json::json;
use tokio::sync::Notify;

use super::super::Command;
use super::super::answer::{Answer, CommandError};
use super::super::refusal::Refusal;
use super::super::work::Work;
use super::Turn;
use crate::app::App;
use crate::cli::serve::Server;
use crate::config::Secret;
use crate::http::auth::{Tokens, sign};
use crate::ledger::event::{Event, EventKind};
use crate::request::Actor;
use crate::startup::job_kinds;
use crate::testing::redis_server::RedisServer;
use crate::testing::{app_with, config, context};

const STREAM: &str = "raced-for";

/// Appends to a stream, slowly; counts how often it was worked out.
#[derive(Clone, Default)]
struct Slow {
    runs: Arc<AtomicU32>,
    /// Waited for, if set.
    go_on: Option<Arc<Notify>>,
    is_missing: bool,
    panics: bool,
}

impl Command for Slow {
    type Output = u32;

    fn scope(&self, _: &Actor) -> String {
        STREAM.to_owned()
    }

    async fn run(&self, work: &mut Work) -> Result<u32, Refusal> {
        work.watch(STREAM).await?;
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        match &self.go_on {
            Some(go_on) if run == 0 => go_on.notified().await,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        assert!(!self.panics, "as it was told to");
        if self.is_missing {
            return Err(Refusal::NotFound("matter"));
        }
        work.append(STREAM, Event::new(EventKind::EntityShared, json!({})))?;
        Ok(run)
    }
}

impl Slow {
    fn held(go_on: &Arc<Notify>) -> Self {
        Self {
            go_on: Some(go_on.clone()),
            ..Self::default()
        }
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

async fn hosts(redis_url: Option<String>) -> (App, App) {
    patient_hosts(redis_url, config().limits.same_request_wait_ms).await
}

/// Two hosts that wait so long for a request that is being worked out.
async fn patient_hosts(redis_url: Option<String>, wait_ms: u64) -> (App, App) {
    let mut config = config();
    config.limits.same_request_wait_ms = wait_ms;
    config.redis_url = redis_url.map(Secret::new);
    config.limits.rate.enabled = false;
    let here = app_with(config, job_kinds()).await;
    let there = here.beside(Tokens::new(&here.config.auth).unwrap());
    (here, there)
}

async fn send(app: &App, command: &Slow) -> Result<Answer, CommandError> {
    app.command(context("sari", "request-1"), command.clone())
        .await
}

/// Sends it from a task of its own, and waits until it is being worked out.
async fn begin(app: &App, command: &Slow) -> tokio::task::JoinHandle<Result<Answer, CommandError>> {
    let (app, sent, before) = (app.clone(), command.clone(), command.runs());
    let task = tokio::spawn(async move { send(&app, &sent).await });
    while command.runs() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    task
}

async fn events(app: &App) -> u64 {
    app.store.head(STREAM).await.unwrap().seq
}

#[tokio::test]
async fn of_two_hosts_one_works_a_request_out() {
    let redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let command = Slow::default();
    let (one, other) = tokio::join!(send(&here, &command), send(&there, &command));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((&one.body, command.runs()), (&other.body, 1));
    assert!(one.replayed != other.replayed);
    assert_eq!(events(&here).await, 1);
}

#[tokio::test]
async fn without_redis_both_may_work_it_out_and_one_takes_effect() {
    let gone = RedisServer::start().url();
    for redis_url in [None, Some(gone)] {
        let (here, there) = hosts(redis_url).await;
        let command = Slow::default();
        let (one, other) = tokio::join!(send(&here, &command), send(&there, &command));
        assert_eq!(one.unwrap().body, other.unwrap().body);
        assert!(command.runs() >= 2);
        assert_eq!(events(&here).await, 1);
    }
}

#[tokio::test]
async fn a_key_that_is_used_again_for_something_else_is_refused_by_every_host() {
    let redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let command = Slow::default();
    send(&here, &command).await.unwrap();
    let mut other = context("sari", "request-1");
    other.request_digest = "another body".into();
    let (stranger, same) = (context("wati", "request-1"), context("sari", "request-1"));
    let refused = there.command(other, command.clone()).await;
    assert!(
        matches!(refused, Err(CommandError::KeyReused)),
        "{refused:?}"
    );
    let refused = there.command(stranger, command.clone()).await;
    assert!(
        matches!(refused, Err(CommandError::KeyTaken)),
        "{refused:?}"
    );
    let again = there.command(same, command.clone()).await.unwrap();
    assert!(again.replayed);
    assert_eq!((command.runs(), events(&here).await), (1, 1));
}

#[tokio::test]
async fn redis_killed_in_the_middle_of_a_command_leaves_one_effect() {
    let mut redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let go_on = Arc::new(Notify::new());
    let command = Slow::held(&go_on);
    let first = begin(&here, &command).await;
    redis.kill();
    let second = send(&there, &command).await.unwrap();
    go_on.notify_one();
    let first = first.await.unwrap().unwrap();
    assert_eq!((first.body, first.replayed), (second.body, true));
    assert_eq!((command.runs(), events(&here).await), (2, 1));
}

#[tokio::test]
async fn a_host_whose_turn_was_lost_stands_back_for_the_one_that_has_it() {
    let redis = RedisServer::start();
    // A turn is lost late: after longer than anybody waits for one.
    let (here, there) = patient_hosts(Some(redis.url()), 1_000).await;
    let (held, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (command, second) = (Slow::held(&held), Slow::held(&other));
    let first_task = begin(&here, &command).await;
    let key = redis.cli(&["KEYS", "gotong:{turns}:????????????????*"]);
    let first: u64 = redis.cli(&["GET", &key]).parse().unwrap();
    assert_eq!(redis.cli(&["FLUSHALL"]), "OK");
    let second_task = begin(&there, &second).await;
    let later: u64 = redis.cli(&["GET", &key]).parse().unwrap();
    assert!(later > first, "{later} after {first}, over FLUSHALL");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    // The first host is through first, and does not commit: the turn is the other's.
    held.notify_one();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(events(&here).await, 0);
    other.notify_one();
    let second_answer = second_task.await.unwrap().unwrap();
    let first_answer = first_task.await.unwrap().unwrap();
    assert!(!second_answer.replayed && first_answer.replayed);
    assert_eq!(first_answer.body, second_answer.body);
    assert_eq!(events(&here).await, 1);
    assert_eq!((command.runs(), second.runs()), (1, 1));
}

#[tokio::test]
async fn a_turn_that_ran_out_unnoticed_is_still_held() {
    let redis = RedisServer::start();
    let (here, _) = hosts(Some(redis.url())).await;
    let go_on = Arc::new(Notify::new());
    let command = Slow::held(&go_on);
    let first = begin(&here, &command).await;
    redis.cli(&["FLUSHALL"]);
    go_on.notify_one();
    assert!(!first.await.unwrap().unwrap().replayed);
    assert_eq!((command.runs(), events(&here).await), (1, 1));
}

#[tokio::test]
async fn the_turn_of_a_host_that_died_ends_by_itself() {
    let redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let request = format!("{STREAM}\nrequest-1");
    let end = Instant::now() + Duration::from_secs(1);
    let dead = here.turns.take(&request, end).await;
    assert!(matches!(dead, Some(Turn::Ours(_))));
    let command = Slow::default();
    let started = Instant::now();
    let refused = send(&there, &command).await;
    assert!(
        matches!(refused, Err(CommandError::StillRunning)),
        "{refused:?}"
    );
    let waited = started.elapsed().as_millis();
    assert!((1_500..3_500).contains(&waited), "{waited} ms");
    while send(&there, &command).await.is_err() {}
    let waited = started.elapsed().as_secs();
    assert!(waited <= 8, "{waited} s");
    assert_eq!((command.runs(), events(&here).await), (1, 1));
}

#[tokio::test]
async fn a_turn_is_given_back_by_a_command_that_panics() {
    let redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let panics = Slow {
        panics: true,
        ..Slow::default()
    };
    let broken = send(&here, &panics).await;
    assert!(matches!(broken, Err(CommandError::Fault(_))), "{broken:?}");
    let started = Instant::now();
    send(&there, &Slow::default()).await.unwrap();
    let took = started.elapsed().as_millis();
    assert!(took < 1_500, "{took} ms");
}

#[tokio::test]
async fn a_repeated_request_waits_once_for_both_locks() {
    let redis = RedisServer::start();
    let (here, _) = hosts(Some(redis.url())).await;
    let context = context("sari", "request-1");
    let request = format!("{STREAM}\n{}", context.request_id);
    let end = Instant::now() + Duration::from_secs(1);
    let _elsewhere = here.turns.take(&request, end).await.unwrap();
    let running = here.requests.lock(&request).await;
    let (started, command) = (Instant::now(), Slow::default());
    let (refused, ()) = tokio::join!(send(&here, &command), async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        drop(running);
    });
    assert!(
        matches!(refused, Err(CommandError::StillRunning)),
        "{refused:?}"
    );
    let waited = started.elapsed().as_millis();
    assert!((1_700..2_600).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn what_is_not_kept_is_worked_out_again() {
    let redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let command = Slow {
        is_missing: true,
        ..Slow::default()
    };
    for app in [&here, &there, &here] {
        let answer = send(app, &command).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(!answer.replayed);
    }
    assert_eq!(command.runs(), 3);
}

#[tokio::test]
async fn a_redis_that_hangs_holds_a_command_up_for_a_moment_only() {
    let redis = RedisServer::start();
    let (here, there) = hosts(Some(redis.url())).await;
    let go_on = Arc::new(Notify::new());
    let command = Slow::held(&go_on);
    let first = begin(&here, &command).await;
    redis.freeze();
    let started = Instant::now();
    go_on.notify_one();
    let (first, second) = (first.await.unwrap(), send(&there, &command).await);
    let took = started.elapsed().as_millis();
    redis.resume();
    assert_eq!(first.unwrap().body, second.unwrap().body);
    assert!(took < 2_000, "{took} ms");
    assert_eq!(events(&here).await, 1);
}

/// How many questions both hosts asked their modules.
fn questions(hosts: [&App; 2]) -> u64 {
    let asked = |app: &App| {
        let cache = app.rulings.as_ref().unwrap();
        cache.hits() + cache.misses()
    };
    hosts.into_iter().map(asked).sum()
}

const REQUESTS: u64 = 24;

/// Sends each request to both hosts at once, over HTTP. Returns how many times a request's questions were asked of the
/// modules, on the whole: one that was sent to one host alone says how many questions that is.
async fn raced_over_http(redis_url: Option<String>, between: impl AsyncFn(u64)) -> f64 {
    let (here, there) = hosts(redis_url).await;
    let actor = Actor {
        user_id: "sari".into(),
        username: "Sari".into(),
        role: gotong_engine::types::TokenRole::User,
    };
    let auth = &here.config.auth;
    let token = sign(auth, auth.hs256_secret.as_ref().unwrap(), &actor, 600).unwrap();
    let servers = [
        Server::of(here.clone()).await.unwrap(),
        Server::of(there.clone()).await.unwrap(),
    ];
    let client = Client::new();
    let share = async |server: &Server, n: u64| {
        let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"});
        let request = client
            .post(format!("http://{}/v1/entities", server.address))
            .bearer_auth(&token)
            .header("Idempotency-Key", format!("raced-request-{n}"))
            .json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.text().await.unwrap()
    };
    share(&servers[0], 0).await;
    let each = questions([&here, &there]);
    for n in 1..=REQUESTS {
        between(n).await;
        let (one, other) = tokio::join!(share(&servers[0], n), share(&servers[1], n));
        assert_eq!(one, other, "one answer");
    }
    let counts = here.store.counts().await.unwrap();
    assert_eq!(
        (counts.streams, counts.events, counts.responses),
        (REQUESTS + 1, REQUESTS + 1, REQUESTS + 1)
    );
    let asked = questions([&here, &there]) - each;
    for server in servers {
        server.stop().await.unwrap();
    }
    asked as f64 / each as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hosts_raced_over_http_have_one_effect_and_work_it_out_once() {
    let redis = RedisServer::start();
    let with = raced_over_http(Some(redis.url()), async |_| {}).await;
    let without = raced_over_http(None, async |_| {}).await;
    println!(
        "{REQUESTS} requests, each to two hosts: worked out {with} times with Redis, {without} times without"
    );
    assert_eq!(with, REQUESTS as f64);
    assert!(without >= with);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hosts_raced_over_http_have_one_effect_whatever_becomes_of_redis() {
    let redis = std::sync::Mutex::new(RedisServer::start());
    let url = redis.lock().unwrap().url();
    raced_over_http(Some(url), async |n| {
        let mut redis = redis.lock().unwrap();
        match n % 6 {
            1 => redis.kill(),
            4 => redis.restart(),
            _ => {
                redis.cli(&["FLUSHALL"]);
            }
        }
    })
    .await;
}
