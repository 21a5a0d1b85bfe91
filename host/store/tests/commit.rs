//! One commit is applied whole, or not at all and for a reason that can be told apart.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{append, decision, engines, event, reading, response};
use gotong_store::{Commit, CommitError, Head, Key, PrivateRow, RowChange, StoreError};
use serde_json::{Value, json};

#[tokio::test]
async fn everything_a_command_causes_is_there_together() {
    for engine in engines().await {
        let store = &engine.store;
        let commit = Commit {
            private: vec![PrivateRow {
                stream: "entity:a".to_owned(),
                seq: 1,
                fields: json!({"title": {"value": "Jalan rusak", "salt": "s"}})
                    .as_object()
                    .unwrap()
                    .clone(),
            }],
            decisions: vec![decision("d1")],
            response: Some(response("entity:a", "request-1")),
            ..append("entity:a", 0)
        };
        store.commit(&commit).await.unwrap();

        let head = Head {
            seq: 1,
            hash: "hash of entity:a 1".to_owned(),
        };
        assert_eq!(
            store.head("entity:a").await.unwrap(),
            head,
            "{}",
            engine.name
        );
        assert_eq!(
            store.events("entity:a", 0, 10).await.unwrap(),
            [event("entity:a", 1)]
        );
        assert_eq!(
            store.private("entity:a", 1).await.unwrap().as_ref(),
            Some(&commit.private[0].fields)
        );
        assert_eq!(store.decision("d1").await.unwrap(), Some(decision("d1")));
        assert_eq!(
            store.decisions_after(None, 10).await.unwrap(),
            [decision("d1")]
        );
        assert_eq!(
            store.response("entity:a", "request-1").await.unwrap(),
            commit.response
        );
        let counts = store.counts().await.unwrap();
        assert_eq!(
            (
                counts.streams,
                counts.events,
                counts.decisions,
                counts.responses
            ),
            (1, 1, 1, 1)
        );
    }
}

#[tokio::test]
async fn a_commit_on_stale_facts_names_the_stream_and_leaves_nothing() {
    for engine in engines().await {
        let store = &engine.store;
        store.commit(&append("entity:a", 0)).await.unwrap();

        let late = Commit {
            response: Some(response("entity:b", "r")),
            ..reading(append("entity:b", 0), "entity:a", 0)
        };
        let error = store
            .commit(&late)
            .await
            .expect_err("entity:a has moved on");
        assert!(
            matches!(&error, CommitError::Stale { stream } if stream == "entity:a"),
            "{error:?}"
        );
        assert!(error.is_retryable());
        assert_eq!(store.head("entity:b").await.unwrap(), Head::default());
        assert_eq!(store.response("entity:b", "r").await.unwrap(), None);

        let gone = store
            .commit(&append("entity:a", 0))
            .await
            .expect_err("event 1 exists");
        assert!(matches!(gone, CommitError::Stale { .. }), "{gone:?}");
        store
            .commit(&reading(append("entity:b", 0), "entity:a", 1))
            .await
            .unwrap();
        assert_eq!(
            store.head("entity:a").await.unwrap(),
            Head {
                seq: 1,
                hash: "hash of entity:a 1".to_owned()
            },
            "a touched head stays as it is"
        );
    }
}

#[tokio::test]
async fn a_stream_that_was_only_read_counts_as_no_stream() {
    for engine in engines().await {
        let store = &engine.store;
        store
            .commit(&reading(append("entity:b", 0), "entity:never", 0))
            .await
            .unwrap();
        assert_eq!(store.head("entity:never").await.unwrap(), Head::default());
        assert_eq!(store.counts().await.unwrap().streams, 1);
        store.commit(&append("entity:never", 0)).await.unwrap();
    }
}

#[tokio::test]
async fn one_request_is_answered_once() {
    for engine in engines().await {
        let store = &engine.store;
        let answered = |stream, version| Commit {
            response: Some(response("entity:a", "r")),
            ..append(stream, version)
        };
        store.commit(&answered("entity:a", 0)).await.unwrap();
        let error = store
            .commit(&answered("entity:c", 0))
            .await
            .expect_err("answered before");
        assert!(matches!(error, CommitError::Duplicate), "{error:?}");
        assert_eq!(store.head("entity:c").await.unwrap().seq, 0);
    }
}

#[tokio::test]
async fn rows_are_created_put_merged_and_deleted() {
    for engine in engines().await {
        let store = &engine.store;
        store.read("DEFINE TABLE thing SCHEMALESS").await.unwrap();
        let key = |id: &str| Key::parts("thing", ("a", id));
        let rows = |rows| Commit {
            rows,
            ..Commit::default()
        };
        let read = async |id: &str| {
            let row: Option<Value> = store.get(&key(id)).await.unwrap();
            row.map(|mut row| {
                row.as_object_mut().unwrap().remove("id");
                row
            })
        };

        store
            .commit(&rows(vec![
                RowChange::create(key("1"), &json!({"n": 1, "deep": {"x": [1, null]}})).unwrap(),
                RowChange::put(key("2"), &json!({"n": 2})).unwrap(),
                RowChange::merge(key("3"), &json!({"n": 3})).unwrap(),
            ]))
            .await
            .unwrap();
        assert_eq!(
            read("1").await,
            Some(json!({"n": 1, "deep": {"x": [1, null]}}))
        );

        store
            .commit(&rows(vec![
                RowChange::put(key("1"), &json!({"only": "this"})).unwrap(),
                RowChange::merge(key("2"), &json!({"more": true})).unwrap(),
                RowChange::delete(key("3")),
                RowChange::delete(key("never")),
            ]))
            .await
            .unwrap();
        assert_eq!(read("1").await, Some(json!({"only": "this"})));
        assert_eq!(read("2").await, Some(json!({"n": 2, "more": true})));
        assert_eq!(read("3").await, None);

        let error = store
            .commit(&rows(vec![
                RowChange::create(key("1"), &json!({})).unwrap(),
            ]))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, CommitError::Exists { key } if key.starts_with("thing:")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_unique_index_names_itself() {
    for engine in engines().await {
        let store = &engine.store;
        store
            .read(
                "DEFINE TABLE vote SCHEMALESS; DEFINE INDEX one_vote ON vote FIELDS person UNIQUE",
            )
            .await
            .unwrap();
        let vote = |id: &str| Commit {
            rows: vec![
                RowChange::create(Key::new("vote", id), &json!({"person": "sari"})).unwrap(),
            ],
            ..append(&format!("entity:{id}"), 0)
        };
        store.commit(&vote("x")).await.unwrap();
        let error = store.commit(&vote("y")).await.expect_err("voted before");
        assert!(
            matches!(&error, CommitError::Unique { index } if index == "one_vote"),
            "{error:?}"
        );
        assert_eq!(
            store.head("entity:y").await.unwrap().seq,
            0,
            "nothing of it was written"
        );
    }
}

#[tokio::test]
async fn events_out_of_sequence_are_refused_before_anything_runs() {
    let store = common::migrated(&gotong_store::Target::Memory).await;
    let gap = Commit {
        events: vec![event("entity:a", 1), event("entity:a", 3)],
        ..Commit::default()
    };
    let first = Commit {
        events: vec![event("entity:a", 0)],
        ..Commit::default()
    };
    let other = reading(append("entity:a", 4), "entity:a", 3);
    for commit in [gap, first, other] {
        let error = store.commit(&commit).await.expect_err("out of sequence");
        assert!(
            matches!(error, CommitError::Store(StoreError::Sequence { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn history_cannot_be_changed_through_a_commit() {
    for engine in engines().await {
        let store = &engine.store;
        store
            .commit(&Commit {
                decisions: vec![decision("d1")],
                ..append("entity:a", 0)
            })
            .await
            .unwrap();
        for key in [
            Key::parts("event", ("entity:a", 1_u64)),
            Key::new("policy_decision", "d1"),
        ] {
            for change in [
                RowChange::delete(key.clone()),
                RowChange::merge(key.clone(), &json!({"at_ms": 2})).unwrap(),
            ] {
                let refused = store
                    .commit(&Commit {
                        rows: vec![change],
                        ..Commit::default()
                    })
                    .await;
                assert!(
                    matches!(refused, Err(CommitError::Store(StoreError::Query(_)))),
                    "{refused:?}"
                );
            }
        }
        assert_eq!(
            store.events("entity:a", 0, 9).await.unwrap(),
            [event("entity:a", 1)]
        );
        assert_eq!(store.decision("d1").await.unwrap(), Some(decision("d1")));
    }
}

#[tokio::test]
async fn an_error_shows_nothing_of_the_database() {
    let store = common::migrated(&gotong_store::Target::Memory).await;
    let error = store.read("SELEKT 1").await.expect_err("not a statement");
    assert_eq!(error.to_string(), "the store could not run a query");
    assert!(std::error::Error::source(&error).is_some());
}
