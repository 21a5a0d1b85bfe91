//! Reads: typed rows, and ranges of keys in either direction.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{engines, event};
use gotong_store::{Commit, DecisionQuery, EventRow, Key, KeyRange, Store, StoreError};
use serde::Deserialize;
use serde_json::Value;

async fn filled(store: &Store) {
    // `entity:a` is a prefix of the text `entity:aa`, never of its key.
    let streams = ["entity:a", "entity:aa", "entity:b"];
    let events = streams
        .iter()
        .flat_map(|stream| (1..=12).map(|seq| event(stream, seq)))
        .collect();
    store
        .commit(&Commit {
            events,
            ..Commit::default()
        })
        .await
        .unwrap();
}

async fn places(store: &Store, range: KeyRange) -> Vec<(String, u64)> {
    let rows: Vec<EventRow> = store.scan(&range).await.unwrap();
    rows.into_iter()
        .map(|row| (row.stream.trim_start_matches("entity:").to_owned(), row.seq))
        .collect()
}

fn of(stream: &str, seqs: impl IntoIterator<Item = u64>) -> Vec<(String, u64)> {
    seqs.into_iter()
        .map(|seq| (stream.to_owned(), seq))
        .collect()
}

#[tokio::test]
async fn a_range_is_read_by_prefix_and_bounds() {
    for engine in engines().await {
        let store = &engine.store;
        filled(store).await;
        let a = || KeyRange::prefix("event", "entity:a");
        assert_eq!(places(store, a()).await, of("a", 1..=12), "{}", engine.name);
        assert_eq!(places(store, a().after(9_u64)).await, of("a", 10..=12));
        assert_eq!(
            places(store, a().from(9_u64).before(11_u64)).await,
            of("a", 9..=10)
        );
        assert_eq!(places(store, a().through(2_u64)).await, of("a", 1..=2));
        assert_eq!(
            places(store, a().after(3_u64).limit(2)).await,
            of("a", 4..=5)
        );
        assert_eq!(
            places(store, a().descending().limit(3)).await,
            of("a", [12, 11, 10])
        );
        assert_eq!(
            places(store, a().before(3_u64).descending()).await,
            of("a", [2, 1])
        );
        assert_eq!(
            places(store, KeyRange::prefix("event", "entity:none")).await,
            []
        );
    }
}

#[tokio::test]
async fn a_whole_table_is_walked_in_pages() {
    for engine in engines().await {
        let store = &engine.store;
        filled(store).await;
        let mut seen = Vec::new();
        let mut after: Option<(String, u64)> = None;
        loop {
            let place = after.as_ref().map(|(stream, seq)| (stream.as_str(), *seq));
            let page = store.events_after(place, 7).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.stream.clone(), last.seq));
            seen.extend(page.iter().map(|row| (row.stream.clone(), row.seq)));
        }
        assert_eq!(seen.len(), 36, "{}", engine.name);
        assert!(seen.is_sorted());
        let next = KeyRange::table("event").after("entity:a").limit(1);
        assert_eq!(
            places(store, next).await,
            of("aa", [1]),
            "a bound is a prefix too"
        );
    }
}

#[tokio::test]
async fn decisions_are_filtered_where_they_are_kept() {
    for engine in engines().await {
        let store = &engine.store;
        let decision = |second: u32, family: &str, entity: &str| {
            let id = format!(
                "018bcfe5-{:04x}-7000-8000-00000000000{second}",
                second * 1_000
            );
            let mut row = common::decision(&id);
            row["family"] = family.into();
            row["entity_id"] = entity.into();
            row
        };
        let decisions = vec![
            decision(1, "gate", "e1"),
            decision(2, "role-matrix", "e1"),
            decision(3, "gate", "e2"),
            decision(4, "gate", "e1"),
        ];
        store
            .commit(&Commit {
                decisions: decisions.clone(),
                ..Commit::default()
            })
            .await
            .unwrap();
        let read = async |query: DecisionQuery, limit: usize| {
            let rows = store.decisions_where(&query, limit).await.unwrap();
            let place = |row: &Value| decisions.iter().position(|each| each == row).unwrap() + 1;
            rows.iter().map(place).collect::<Vec<_>>()
        };
        let id = |place: usize| {
            decisions[place - 1]["decision_id"]
                .as_str()
                .map(str::to_owned)
        };
        let all = DecisionQuery::default;
        assert_eq!(read(all(), 10).await, [1, 2, 3, 4]);
        assert_eq!(read(all(), 2).await, [1, 2]);
        let gate = || DecisionQuery {
            family: Some("gate".into()),
            ..all()
        };
        assert_eq!(read(gate(), 2).await, [1, 3]);
        assert_eq!(
            read(
                DecisionQuery {
                    after: id(3),
                    ..gate()
                },
                2
            )
            .await,
            [4]
        );
        let both = DecisionQuery {
            entity_id: Some("e1".into()),
            ..gate()
        };
        assert_eq!(read(both, 10).await, [1, 4]);
        let hostile = DecisionQuery {
            family: Some("gate' OR true".into()),
            ..all()
        };
        assert_eq!(read(hostile, 10).await, [0; 0]);
        // The time in the third one's id.
        let since_ms = Some(0x018b_cfe5_0000 + 3_000);
        assert_eq!(read(DecisionQuery { since_ms, ..all() }, 10).await, [3, 4]);
        assert_eq!(
            read(
                DecisionQuery {
                    since_ms,
                    after: id(1),
                    ..all()
                },
                10
            )
            .await,
            [3, 4]
        );
        assert_eq!(
            read(
                DecisionQuery {
                    since_ms,
                    after: id(3),
                    ..all()
                },
                10
            )
            .await,
            [4]
        );
    }
}

#[tokio::test]
async fn decisions_are_walked_by_id() {
    for engine in engines().await {
        let store = &engine.store;
        let decisions = ["d1", "d2", "d3"].map(common::decision).to_vec();
        store
            .commit(&Commit {
                decisions: decisions.clone(),
                ..Commit::default()
            })
            .await
            .unwrap();
        assert_eq!(
            store.decisions_after(None, 2).await.unwrap(),
            decisions[..2]
        );
        assert_eq!(
            store.decisions_after(Some("d2"), 2).await.unwrap(),
            decisions[2..]
        );
    }
}

#[tokio::test]
async fn rows_are_typed_and_taken_once() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Seq {
        seq: u64,
    }
    for engine in engines().await {
        let store = &engine.store;
        filled(store).await;
        let mut rows = store
            .read("SELECT seq FROM $keys; SELECT VALUE seq FROM $range WHERE seq > $floor; RETURN $list; SELECT * FROM $missing")
            .bind_keys("keys", [7_u64, 2, 99].map(|seq| Key::parts("event", ("entity:a", seq))))
            .bind_range("range", &KeyRange::prefix("event", "entity:b"))
            .bind("floor", 10)
            .bind("list", ["x", "y"])
            .bind_key("missing", Key::parts("event", ("entity:z", 1_u64)))
            .await
            .unwrap();
        assert_eq!(
            rows.take::<Seq>(0).unwrap(),
            [Seq { seq: 7 }, Seq { seq: 2 }],
            "{}",
            engine.name
        );
        assert_eq!(rows.take::<u64>(1).unwrap(), [11, 12]);
        assert_eq!(rows.first::<String>(2).unwrap().as_deref(), Some("x"));
        assert_eq!(rows.first::<Seq>(3).unwrap(), None);
        assert!(matches!(
            rows.take::<Seq>(0),
            Err(StoreError::NoResult { index: 0 })
        ));
        assert!(matches!(
            rows.take::<Seq>(4),
            Err(StoreError::NoResult { index: 4 })
        ));
        let wrong: Result<Option<String>, _> =
            store.get(&Key::parts("event", ("entity:a", 1_u64))).await;
        assert!(matches!(wrong, Err(StoreError::Decode(_))));
    }
}

#[tokio::test]
async fn the_newest_decisions_are_found_without_walking_all() {
    const NOW_MS: i64 = 1_760_000_000_000;
    let made_at = |age_ms: i64| {
        let at_ms = NOW_MS - age_ms;
        let id = format!(
            "{:08x}-{:04x}-7abc-8000-000000000000",
            at_ms >> 16,
            at_ms & 0xffff
        );
        common::decision(&id)
    };
    for engine in engines().await {
        let store = &engine.store;
        assert!(store.newest_decisions(5, NOW_MS).await.unwrap().is_empty());
        // A burst long ago, a few since, one of them now.
        let ages = (0..200)
            .map(|n| 40_000_000_000 - n)
            .chain([7_000_000, 60_000, 59_999, 0]);
        let decisions: Vec<_> = ages.map(made_at).collect();
        let commit = Commit {
            decisions: decisions.clone(),
            ..Commit::default()
        };
        store.commit(&commit).await.unwrap();
        for limit in [0, 1, 2, 3, 4, 5, 50, 203, 204, 500] {
            let newest = store.newest_decisions(limit, NOW_MS).await.unwrap();
            let expected = &decisions[decisions.len().saturating_sub(limit)..];
            assert_eq!(newest, expected, "{} {limit}", engine.name);
        }
    }
}
