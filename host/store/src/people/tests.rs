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

const KINDS: [&str; 2] = ["LIVE SELECT *", "LIVE SELECT DIFF"];

/// What people may see of their own: the table, and the field that says whose a row is. What is not named here is
/// closed. A new private table gets a line.
const OWN: &[(&str, &str)] = &[("ballot", "user_id")];

/// Fields that no two rows may share.
const UNIQUE: &[(&str, &str)] = &[("transition", "request_id")];

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

/// Makes another row of each table, as the host, in the likeness of one that is there; of what is somebody's, one for
/// sari and one for budi.
async fn add_rows(store: &Store, tables: &[String]) {
    for table in tables {
        let field_of = |of: &[(&str, &'static str)]| {
            let found = of.iter().find(|(name, _)| name == table);
            found.map(|(_, field)| *field)
        };
        let changes = match (field_of(OWN), field_of(UNIQUE)) {
            (Some(whose), _) => ["sari", "budi"]
                .map(|person| format!("{{ {whose}: '{person}' }}"))
                .to_vec(),
            (None, Some(unique)) => vec![format!("{{ {unique}: 'later' }}")],
            (None, None) => vec!["{}".to_owned()],
        };
        for (n, change) in changes.iter().enumerate() {
            let query = format!(
                "CREATE type::record('{table}', 'later-{n}') CONTENT
                    object::extend((SELECT * OMIT id FROM ONLY {table} LIMIT 1), {change})"
            );
            let made = store.write(&query, Variables::new()).await;
            assert!(made.is_ok(), "no other row of `{table}`: {:?}", made.err());
        }
    }
}

/// Who was told of rows made while they listened, by which query, and what.
type Told = Vec<(&'static str, String, String)>;

/// All people listen to every table by live select and live select diff; then there is a new row in each. What they are
/// told: it is waited for as often as is expected, and a while longer.
async fn told_of_new_rows(store: &Store, tables: &[String], expected: usize) -> Told {
    let mut sessions = Vec::new();
    let mut streams = Vec::new();
    for person in PEOPLE {
        let session = store.as_person(person).await.unwrap();
        for table in tables {
            for kind in KINDS {
                let query = format!("{kind} FROM {table}");
                let live = session.session().db().query(&query).await.unwrap();
                let mut live = live.check().unwrap();
                let stream = live.stream::<Notification<Value>>(0).unwrap();
                let told = move |told: Result<Notification<Value>, _>| {
                    let data = format!("{:?}", told.unwrap().data);
                    (person, query.clone(), data)
                };
                streams.push(stream.map(told).boxed());
            }
        }
        sessions.push(session);
    }
    let mut telling = stream::select_all(streams);
    add_rows(store, tables).await;
    let mut heard = Told::new();
    loop {
        let patience = if heard.len() < expected {
            30_000
        } else {
            1_000
        };
        let next = tokio::time::timeout(Duration::from_millis(patience), telling.next());
        let Ok(Some(told)) = next.await else { break };
        heard.push(told);
    }
    heard.sort();
    heard
}

#[tokio::test]
async fn a_live_select_shows_nobody_what_is_not_theirs() {
    let (store, tables) = filled().await;
    let mut expected = Vec::new();
    for person in ["budi", "sari"] {
        for kind in KINDS {
            expected.extend(
                OWN.iter()
                    .map(|(table, _)| (person, format!("{kind} FROM {table}"))),
            );
        }
    }
    expected.sort();
    let heard = told_of_new_rows(&store, &tables, expected.len()).await;
    let by = heard.iter().map(|(who, query, _)| (*who, query.clone()));
    assert_eq!(by.collect::<Vec<_>>(), expected, "{heard:?}");
    for (who, query, data) in &heard {
        for other in PEOPLE.iter().filter(|person| *person != who) {
            assert!(!data.contains(other), "{who}, {query}: {data}");
        }
    }
}

/// The test above would notice a table that is open: of each that is, everybody is told.
#[tokio::test]
async fn of_a_table_that_is_open_everybody_is_told() {
    let (store, tables) = filled().await;
    for table in &tables {
        let open = format!("ALTER TABLE {table} PERMISSIONS FOR select FULL");
        store.write(&open, Variables::new()).await.unwrap();
    }
    let rows = tables.len() + OWN.len();
    let all = PEOPLE.len() * KINDS.len() * rows;
    let heard = told_of_new_rows(&store, &tables, all).await;
    for person in PEOPLE {
        let of_person = heard.iter().filter(|(who, ..)| *who == person);
        assert_eq!(of_person.count(), KINDS.len() * rows, "{person}: {heard:?}");
    }
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
