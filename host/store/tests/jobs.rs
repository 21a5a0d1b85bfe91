//! The queue: a job runs until its work is committed, by one worker at a time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{append, engines};
use gotong_store::{AfterFailure, Commit, Job, JobChange, JobState, Store};
use serde_json::json;

fn job(job_id: &str, due_at_ms: i64) -> Job {
    Job {
        job_id: job_id.to_owned(),
        kind: "close_gate".to_owned(),
        stream: "entity:a".to_owned(),
        due_at_ms,
        payload: json!({"transition_id": "t", "nested": {"list": [1, {"two": null}]}}),
    }
}

async fn change(store: &Store, jobs: Vec<JobChange>) {
    store
        .commit(&Commit {
            jobs,
            ..Commit::default()
        })
        .await
        .unwrap();
}

async fn due(store: &Store, now_ms: i64) -> Vec<String> {
    store
        .jobs()
        .due(now_ms, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|job| job.job_id)
        .collect()
}

#[tokio::test]
async fn jobs_become_due_in_order_and_not_before() {
    for engine in engines().await {
        let store = &engine.store;
        change(
            store,
            vec![
                JobChange::Schedule(job("late", 30)),
                JobChange::Schedule(job("timer:t:10", 10)),
            ],
        )
        .await;
        change(store, vec![JobChange::Schedule(job("middle", 20))]).await;
        assert_eq!(due(store, 9).await, Vec::<String>::new());
        assert_eq!(due(store, 20).await, ["timer:t:10", "middle"]);
        assert_eq!(store.jobs().next_due().await.unwrap(), Some(10));
        let row = store.jobs().get("timer:t:10").await.unwrap().unwrap();
        assert_eq!(
            (row.payload, row.state, row.attempts),
            (job("x", 0).payload, JobState::Pending, 0)
        );
    }
}

#[tokio::test]
async fn scheduling_again_changes_nothing_even_when_it_is_over() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        change(store, vec![JobChange::Schedule(job("j", 99))]).await;
        assert_eq!(store.jobs().next_due().await.unwrap(), Some(10));
        let finish = Commit {
            jobs: vec![JobChange::Finish {
                job_id: "j".to_owned(),
            }],
            ..append("entity:a", 0)
        };
        store.commit(&finish).await.unwrap();
        change(store, vec![JobChange::Schedule(job("j", 50))]).await;
        assert_eq!(store.jobs().next_due().await.unwrap(), None);
        assert_eq!(
            store.jobs().get("j").await.unwrap().unwrap().state,
            JobState::Done
        );
        assert_eq!(store.counts().await.unwrap().jobs_waiting, 0);
    }
}

#[tokio::test]
async fn a_lease_keeps_others_away_until_it_ends() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        let jobs = store.jobs();
        assert!(!jobs.claim("j", "early", 9, 100).await.unwrap());
        assert!(!jobs.claim("unknown", "anyone", 9, 100).await.unwrap());
        assert!(jobs.claim("j", "first", 10, 100).await.unwrap());
        assert!(!jobs.claim("j", "second", 11, 100).await.unwrap());
        assert_eq!(
            (due(store, 109).await, jobs.next_due().await.unwrap()),
            (vec![], Some(110))
        );
        // The first worker died without a word.
        assert_eq!(due(store, 110).await, ["j"]);
        assert!(jobs.claim("j", "second", 110, 100).await.unwrap());
        assert!(
            !jobs
                .release_failed("j", "first", "late", AfterFailure::Dead)
                .await
                .unwrap()
        );
        let row = jobs.get("j").await.unwrap().unwrap();
        assert_eq!(
            (row.attempts, row.lease_owner.as_deref()),
            (2, Some("second"))
        );
    }
}

#[tokio::test]
async fn a_failed_job_comes_back_or_is_given_up() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        let jobs = store.jobs();
        assert!(jobs.claim("j", "w", 10, 5).await.unwrap());
        assert!(
            jobs.release_failed("j", "w", "no luck", AfterFailure::RetryAt(40))
                .await
                .unwrap()
        );
        assert_eq!(
            (due(store, 39).await, due(store, 40).await),
            (vec![], vec!["j".to_owned()])
        );
        assert!(jobs.claim("j", "w", 40, 5).await.unwrap());
        assert!(
            jobs.release_failed("j", "w", "hopeless", AfterFailure::Dead)
                .await
                .unwrap()
        );
        let row = jobs.get("j").await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.last_error.as_deref()),
            (JobState::Dead, Some("hopeless"))
        );
        assert_eq!(jobs.next_due().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_cancelled_job_is_never_due() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        change(
            store,
            vec![JobChange::Cancel {
                job_id: "j".to_owned(),
            }],
        )
        .await;
        change(
            store,
            vec![JobChange::Cancel {
                job_id: "unknown".to_owned(),
            }],
        )
        .await;
        assert_eq!(due(store, 100).await, Vec::<String>::new());
        assert!(!store.jobs().claim("j", "w", 100, 5).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_workers_one_gets_the_job() {
    for engine in engines().await {
        for round in 0..10 {
            let job_id = format!("j{round}");
            change(&engine.store, vec![JobChange::Schedule(job(&job_id, 10))]).await;
            let mut tasks = tokio::task::JoinSet::new();
            for worker in 0..8 {
                let (store, job_id) = (engine.store.clone(), job_id.clone());
                tasks.spawn(async move {
                    store
                        .jobs()
                        .claim(&job_id, &format!("w{worker}"), 10, 100)
                        .await
                        .unwrap()
                });
            }
            let claimed = tasks
                .join_all()
                .await
                .into_iter()
                .filter(|got| *got)
                .count();
            assert_eq!(claimed, 1, "{}", engine.name);
            let row = engine.store.jobs().get(&job_id).await.unwrap().unwrap();
            assert_eq!(row.attempts, 1);
        }
    }
}
