//! A login that may only read: whatever it tries to write is refused with a word, and leaves nothing.

use std::collections::BTreeMap;

use serde_json::json;

use crate::jobs::{AfterFailure, Due};
use crate::store::step_down;
use crate::{
    Commit, CommitError, EventRow, Job, JobChange, JobState, Key, Lease, Migrations, Moved,
    PrivateRow, RowChange, Store, StoreError, StoredResponse, Target,
};

const NOW: i64 = 1_000;

/// Where a job is found that is due.
fn place(job_id: &str) -> Due {
    Due {
        wake_at_ms: NOW,
        job_id: job_id.to_owned(),
    }
}

fn job(job_id: &str) -> Job {
    Job {
        job_id: job_id.to_owned(),
        kind: "gate_close".to_owned(),
        stream: "entity:a".to_owned(),
        due_at_ms: NOW,
        payload: json!({}),
        correlation_id: None,
    }
}

fn entity(title: &str) -> serde_json::Value {
    json!({ "title": title })
}

/// The host's work of a while: an event, a row, a job that is claimed, one that waits, one that is dead.
async fn worked(store: &Store) -> Lease {
    store
        .migrate(&Migrations::embedded().unwrap())
        .await
        .unwrap();
    store
        .read("DEFINE TABLE sample SCHEMALESS PERMISSIONS NONE")
        .await
        .unwrap();
    let commit = Commit {
        events: vec![event(1)],
        rows: vec![RowChange::Create {
            key: Key::new("sample", "there"),
            row: entity("first"),
        }],
        jobs: ["claimed", "waits", "dead"]
            .map(|id| JobChange::Schedule(job(id)))
            .into(),
        ..Commit::default()
    };
    store.commit(&commit).await.unwrap();
    let jobs = store.jobs();
    let dead = jobs
        .claim(&place("dead"), "w", NOW, 10)
        .await
        .unwrap()
        .unwrap();
    let dead = dead.lease().unwrap();
    let gave_up = jobs.release_failed(&dead, "no", AfterFailure::Dead(NOW));
    assert!(gave_up.await.unwrap());
    let claimed = jobs
        .claim(&place("claimed"), "w", NOW, 60_000)
        .await
        .unwrap();
    claimed.unwrap().lease().unwrap()
}

fn event(seq: u64) -> EventRow {
    EventRow {
        stream: "entity:a".to_owned(),
        seq,
        kind: "noted".to_owned(),
        at_ms: NOW,
        body: "{}".to_owned(),
        hash: format!("hash {seq}"),
    }
}

/// Each kind of change, alone.
fn changes(lease: &Lease) -> Vec<(&'static str, Commit)> {
    let key = |name: &str| Key::new("sample", name);
    let row = |change| Commit {
        rows: vec![change],
        ..Commit::default()
    };
    let of_job = |change| Commit {
        jobs: vec![change],
        ..Commit::default()
    };
    let moved = |job_id: &str, from, token, to| JobChange::Move {
        job_id: job_id.to_owned(),
        from,
        token,
        to,
    };
    let response = StoredResponse {
        scope: "entity:a".to_owned(),
        request_id: "request-1".to_owned(),
        actor: "sari".to_owned(),
        request_digest: "digest".to_owned(),
        status: 201,
        body: "{}".to_owned(),
        at_ms: NOW,
    };
    let private = PrivateRow {
        stream: "entity:a".to_owned(),
        seq: 9,
        fields: serde_json::Map::new(),
    };
    vec![
        (
            "an event",
            Commit {
                events: vec![event(2)],
                ..Commit::default()
            },
        ),
        (
            "private fields",
            Commit {
                private: vec![private],
                ..Commit::default()
            },
        ),
        (
            "an answer",
            Commit {
                response: Some(response),
                ..Commit::default()
            },
        ),
        (
            "a new row",
            row(RowChange::Create {
                key: key("new"),
                row: entity("x"),
            }),
        ),
        (
            "a whole row",
            row(RowChange::Put {
                key: key("there"),
                row: entity("x"),
            }),
        ),
        (
            "some fields",
            row(RowChange::Merge {
                key: key("there"),
                fields: entity("x"),
            }),
        ),
        ("no row", row(RowChange::delete(key("there")))),
        ("a job", of_job(JobChange::Schedule(job("new")))),
        (
            "a job's end",
            of_job(JobChange::Finish {
                lease: lease.clone(),
                at_ms: NOW,
            }),
        ),
        (
            "no job",
            of_job(JobChange::Cancel {
                job_id: "waits".to_owned(),
                at_ms: NOW,
            }),
        ),
        (
            "a job again",
            of_job(moved("dead", JobState::Dead, Some(1), Moved::Retried(NOW))),
        ),
        (
            "a job called off",
            of_job(moved(
                "waits",
                JobState::Pending,
                None,
                Moved::Cancelled(NOW),
            )),
        ),
    ]
}

async fn everything(store: &Store) -> BTreeMap<&'static str, Vec<serde_json::Value>> {
    let mut found = BTreeMap::new();
    for table in [
        "stream",
        "event",
        "event_private",
        "policy_decision",
        "idempotency",
        "job",
        "job_due",
        "job_dead",
        "sample",
    ] {
        let query = format!("SELECT * FROM {table}");
        let rows = store.read(&query).await.unwrap().take(0).unwrap();
        found.insert(table, rows);
    }
    found
}

/// A store in which the host has worked, and is a reader from now on.
async fn reader() -> (Store, Lease) {
    let store = Store::open_untouched(&Target::Memory).await.unwrap();
    let lease = worked(&store).await;
    step_down(store.session().db(), "Viewer").await.unwrap();
    (store, lease)
}

#[tokio::test]
async fn no_commit_of_a_reader_ends_well() {
    let (store, lease) = reader().await;
    let before = everything(&store).await;
    assert_eq!(before["job"].len(), 3);
    for (what, commit) in changes(&lease) {
        let ended = store.commit(&commit).await;
        assert!(
            matches!(ended, Err(CommitError::Store(StoreError::MayNotWrite))),
            "{what}: {ended:?}"
        );
    }
    let relied = Commit {
        reads: [("entity:a".to_owned(), 1)].into(),
        jobs: vec![JobChange::Cancel {
            job_id: "nobody's".to_owned(),
            at_ms: NOW,
        }],
        ..Commit::default()
    };
    let ended = store.commit(&relied).await;
    assert!(
        matches!(ended, Err(CommitError::Store(StoreError::MayNotWrite))),
        "a touched stream: {ended:?}"
    );
    assert_eq!(before, everything(&store).await);
}

#[tokio::test]
async fn the_same_commits_of_an_editor_do() {
    let store = Store::open_untouched(&Target::Memory).await.unwrap();
    let lease = worked(&store).await;
    step_down(store.session().db(), "Editor").await.unwrap();
    // The last cancels what another has cancelled before.
    let mut changes = changes(&lease);
    changes.retain(|(what, _)| *what != "no job");
    for (what, commit) in changes {
        store
            .commit(&commit)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
}

#[tokio::test]
async fn no_job_moves_for_a_reader() {
    let (store, lease) = reader().await;
    let before = everything(&store).await;
    let jobs = store.jobs();
    let refused = |error: Option<StoreError>| matches!(error, Some(StoreError::MayNotWrite));
    let claimed = jobs.claim(&place("waits"), "w", NOW, 60_000).await;
    assert!(refused(claimed.err()), "nobody claims a job");
    assert!(refused(jobs.renew(&lease, 90_000).await.err()));
    for then in [
        AfterFailure::RetryAt(9_000),
        AfterFailure::PutOff(9_000),
        AfterFailure::Dead(9_000),
    ] {
        let released = jobs.release_failed(&lease, "no", then).await;
        assert!(refused(released.err()), "{then:?}");
    }
    assert_eq!(before, everything(&store).await);
}

#[tokio::test]
async fn what_a_login_may_is_found_out_without_a_trace() {
    let store = Store::open_untouched(&Target::Memory).await.unwrap();
    worked(&store).await;
    let before = everything(&store).await;
    let access = async || -> Vec<serde_json::Value> {
        let mut rows = store
            .read("RETURN (INFO FOR DB STRUCTURE).accesses")
            .await
            .unwrap();
        rows.take(0).unwrap()
    };
    store.may_write().await.unwrap();
    store.may_admit().await.unwrap();
    assert!(access().await.is_empty(), "an owner's probe leaves nothing");
    assert_eq!(store.failures().others, 0, "it counts for no failure");

    step_down(store.session().db(), "Editor").await.unwrap();
    store.may_write().await.unwrap();
    assert!(store.may_admit().await.is_err());

    let (reader, _) = reader().await;
    assert!(matches!(
        reader.may_write().await,
        Err(StoreError::MayNotWrite)
    ));
    assert!(reader.may_admit().await.is_err());
    assert_eq!(reader.failures().others, 2);
    assert_eq!(before, everything(&store).await);
}
