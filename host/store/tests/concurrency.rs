//! Concurrent commits: each one that was acknowledged counts, and none rests on facts that changed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{append, engines, reading};
use gotong_store::{Commit, CommitError, Key, RowChange, Store};
use serde_json::{Value, json};

const TASKS: usize = 16;
const COMMITS_EACH: usize = 12;
const STREAMS: [&str; 3] = ["entity:a", "entity:b", "entity:c"];

/// Tries until it is committed, as the host does; returns how often it had to try again.
async fn persist(store: &Store, stream: &str) -> usize {
    for tries in 0..10_000 {
        let version = store.head(stream).await.unwrap().seq;
        match store.commit(&append(stream, version)).await {
            Ok(()) => return tries,
            Err(error) if error.is_retryable() => tokio::task::yield_now().await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("starved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_tasks_on_three_hot_streams_lose_nothing() {
    for engine in engines().await {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let store = engine.store.clone();
            tasks.spawn(async move {
                let mut again = 0;
                for i in 0..COMMITS_EACH {
                    again += persist(&store, STREAMS[(task + i) % STREAMS.len()]).await;
                }
                again
            });
        }
        let again: usize = tasks.join_all().await.into_iter().sum();

        let mut total = 0;
        for stream in STREAMS {
            let events = engine.store.events(stream, 0, 10_000).await.unwrap();
            let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
            assert_eq!(
                seqs,
                (1..=events.len() as u64).collect::<Vec<_>>(),
                "{}: no gap",
                engine.name
            );
            assert_eq!(
                engine.store.head(stream).await.unwrap().seq,
                events.len() as u64
            );
            total += events.len();
        }
        assert_eq!(
            total,
            TASKS * COMMITS_EACH,
            "{}: each acknowledged commit counts",
            engine.name
        );
        println!("{}: {again} tries again for {total} commits", engine.name);
    }
}

/// Snapshot isolation alone would let both through: each writes only what the other reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_commits_that_rely_on_each_others_stream_cannot_both_hold() {
    for engine in engines().await {
        for round in 0..60 {
            let (a, b) = (format!("entity:a{round}"), format!("entity:b{round}"));
            let left = reading(append(&a, 0), &b, 0);
            let right = reading(append(&b, 0), &a, 0);
            let (left, right) =
                tokio::join!(spawn(&engine.store, left), spawn(&engine.store, right));
            let held = [&left, &right]
                .into_iter()
                .filter(|outcome| outcome.is_ok())
                .count();
            // The embedded engines write one after the other: whoever comes second finds its facts changed.
            assert_eq!(
                held, 1,
                "{}: {held} of two held in round {round}",
                engine.name
            );
            for refused in [left, right].into_iter().filter_map(Result::err) {
                assert!(refused.is_retryable(), "{refused:?}");
            }
            let heads = engine.store.heads(&[&a, &b]).await.unwrap();
            let mut versions: Vec<u64> = heads.into_values().map(|head| head.seq).collect();
            versions.sort_unstable();
            assert_eq!(versions, [0, 1], "{}: one event in all", engine.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_value_of_a_unique_index_is_taken_once() {
    for engine in engines().await {
        let store = &engine.store;
        store
            .read(
                "DEFINE TABLE vote SCHEMALESS; DEFINE INDEX one_vote ON vote FIELDS person UNIQUE",
            )
            .await
            .unwrap();
        for round in 0..20 {
            let mut tasks = tokio::task::JoinSet::new();
            for i in 0..8 {
                let row = json!({"person": format!("person {round}")});
                let change =
                    RowChange::create(Key::new("vote", format!("{round}-{i}")), &row).unwrap();
                let commit = Commit {
                    rows: vec![change],
                    ..Commit::default()
                };
                let store = store.clone();
                tasks.spawn(async move { store.commit(&commit).await });
            }
            let held = tasks
                .join_all()
                .await
                .into_iter()
                .filter(Result::is_ok)
                .count();
            assert_eq!(
                held, 1,
                "{}: {held} votes of one person in round {round}",
                engine.name
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_of_one_request_have_one_effect() {
    for engine in engines().await {
        let store = &engine.store;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let commit = Commit {
                response: Some(common::response("entity:a", "r")),
                ..append("entity:a", 0)
            };
            let store = store.clone();
            tasks.spawn(async move { store.commit(&commit).await });
        }
        let outcomes = tasks.join_all().await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{}",
            engine.name
        );
        for refused in outcomes.into_iter().filter_map(Result::err) {
            assert!(
                refused.is_retryable() || matches!(refused, CommitError::Duplicate),
                "{refused:?}"
            );
        }
        let events: Vec<Value> = store
            .read("SELECT * FROM event")
            .await
            .unwrap()
            .take(0)
            .unwrap();
        assert_eq!(events.len(), 1);
    }
}

fn spawn(store: &Store, commit: Commit) -> impl Future<Output = Result<(), CommitError>> + use<> {
    let store = store.clone();
    let task = tokio::spawn(async move { store.commit(&commit).await });
    async move { task.await.unwrap() }
}

/// A request that timed out must not leave a second writer beside its transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_go_away_lose_nothing_either() {
    for engine in engines().await {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let store = engine.store.clone();
            tasks.spawn(async move {
                for i in 0..COMMITS_EACH {
                    let stream = STREAMS[(task + i) % STREAMS.len()];
                    let given_up = tokio::time::Duration::from_micros(300);
                    let _ = tokio::time::timeout(given_up, persist(&store, stream)).await;
                }
            });
        }
        tasks.join_all().await;
        for stream in STREAMS {
            persist(&engine.store, stream).await;
            let events = engine.store.events(stream, 0, 10_000).await.unwrap();
            let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
            assert_eq!(
                seqs,
                (1..=events.len() as u64).collect::<Vec<_>>(),
                "{}",
                engine.name
            );
            assert_eq!(
                engine.store.head(stream).await.unwrap().seq,
                events.len() as u64
            );
        }
    }
}
