//! Two people and a stranger at the database itself: no table shows anybody what is not theirs, by select, by live
//! select or by live select diff, and nobody writes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use surrealdb::Notification;
use surrealdb::types::{Value, Variables};

use crate::migrations::Migrations;
use crate::proof::blocks;
use crate::store::Store;
use crate::target::Target;

const PEOPLE: [&str; 3] = ["sari", "budi", "a stranger: ⟨x⟩ ' \" \\ `y`"];

/// What people may see of their own: the table, and the field that says whose a row is. What is not named here is
/// closed. A new private table gets a line.
const OWN: &[(&str, &str)] = &[("ballot", "user_id")];

/// Rows for tables whose checks leave none.
const ROWS: &str = "
    CREATE ballot:['t', 1, 'sari'] SET transition_id = 't', round = 1, user_id = 'sari', choice = 'yes', weight_permille = 1000, at_ms = 1;
    CREATE ballot:['t', 1, 'budi'] SET transition_id = 't', round = 1, user_id = 'budi', choice = 'no', weight_permille = 1000, at_ms = 1;
    CREATE stream:s SET stream = 's', seq = 1, hash = 'h';
    CREATE event_private:['s', 9] SET stream = 's', seq = 9, fields = { name: { value: 'Sari', salt: '00' } };
    CREATE idempotency:['s', 'r9'] SET scope = 's', request_id = 'r9', actor = 'sari', request_digest = 'd', status = 200, body = '{}', at_ms = 1;
";

/// Every table, as `INFO` tells them.
async fn tables(store: &Store) -> Vec<String> {
    #[derive(Deserialize)]
    struct Table {
        name: String,
    }
    let mut rows = store
        .read("RETURN (INFO FOR DB STRUCTURE).tables;")
        .await
        .unwrap();
    let tables: Vec<Table> = rows.take(0).unwrap();
    tables.into_iter().map(|table| table.name).collect()
}

async fn rows_of(store: &Store, tables: &[String]) -> BTreeMap<String, Vec<serde_json::Value>> {
    let mut found = BTreeMap::new();
    for table in tables {
        let query = format!("SELECT * FROM {table}");
        let rows: Vec<serde_json::Value> = store.read(&query).await.unwrap().take(0).unwrap();
        found.insert(table.clone(), rows);
    }
    let empty: Vec<&String> = found
        .iter()
        .filter(|(_, rows)| rows.is_empty())
        .map(|(table, _)| table)
        .collect();
    assert!(
        empty.is_empty(),
        "without a row nothing is shown about {empty:?}: give ROWS one for each"
    );
    found
}

/// A store with a row or more in each table.
async fn filled() -> (Store, Vec<String>) {
    let migrations = Migrations::embedded().unwrap();
    let store = Store::open(&Target::Memory, None).await.unwrap();
    store.migrate(&migrations).await.unwrap();
    for migration in migrations.iter() {
        for query in blocks(migration.check.as_deref().unwrap_or_default()) {
            // Most are wrong on purpose, or want a store of their own; what they leave is enough.
            let _ = store.write(&query, Variables::new()).await;
        }
    }
    store
        .write(
            "DELETE event_private; DELETE idempotency;",
            Variables::new(),
        )
        .await
        .unwrap();
    for row in ROWS.lines().filter(|line| !line.trim().is_empty()) {
        let _ = store.write(row, Variables::new()).await;
    }
    let tables = tables(&store).await;
    assert!(tables.len() >= 15, "{tables:?}");
    (store, tables)
}

#[tokio::test]
async fn a_select_shows_nobody_what_is_not_theirs() {
    let (store, tables) = filled().await;
    rows_of(&store, &tables).await;
    for person in PEOPLE {
        let session = store.as_person(person).await.unwrap();
        for table in &tables {
            let query = format!("SELECT * FROM {table}; SELECT count() FROM {table} GROUP ALL;");
            let mut rows = session.read(&query).await.unwrap();
            let seen: Vec<serde_json::Value> = rows.take(0).unwrap();
            let counted: Vec<serde_json::Value> = rows.take(1).unwrap();
            let own = OWN.iter().find(|(own, _)| own == table);
            let Some((_, field)) = own else {
                assert!(seen.is_empty(), "{person} sees of `{table}`: {seen:?}");
                assert!(
                    counted.iter().all(|row| row["count"] == 0),
                    "{table}: {counted:?}"
                );
                continue;
            };
            assert!(
                seen.iter().all(|row| row[field] == person),
                "{person}, {table}: {seen:?}"
            );
            let expected = usize::from(person == "sari" || person == "budi");
            assert_eq!(
                seen.is_empty(),
                expected == 0,
                "{person}, {table}: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn nobody_writes_anything() {
    let (store, tables) = filled().await;
    let before = rows_of(&store, &tables).await;
    for person in PEOPLE {
        let session = store.as_person(person).await.unwrap();
        for table in &tables {
            for query in [
                format!("CREATE {table}:intruder"),
                format!("UPDATE {table} SET user_id = 'x', body = 'x'"),
                format!("UPSERT {table}:intruder SET user_id = 'x'"),
                format!("DELETE {table}"),
                format!("REMOVE TABLE {table}"),
                format!("ALTER TABLE {table} PERMISSIONS FULL"),
            ] {
                let _ = session.read(&query).await;
            }
        }
        for query in [
            "DEFINE TABLE mine",
            "REMOVE ACCESS person ON DATABASE",
            "INFO FOR DB",
        ] {
            assert!(session.read(query).await.is_err(), "{person} may `{query}`");
        }
    }
    assert_eq!(before, rows_of(&store, &tables).await);
}

#[tokio::test]
async fn a_live_select_shows_nobody_what_is_not_theirs() {
    let (store, tables) = filled().await;
    let session = store.as_person("sari").await.unwrap();
    let mut streams = Vec::new();
    for table in &tables {
        for kind in ["LIVE SELECT *", "LIVE SELECT DIFF"] {
            let query = format!("{kind} FROM {table}");
            let mut live = session
                .session()
                .db()
                .query(query)
                .await
                .unwrap()
                .check()
                .unwrap();
            let stream = live.stream::<Notification<Value>>(0).unwrap();
            let name = format!("{kind} FROM {table}");
            streams.push(stream.map(move |told| (name.clone(), told)).boxed());
        }
    }
    let mut told = stream::select_all(streams);
    for who in ["budi", "sari"] {
        let ballot = format!(
            "CREATE ballot:['t2', 1, '{who}'] SET transition_id = 't2', round = 1, user_id = '{who}', choice = 'yes', weight_permille = 1000, at_ms = 2"
        );
        store.write(&ballot, Variables::new()).await.unwrap();
    }
    for table in tables.iter().filter(|table| *table != "ballot") {
        // Whatever may be changed or removed is; the rest refuses, and tells nobody either.
        for query in [
            format!("UPDATE {table} SET at_ms = 3, title = 'x'"),
            format!("DELETE {table}"),
        ] {
            let _ = store.write(&query, Variables::new()).await;
        }
    }
    let mut heard = Vec::new();
    while let Ok(Some((from, notification))) =
        tokio::time::timeout(Duration::from_millis(700), told.next()).await
    {
        let data = format!("{:?}", notification.unwrap().data);
        assert!(!data.contains("budi"), "{from}: {data}");
        heard.push(from);
    }
    heard.sort();
    assert_eq!(
        heard,
        ["LIVE SELECT * FROM ballot", "LIVE SELECT DIFF FROM ballot"]
    );
}

#[tokio::test]
async fn a_session_is_one_persons_and_is_used_again() {
    let (store, _) = filled().await;
    let ballots = async |person: &str| -> Vec<serde_json::Value> {
        let session = store.as_person(person).await.unwrap();
        session
            .read("SELECT user_id FROM ballot")
            .await
            .unwrap()
            .take(0)
            .unwrap()
    };
    for person in ["sari", "budi", "sari", "budi"] {
        let seen = ballots(person).await;
        assert!(
            !seen.is_empty() && seen.iter().all(|row| row["user_id"] == person),
            "{seen:?}"
        );
    }
    // More people than sessions are kept for, at once.
    let crowd = stream::iter(0..300).map(|n| {
        let store = store.clone();
        async move {
            let session = store.as_person(&format!("person-{n}")).await.unwrap();
            let seen: Vec<serde_json::Value> = session
                .read("SELECT * FROM ballot")
                .await
                .unwrap()
                .take(0)
                .unwrap();
            assert!(seen.is_empty(), "{seen:?}");
        }
    });
    crowd.buffer_unordered(16).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn the_host_itself_may_not_change_rights() {
    let (store, _) = filled().await;
    for query in [
        "DEFINE USER intruder ON DATABASE PASSWORD 'p' ROLES OWNER",
        "DEFINE ACCESS OVERWRITE person ON DATABASE TYPE RECORD",
        "REMOVE ACCESS person ON DATABASE",
        "DEFINE USER intruder ON ROOT PASSWORD 'p' ROLES OWNER",
    ] {
        assert!(
            store.write(query, Variables::new()).await.is_err(),
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_untouched_store_lets_nobody_in() {
    let store = Store::open_untouched(&Target::Memory).await.unwrap();
    let refused = store.as_person("sari").await.err();
    assert!(
        matches!(refused, Some(crate::StoreError::NoPeople)),
        "{refused:?}"
    );
}
