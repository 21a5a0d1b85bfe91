//! The queue: a job runs until its work is committed, by one worker at a time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{append, engines};
use gotong_store::{
    AfterFailure, Commit, CommitError, Due, Job, JobChange, JobState, Key, LOOKED_AT, Lease, Moved,
    QueueDepth, RowChange, Store,
};
use serde_json::json;

fn job(job_id: &str, due_at_ms: i64) -> Job {
    Job {
        job_id: job_id.to_owned(),
        kind: "close_gate".to_owned(),
        stream: "entity:a".to_owned(),
        due_at_ms,
        payload: json!({"transition_id": "t", "nested": {"list": [1, {"two": null}]}}),
        correlation_id: Some("the-request".to_owned()),
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
    let due = store.jobs().waking(now_ms, None, 10).await.unwrap();
    due.into_iter().map(|due| due.job_id).collect()
}

/// Takes a job for 100 ms.
async fn claim(store: &Store, job_id: &str, owner: &str, now_ms: i64) -> Option<Lease> {
    let place = store.jobs().get(job_id).await.unwrap();
    let place = Due {
        wake_at_ms: place.map_or(now_ms, |job| job.wake_at_ms),
        job_id: job_id.to_owned(),
    };
    let claimed = store.jobs().claim(&place, owner, now_ms, 100).await;
    claimed.unwrap().map(|job| job.lease().unwrap())
}

fn finish(lease: &Lease) -> JobChange {
    JobChange::Finish {
        lease: lease.clone(),
        at_ms: 77,
    }
}

async fn commit(store: &Store, change: JobChange) -> Result<(), CommitError> {
    let jobs = vec![change];
    store
        .commit(&Commit {
            jobs,
            ..Commit::default()
        })
        .await
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
        assert_eq!(row.correlation_id.as_deref(), Some("the-request"));
    }
}

#[tokio::test]
async fn scheduling_again_changes_nothing_even_when_it_is_over() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        change(store, vec![JobChange::Schedule(job("j", 99))]).await;
        assert_eq!(store.jobs().next_due().await.unwrap(), Some(10));
        let lease = claim(store, "j", "w", 10).await.unwrap();
        let finish = Commit {
            jobs: vec![finish(&lease)],
            ..append("entity:a", 0)
        };
        store.commit(&finish).await.unwrap();
        change(store, vec![JobChange::Schedule(job("j", 50))]).await;
        assert_eq!(store.jobs().next_due().await.unwrap(), None);
        let row = store.jobs().get("j").await.unwrap().unwrap();
        assert_eq!((row.state, row.ended_at_ms), (JobState::Done, Some(77)));
        assert_eq!(store.counts().await.unwrap().jobs_waiting, 0);
    }
}

#[tokio::test]
async fn a_lease_keeps_others_away_until_it_ends() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        assert_eq!(claim(store, "j", "early", 9).await, None);
        assert_eq!(claim(store, "unknown", "anyone", 9).await, None);
        let first = claim(store, "j", "first", 10).await.unwrap();
        assert_eq!(claim(store, "j", "second", 11).await, None);
        let jobs = store.jobs();
        assert_eq!(
            (due(store, 109).await, jobs.next_due().await.unwrap()),
            (vec![], Some(110))
        );
        // The first worker died without a word.
        assert_eq!(due(store, 110).await, ["j"]);
        let second = claim(store, "j", "second", 110).await.unwrap();
        assert!(second.token > first.token, "{second:?}");
        let dead = jobs.release_failed(&first, "late", AfterFailure::Dead(111));
        assert!(!dead.await.unwrap());
        let row = jobs.get("j").await.unwrap().unwrap();
        assert_eq!(
            (row.attempts, row.lease_owner.as_deref()),
            (2, Some("second"))
        );
    }
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_kept() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        let jobs = store.jobs();
        let lease = claim(store, "j", "w", 10).await.unwrap();
        assert!(jobs.renew(&lease, 300).await.unwrap());
        assert_eq!(claim(store, "j", "other", 110).await, None);
        assert_eq!(
            (due(store, 299).await, due(store, 300).await),
            (vec![], vec!["j".to_owned()])
        );
        let other = claim(store, "j", "other", 300).await.unwrap();
        assert!(!jobs.renew(&lease, 900).await.unwrap());
        assert!(jobs.renew(&other, 900).await.unwrap());
        commit(store, finish(&other)).await.unwrap();
        assert!(!jobs.renew(&other, 999).await.unwrap());
        assert_eq!(jobs.next_due().await.unwrap(), None);
    }
}

#[tokio::test]
async fn work_under_a_lost_lease_commits_nothing() {
    for engine in engines().await {
        let store = &engine.store;
        let jobs = store.jobs();
        let work = |lease: &Lease| Commit {
            jobs: vec![finish(lease)],
            ..append("entity:a", 0)
        };
        let refused = async |lease: &Lease| match store.commit(&work(lease)).await {
            Err(CommitError::LeaseLost { job_id }) => job_id,
            other => panic!("{other:?}"),
        };
        for job_id in ["taken", "released", "cancelled", "kept"] {
            change(store, vec![JobChange::Schedule(job(job_id, 10))]).await;
        }
        let first = claim(store, "taken", "w", 10).await.unwrap();
        let same_worker = claim(store, "taken", "w", 110).await.unwrap();
        assert_eq!(refused(&first).await, "taken");
        let released = claim(store, "released", "w", 10).await.unwrap();
        let retry = AfterFailure::RetryAt(20);
        assert!(jobs.release_failed(&released, "", retry).await.unwrap());
        assert_eq!(refused(&released).await, "released");
        let cancelled = claim(store, "cancelled", "w", 10).await.unwrap();
        let cancel = JobChange::Cancel {
            job_id: "cancelled".to_owned(),
            at_ms: 11,
        };
        change(store, vec![cancel]).await;
        assert_eq!(refused(&cancelled).await, "cancelled");
        assert_eq!(store.counts().await.unwrap().events, 0);

        store.commit(&work(&same_worker)).await.unwrap();
        let twice = commit(store, finish(&same_worker)).await;
        assert!(
            matches!(twice, Err(CommitError::LeaseLost { .. })),
            "{twice:?}"
        );
        assert_eq!(store.counts().await.unwrap().events, 1);
    }
}

#[tokio::test]
async fn a_failed_job_comes_back_or_is_given_up() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        let jobs = store.jobs();
        let lease = claim(store, "j", "w", 10).await.unwrap();
        let then = AfterFailure::RetryAt(40);
        assert!(jobs.release_failed(&lease, "no luck", then).await.unwrap());
        assert!(!jobs.release_failed(&lease, "twice", then).await.unwrap());
        assert_eq!(
            (due(store, 39).await, due(store, 40).await),
            (vec![], vec!["j".to_owned()])
        );
        let lease = claim(store, "j", "w", 40).await.unwrap();
        let then = AfterFailure::Dead(41);
        assert!(jobs.release_failed(&lease, "hopeless", then).await.unwrap());
        let row = jobs.get("j").await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.last_error.as_deref(), row.ended_at_ms),
            (JobState::Dead, Some("hopeless"), Some(41))
        );
        assert_eq!(jobs.next_due().await.unwrap(), None);
        assert_eq!(jobs.dead(None, 10).await.unwrap().jobs, [row]);
        assert_eq!(jobs.dead(Some("j"), 10).await.unwrap().jobs, []);
    }
}

#[tokio::test]
async fn a_cancelled_job_is_never_due() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        for job_id in ["j", "unknown"] {
            let job_id = job_id.to_owned();
            change(store, vec![JobChange::Cancel { job_id, at_ms: 11 }]).await;
        }
        assert_eq!(due(store, 100).await, Vec::<String>::new());
        assert_eq!(claim(store, "j", "w", 100).await, None);
        let row = store.jobs().get("j").await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.ended_at_ms),
            (JobState::Cancelled, Some(11))
        );
    }
}

#[tokio::test]
async fn a_person_sets_a_dead_job_going_again_or_calls_it_off() {
    for engine in engines().await {
        let store = &engine.store;
        let jobs = store.jobs();
        for job_id in ["again", "off"] {
            change(store, vec![JobChange::Schedule(job(job_id, 10))]).await;
            let lease = claim(store, job_id, "w", 10).await.unwrap();
            let dead = jobs.release_failed(&lease, "no", AfterFailure::Dead(11));
            assert!(dead.await.unwrap());
        }
        let moved = |job_id: &str, from, token, to| JobChange::Move {
            job_id: job_id.to_owned(),
            from,
            token,
            to,
        };
        let (again, off) = (Moved::Retried(50), Moved::Cancelled(51));
        for (from, token) in [(JobState::Pending, Some(1)), (JobState::Dead, Some(9))] {
            let stale = commit(store, moved("again", from, token, again)).await;
            let job_moved =
                matches!(stale, Err(CommitError::JobMoved { ref job_id }) if job_id == "again");
            assert!(job_moved, "{stale:?}");
        }
        let dead = JobState::Dead;
        commit(store, moved("again", dead, Some(1), again))
            .await
            .unwrap();
        commit(store, moved("off", dead, Some(1), off))
            .await
            .unwrap();
        assert_eq!(jobs.dead(None, 10).await.unwrap().jobs, []);
        assert_eq!(
            (due(store, 49).await, due(store, 50).await),
            (vec![], vec!["again".to_owned()])
        );
        let row = jobs.get("again").await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.attempts, row.ended_at_ms),
            (JobState::Pending, 0, None)
        );
        let lease = claim(store, "again", "w", 50).await.unwrap();
        assert_eq!(lease.token, 2, "it rises still");
        let row = jobs.get("off").await.unwrap().unwrap();
        assert_eq!(
            (row.state, row.ended_at_ms),
            (JobState::Cancelled, Some(51))
        );
        // One that is worked on: the work can no longer be finished.
        let off = moved("again", JobState::Pending, Some(2), Moved::Cancelled(60));
        commit(store, off).await.unwrap();
        let late = commit(store, finish(&lease)).await;
        assert!(
            matches!(late, Err(CommitError::LeaseLost { .. })),
            "{late:?}"
        );
        assert_eq!(jobs.next_due().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_job_that_is_put_off_counts_no_attempt() {
    for engine in engines().await {
        let store = &engine.store;
        change(store, vec![JobChange::Schedule(job("j", 10))]).await;
        let jobs = store.jobs();
        let lease = claim(store, "j", "w", 10).await.unwrap();
        let put_off = AfterFailure::PutOff(50);
        let done = jobs.release_failed(&lease, "not mine", put_off);
        assert!(done.await.unwrap());
        assert_eq!(
            (due(store, 49).await, due(store, 50).await),
            (vec![], vec!["j".to_owned()])
        );
        let row = jobs.get("j").await.unwrap().unwrap();
        assert_eq!(
            (row.attempts, row.last_error.as_deref()),
            (0, Some("not mine"))
        );
    }
}

#[tokio::test]
async fn the_queue_is_listed_and_measured() {
    for engine in engines().await {
        let store = &engine.store;
        let jobs = store.jobs();
        assert_eq!(jobs.depth(5).await.unwrap(), QueueDepth::default());
        for (job_id, due_at_ms) in [("a", 30), ("b", 10), ("c", 20), ("d", 999_999), ("e", 15)] {
            change(store, vec![JobChange::Schedule(job(job_id, due_at_ms))]).await;
        }
        let lease = claim(store, "b", "w", 10).await.unwrap();
        let then = AfterFailure::RetryAt(25);
        assert!(jobs.release_failed(&lease, "no", then).await.unwrap());
        let lease = claim(store, "e", "w", 15).await.unwrap();
        let dead = jobs.release_failed(&lease, "no", AfterFailure::Dead(16));
        assert!(dead.await.unwrap());
        let depth = QueueDepth {
            waiting: 4,
            due: 2,
            dead: 1,
            lag_ms: 8,
            age_ms: 18,
        };
        assert_eq!(jobs.depth(28).await.unwrap(), depth);

        let ids = |listed: gotong_store::Listed| -> Vec<String> {
            let jobs = listed.jobs.into_iter();
            jobs.map(|row| row.job_id).collect()
        };
        assert_eq!(ids(jobs.pending(None, 3).await.unwrap()), ["c", "b", "a"]);
        let after = Due {
            wake_at_ms: 25,
            job_id: "b".to_owned(),
        };
        assert_eq!(
            ids(jobs.pending(Some(&after), 3).await.unwrap()),
            ["a", "d"]
        );
        let all = jobs.all(None, Some("a"), 3).await.unwrap();
        assert_eq!(ids(all), ["b", "c", "d"]);
        let dead = jobs.all(Some(JobState::Dead), None, 3).await.unwrap();
        assert_eq!(ids(dead), ["e"]);
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
                tasks.spawn(async move { claim(&store, &job_id, &format!("w{worker}"), 10).await });
            }
            let claimed = tasks.join_all().await.into_iter().flatten().count();
            assert_eq!(claimed, 1, "{}", engine.name);
            let row = engine.store.jobs().get(&job_id).await.unwrap().unwrap();
            assert_eq!(row.attempts, 1);
        }
    }
}

fn place(wake_at_ms: i64, job_id: &str) -> RowChange {
    let due = Due {
        wake_at_ms,
        job_id: job_id.to_owned(),
    };
    RowChange::create(Key::parts("job_due", (wake_at_ms, job_id)), &due).unwrap()
}

#[tokio::test]
async fn a_place_that_is_not_its_job_s_own_is_gone_when_it_was_found() {
    for engine in engines().await {
        let store = &engine.store;
        let jobs = store.jobs();
        for job_id in ["over", "elsewhere", "twice"] {
            change(store, vec![JobChange::Schedule(job(job_id, 10))]).await;
        }
        let lease = claim(store, "over", "w", 10).await.unwrap();
        commit(store, finish(&lease)).await.unwrap();
        let lease = claim(store, "elsewhere", "w", 10).await.unwrap();
        let then = AfterFailure::RetryAt(900);
        assert!(jobs.release_failed(&lease, "no", then).await.unwrap());
        let strays = ["over", "elsewhere", "twice", "nobody"];
        let rows = strays.map(|job_id| place(5, job_id)).to_vec();
        let strewn = Commit {
            rows,
            ..Commit::default()
        };
        store.commit(&strewn).await.unwrap();
        assert_eq!(
            due(store, 50).await,
            ["elsewhere", "nobody", "over", "twice", "twice"]
        );
        let found = jobs.waking(50, None, 4).await.unwrap();
        let mut claimed = Vec::new();
        for place in &found {
            let job = jobs.claim(place, "w", 50, 100).await.unwrap();
            claimed.extend(job.map(|job| job.job_id));
        }
        assert_eq!(claimed, ["twice"]);
        assert_eq!(due(store, 149).await, Vec::<String>::new());
        assert_eq!(due(store, 900).await, ["twice", "elsewhere"]);
        // A place that is its job's own stays, though it cannot be claimed yet.
        let own = jobs.waking(900, None, 2).await.unwrap();
        assert_eq!(jobs.claim(&own[1], "w", 60, 100).await.unwrap(), None);
        assert_eq!(due(store, 900).await, ["twice", "elsewhere"]);
        // A job whose own place was lost is found by another one, and has its own again.
        let lost = Key::parts("job_due", (900_u64, "elsewhere"));
        let strewn = Commit {
            rows: vec![place(5, "elsewhere"), RowChange::Delete { key: lost }],
            ..Commit::default()
        };
        store.commit(&strewn).await.unwrap();
        assert_eq!(due(store, 900).await, ["elsewhere", "twice"]);
        let stray = &jobs.waking(900, None, 1).await.unwrap()[0];
        assert_eq!(jobs.claim(stray, "w", 60, 100).await.unwrap(), None);
        assert_eq!(due(store, 899).await, ["twice"]);
        assert_eq!(due(store, 900).await, ["twice", "elsewhere"]);
    }
}

#[tokio::test]
async fn a_rare_state_is_looked_for_some_jobs_at_a_time() {
    for engine in engines().await {
        let store = &engine.store;
        let jobs = store.jobs();
        let all = (0..LOOKED_AT + 2).map(|n| JobChange::Schedule(job(&format!("j{n:05}"), 10)));
        change(store, all.collect()).await;
        let last = format!("j{:05}", LOOKED_AT + 1);
        let lease = claim(store, &last, "w", 10).await.unwrap();
        commit(store, finish(&lease)).await.unwrap();
        let first = jobs.all(Some(JobState::Done), None, 10).await.unwrap();
        assert_eq!(first.jobs, []);
        let next = first.next.unwrap().job_id;
        assert_eq!(next, format!("j{:05}", LOOKED_AT - 1));
        let second = jobs.all(Some(JobState::Done), Some(&next), 10).await;
        let second = second.unwrap();
        assert_eq!(
            (second.jobs[0].job_id.as_str(), second.jobs.len()),
            (last.as_str(), 1)
        );
        assert_eq!(second.next, None);
        let pages = jobs.all(Some(JobState::Pending), None, 2).await.unwrap();
        assert_eq!(pages.next.unwrap().job_id, "j00001");
        let pages = jobs.all(None, Some(&next), 2).await.unwrap();
        assert_eq!(pages.next.unwrap().job_id, last);
    }
}
