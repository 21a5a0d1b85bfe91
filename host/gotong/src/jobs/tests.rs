//! Workers of one store, each a host that knows nothing of the other but what the store and Redis say.

mod redis;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use gotong_store::{
    AfterFailure, Commit, Due, Job, JobChange, JobRow, JobState, Key, Lease, RowChange,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

use super::back_off::BackOff;
use super::kind::{Claimed, JobError};
use super::{Attempts, Kind, Kinds, work};
use crate::app::App;
use crate::command::Command;
use crate::command::refusal::{Fault, Refusal};
use crate::command::work::Work;
use crate::config::Config;
use crate::http::auth::Tokens;
use crate::ledger::event::{Event, EventKind};
use crate::request::Actor;
use crate::testing::{app_with, config, context};

const LEASE_MS: i64 = 600;

/// Leaves one event behind, in a stream of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Ring {
    stream: String,
}

impl Command for Ring {
    type Output = ();

    fn scope(&self, _: &Actor) -> String {
        self.stream.clone()
    }

    async fn run(&self, work: &mut Work) -> Result<(), Refusal> {
        work.watch(&self.stream).await?;
        work.append(&self.stream, Event::new(EventKind::EntityShared, json!({})))?;
        Ok(())
    }
}

/// Is never done.
#[derive(Debug, Deserialize)]
struct Fail {}

impl Command for Fail {
    type Output = ();

    fn scope(&self, _: &Actor) -> String {
        "fail".to_owned()
    }

    async fn run(&self, _: &mut Work) -> Result<(), Refusal> {
        Err(Fault::Broken("this always fails".into()).into())
    }
}

/// Sets jobs.
struct Set(Vec<Job>);

impl Command for Set {
    type Output = ();

    fn scope(&self, _: &Actor) -> String {
        "set".to_owned()
    }

    async fn run(&self, work: &mut Work) -> Result<(), Refusal> {
        for job in &self.0 {
            work.schedule(job.clone());
        }
        Ok(())
    }
}

const TRIES: u32 = 3;
const QUICK: BackOff = BackOff {
    base_ms: 1_000,
    max_ms: 1_500,
};

/// Kinds of these tests. What is slow waits until it is told to go on.
fn kinds(go_on: &Arc<Notify>) -> Kinds {
    let tries = Attempts::AtMost(NonZeroU32::new(TRIES).unwrap());
    let go_on = go_on.clone();
    let slow = move |app: App, claimed: Claimed| {
        let go_on = go_on.clone();
        async move {
            go_on.notified().await;
            let ring = Ring {
                stream: claimed.job.stream.clone(),
            };
            app.command(claimed.context(&app), ring).await?;
            Ok::<(), JobError>(())
        }
        .boxed()
    };
    let endless = |_: App, _: Claimed| std::future::pending().boxed();
    let panics = |_: App, _: Claimed| async { panic!("as it was told to") }.boxed();
    Kinds::new([
        Kind::command::<Ring>("ring", Attempts::NeverGivenUp),
        Kind::command::<Fail>("fail", tries).backing_off(QUICK),
        Kind::new("panic", tries, panics).backing_off(QUICK),
        Kind::new("slow", Attempts::NeverGivenUp, slow).within(Duration::from_secs(30)),
        Kind::new("endless", tries, endless)
            .backing_off(QUICK)
            .within(Duration::from_millis(200)),
    ])
}

fn short_leases() -> Config {
    let mut config = config();
    config.jobs.lease_ms = LEASE_MS;
    config.limits.request_timeout_ms = 500;
    config
}

async fn host_of(config: Config) -> (App, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    (app_with(config, kinds(&go_on)).await, go_on)
}

async fn host() -> (App, Arc<Notify>) {
    host_of(short_leases()).await
}

fn beside(app: &App) -> App {
    app.beside(Tokens::new(&app.config.auth).unwrap())
}

fn job(kind: &str, job_id: &str, due_at_ms: i64) -> Job {
    Job {
        job_id: job_id.to_owned(),
        kind: kind.to_owned(),
        stream: format!("of-{job_id}"),
        due_at_ms,
        payload: json!({"stream": format!("of-{job_id}")}),
        correlation_id: None,
    }
}

async fn set(app: &App, jobs: Vec<Job>) {
    let key = uuid::Uuid::now_v7().to_string();
    app.command(context("sari", &key), Set(jobs)).await.unwrap();
}

/// A job that is due now.
async fn set_one(app: &App, kind: &str) -> String {
    let job_id = format!("{kind}-1");
    set(app, vec![job(kind, &job_id, app.clock.now_ms())]).await;
    job_id
}

async fn row(app: &App, job_id: &str) -> JobRow {
    app.store.jobs().get(job_id).await.unwrap().unwrap()
}

async fn effects(app: &App, job_id: &str) -> u64 {
    app.store.head(&format!("of-{job_id}")).await.unwrap().seq
}

/// A worker that runs until it is dropped.
struct Worker(tokio::task::JoinHandle<()>);

fn worker(app: &App) -> Worker {
    Worker(tokio::spawn(work(app.clone(), std::future::pending())))
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn until<F: Future<Output = bool>>(seconds: u64, what: &str, mut holds: impl FnMut() -> F) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds().await {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_done(app: &App, job_id: &str) {
    until(10, job_id, async || {
        row(app, job_id).await.state == JobState::Done
    })
    .await;
}

#[tokio::test]
async fn a_job_knows_its_request_and_the_one_that_set_it() {
    let (app, _) = host().await;
    let job_id = set_one(&app, "ring").await;
    assert_eq!(app.run_due_jobs().await.unwrap(), 1);
    let done = row(&app, &job_id).await;
    assert_eq!(
        (done.state, done.attempts, done.correlation_id.as_deref()),
        (JobState::Done, 1, Some("correlation"))
    );
    let answer = app.store.response("of-ring-1", "timer:ring-1").await;
    assert!(answer.unwrap().is_some(), "under an id made from the job's");
    let events = app.store.events_after(None, 10).await.unwrap();
    assert!(events[0].body.contains(r#""correlation_id":"correlation""#));
    assert_eq!(super::request_id("timer:t:10"), "timer:t:10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hosts_one_runs_a_job() {
    let (here, _) = host().await;
    let there = beside(&here);
    let now_ms = here.clock.now_ms();
    let ids: Vec<String> = (0..60).map(|n| format!("ring-{n}")).collect();
    set(
        &here,
        ids.iter().map(|id| job("ring", id, now_ms)).collect(),
    )
    .await;
    let (one, other) = tokio::join!(here.run_due_jobs(), there.run_due_jobs());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one + other, 60, "{one} here, {other} there");
    for id in &ids {
        let job = row(&here, id).await;
        assert_eq!((job.state, job.attempts), (JobState::Done, 1), "{id}");
        assert_eq!(effects(&here, id).await, 1, "{id}");
    }
}

#[tokio::test]
async fn a_job_longer_than_its_lease_keeps_it() {
    let (app, go_on) = host().await;
    let job_id = set_one(&app, "slow").await;
    let (_one, _other) = (worker(&app), worker(&beside(&app)));
    tokio::time::sleep(Duration::from_millis(LEASE_MS.unsigned_abs() * 4)).await;
    let held = row(&app, &job_id).await;
    assert_eq!((held.state, held.attempts), (JobState::Pending, 1));
    assert!(held.lease_until_ms.unwrap() > app.clock.now_ms());
    go_on.notify_waiters();
    until_done(&app, &job_id).await;
    let done = row(&app, &job_id).await;
    assert_eq!((done.attempts, effects(&app, &job_id).await), (1, 1));
}

/// Takes a job and does nothing about it.
async fn ghost(app: &App, job_id: &str) -> Lease {
    let now_ms = app.clock.now_ms();
    let jobs = app.store.jobs();
    let place = Due {
        wake_at_ms: row(app, job_id).await.wake_at_ms,
        job_id: job_id.to_owned(),
    };
    let claimed = jobs.claim(&place, "ghost", now_ms, LEASE_MS);
    claimed.await.unwrap().unwrap().lease().unwrap()
}

/// Places in the order of waking that are not their jobs' own.
async fn strew(app: &App, job_ids: &[&str], wake_at_ms: i64) {
    let places = job_ids.iter().map(|job_id| {
        let due = Due {
            wake_at_ms,
            job_id: (*job_id).to_owned(),
        };
        RowChange::create(Key::parts("job_due", (wake_at_ms, *job_id)), &due).unwrap()
    });
    let rows = places.collect();
    let commit = Commit {
        rows,
        ..Commit::default()
    };
    app.store.commit(&commit).await.unwrap();
}

#[tokio::test]
async fn places_that_are_not_their_jobs_own_hold_nothing_up() {
    let (app, _) = host().await;
    let over = set_one(&app, "ring").await;
    assert_eq!(app.run_due_jobs().await.unwrap(), 1);
    let now_ms = app.clock.now_ms();
    let strays: Vec<String> = (0..20).map(|n| format!("nobody-{n}")).collect();
    let mut strays: Vec<&str> = strays.iter().map(String::as_str).collect();
    strays.push(&over);
    strew(&app, &strays, now_ms - 60_000).await;
    set(&app, vec![job("ring", "ring-2", now_ms)]).await;
    let _worker = worker(&app);
    until_done(&app, "ring-2").await;
    until(5, "nothing waits", async || {
        let depth = app.store.jobs().depth(app.clock.now_ms()).await.unwrap();
        (depth.waiting, depth.due) == (0, 0)
    })
    .await;
    assert_eq!(
        (effects(&app, &over).await, row(&app, &over).await.attempts),
        (1, 1)
    );
}

#[tokio::test]
async fn a_worker_is_not_woken_for_what_is_due_later() {
    let (app, _) = host().await;
    let woken = async || {
        let bell = app.jobs.bell.notified();
        tokio::time::timeout(Duration::from_millis(100), bell)
            .await
            .is_ok()
    };
    let now_ms = app.clock.now_ms();
    set(&app, vec![job("ring", "later", now_ms + 60_000)]).await;
    assert!(!woken().await);
    set(&app, vec![job("ring", "now", now_ms)]).await;
    assert!(woken().await);
}

#[tokio::test]
async fn a_dead_worker_s_job_is_taken_over_when_its_lease_ends() {
    let (app, _) = host().await;
    let job_id = set_one(&app, "ring").await;
    ghost(&app, &job_id).await;
    let started = Instant::now();
    let _worker = worker(&app);
    until_done(&app, &job_id).await;
    let took = started.elapsed().as_millis();
    assert!((400..2_500).contains(&took), "after {took} ms");
    assert_eq!(row(&app, &job_id).await.attempts, 2);
    assert_eq!(effects(&app, &job_id).await, 1);
}

#[tokio::test]
async fn work_under_a_lost_lease_leaves_nothing() {
    let (app, go_on) = host().await;
    let job_id = set_one(&app, "slow").await;
    let first = worker(&app);
    until(5, "claimed", async || {
        row(&app, &job_id).await.attempts == 1
    })
    .await;
    // As after a pause of the whole process: the lease ends, and somebody else has the job.
    let lease = row(&app, &job_id).await.lease().unwrap();
    let retry = AfterFailure::RetryAt(0);
    let jobs = app.store.jobs();
    let back = jobs.release_failed(&lease, "paused", retry);
    assert!(back.await.unwrap());
    ghost(&app, &job_id).await;
    go_on.notify_waiters();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(effects(&app, &job_id).await, 0, "not under the old lease");
    drop(first);
    let _worker = worker(&beside(&app));
    until(5, "taken over", async || {
        go_on.notify_waiters();
        row(&app, &job_id).await.state == JobState::Done
    })
    .await;
    assert_eq!(effects(&app, &job_id).await, 1);
}

#[tokio::test]
async fn a_job_that_was_called_off_in_the_middle_has_no_effect() {
    let (app, go_on) = host().await;
    let job_id = set_one(&app, "slow").await;
    let _worker = worker(&app);
    until(5, "claimed", async || {
        row(&app, &job_id).await.attempts == 1
    })
    .await;
    let cancel = JobChange::Cancel {
        job_id: job_id.clone(),
        at_ms: 1,
    };
    let commit = Commit {
        jobs: vec![cancel],
        ..Commit::default()
    };
    app.store.commit(&commit).await.unwrap();
    go_on.notify_waiters();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(row(&app, &job_id).await.state, JobState::Cancelled);
    assert_eq!(effects(&app, &job_id).await, 0);
}

/// Runs a failing job to its end: the waits between its attempts are those that were computed beforehand.
async fn fails_to_the_end(kind: &str, error: &str) -> (App, String) {
    let (app, _) = host().await;
    let job_id = set_one(&app, kind).await;
    set(&app, vec![job("ring", "other", app.clock.now_ms())]).await;
    for attempt in 1..=TRIES {
        let before_ms = app.clock.now_ms();
        assert!(app.run_due_jobs().await.unwrap() >= 1);
        let failed = row(&app, &job_id).await;
        assert_eq!((failed.attempts, failed.lease_owner), (attempt, None));
        assert_eq!(failed.last_error.as_deref(), Some(error));
        if attempt < TRIES {
            let wait_ms = QUICK.wait_ms(&job_id, attempt);
            let since = failed.wake_at_ms - wait_ms;
            let during = before_ms..=app.clock.now_ms();
            assert!(during.contains(&since), "{since} in {during:?}");
            assert_eq!(app.run_due_jobs().await.unwrap(), 0, "not before its time");
            app.clock.advance(wait_ms.unsigned_abs());
        } else {
            assert_eq!(failed.state, JobState::Dead);
        }
    }
    app.clock.advance(1_000_000);
    assert_eq!(app.run_due_jobs().await.unwrap(), 0, "dead is dead");
    assert_eq!(effects(&app, "other").await, 1, "others are not held up");
    let depth = app.store.jobs().depth(app.clock.now_ms()).await.unwrap();
    assert_eq!((depth.dead, depth.waiting), (1, 0));
    (app, job_id)
}

#[tokio::test]
async fn a_job_that_fails_is_tried_so_often_and_then_dead() {
    fails_to_the_end("fail", "this always fails").await;
}

#[tokio::test]
async fn a_panic_is_a_failure_of_its_job_alone() {
    fails_to_the_end("panic", "it panicked").await;
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_a_failure() {
    fails_to_the_end("endless", "it took longer than 200 ms").await;
}

#[tokio::test]
async fn a_job_that_ends_its_workers_is_given_up_too() {
    let (app, _) = host().await;
    let job_id = set_one(&app, "fail").await;
    for _ in 0..TRIES {
        ghost(&app, &job_id).await;
        app.clock.advance(LEASE_MS.unsigned_abs());
    }
    app.run_due_jobs().await.unwrap();
    let dead = row(&app, &job_id).await;
    assert_eq!(dead.state, JobState::Dead);
    assert_eq!(
        dead.last_error.as_deref(),
        Some("its workers ended in the middle of it, 3 times")
    );
}

#[tokio::test]
async fn a_kind_that_this_host_does_not_know_is_left_to_others() {
    let (app, _) = host().await;
    let now_ms = app.clock.now_ms();
    let strange = (0..40).map(|n| job("strange", &format!("s{n:02}"), now_ms - 100));
    set(&app, strange.collect()).await;
    let known = set_one(&app, "ring").await;
    app.run_due_jobs().await.unwrap();
    assert_eq!(effects(&app, &known).await, 1, "behind forty strange ones");
    let left = row(&app, "s07").await;
    assert_eq!((left.state, left.attempts), (JobState::Pending, 0));
    assert!(left.last_error.unwrap().contains("no such kind"));
    assert!((1..=10_000).contains(&(left.wake_at_ms - app.clock.now_ms())));
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_a_failure() {
    let (app, _) = host().await;
    let mut unfit = job("ring", "unfit", app.clock.now_ms());
    unfit.payload = json!({"stream": 7});
    set(&app, vec![unfit]).await;
    app.run_due_jobs().await.unwrap();
    let failed = row(&app, "unfit").await;
    assert_eq!((failed.state, failed.attempts), (JobState::Pending, 1));
    let error = failed.last_error.unwrap();
    assert!(error.starts_with("the payload does not fit"), "{error}");
}

#[tokio::test]
async fn a_long_job_does_not_hold_up_the_others() {
    let (app, go_on) = host().await;
    let slow = set_one(&app, "slow").await;
    let _worker = worker(&app);
    until(5, "claimed", async || row(&app, &slow).await.attempts == 1).await;
    let quick = set_one(&app, "ring").await;
    until_done(&app, &quick).await;
    go_on.notify_waiters();
    until_done(&app, &slow).await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_what_it_has_in_hand() {
    let (app, go_on) = host().await;
    let slow = set_one(&app, "slow").await;
    let stop = Arc::new(Notify::new());
    let stopped = stop.clone();
    let running = tokio::spawn(work(app.clone(), async move { stopped.notified().await }));
    until(5, "claimed", async || row(&app, &slow).await.attempts == 1).await;
    stop.notify_one();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let late = set_one(&app, "ring").await;
    assert!(!running.is_finished());
    go_on.notify_waiters();
    running.await.unwrap();
    assert_eq!(row(&app, &slow).await.state, JobState::Done);
    assert_eq!(row(&app, &late).await.attempts, 0, "nothing new is begun");
}

#[tokio::test]
async fn more_jobs_than_slots_wait_for_their_turn() {
    let (now_running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (running, peak) = (now_running.clone(), most.clone());
    let kind = Kind::new("counted", Attempts::NeverGivenUp, move |app, claimed| {
        let (running, peak) = (running.clone(), peak.clone());
        async move {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            let stream = claimed.job.stream.clone();
            app.command(claimed.context(&app), Ring { stream }).await?;
            Ok(())
        }
        .boxed()
    });
    let mut config = short_leases();
    config.jobs.at_once = 3;
    let app = app_with(config, Kinds::new([kind])).await;
    let now_ms = app.clock.now_ms();
    let jobs = (0..12).map(|n| job("counted", &format!("c{n}"), now_ms));
    set(&app, jobs.collect()).await;
    let _worker = worker(&app);
    for n in 0..12 {
        until_done(&app, &format!("c{n}")).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
