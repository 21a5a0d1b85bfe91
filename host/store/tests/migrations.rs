//! The schema is what the files build, and nothing else gets in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::Path;

use gotong_store::{
    Commit, Key, KeyRange, MigrationError, Migrations, RowChange, Store, Target, prove,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("checks")).unwrap();
    for (name, statements) in files {
        fs::write(folder.path().join(name), statements).unwrap();
    }
    folder
}

fn of(folder: &TempDir) -> Migrations {
    Migrations::from_dir(folder.path()).unwrap()
}

const FIRST: (&str, &str) = ("0001_first.surql", "DEFINE TABLE first SCHEMAFULL;");
const SECOND: (&str, &str) = ("0002_second.surql", "DEFINE TABLE second SCHEMAFULL;");

#[tokio::test]
async fn every_migration_is_proven_by_its_check() {
    let migrations = Migrations::embedded().unwrap();
    let report = prove(&migrations).await.unwrap();
    assert_eq!(report.migrations, migrations.latest() as usize);
    assert!(report.blocks >= report.migrations);
}

#[tokio::test]
async fn a_migration_without_a_check_is_named() {
    let error = prove(&of(&folder(&[FIRST]))).await.expect_err("no check");
    assert!(matches!(error, MigrationError::Unproven { title } if title == "0001_first"));
}

#[tokio::test]
async fn a_check_that_does_not_hold_says_where_and_how() {
    for (check, expected, got) in [
        (
            "-- expect error: no such\nCREATE first;",
            "an error with `no such`",
            "success",
        ),
        (
            "\n-- expect ok\nTHROW 'wrong value';",
            "success",
            "wrong value",
        ),
    ] {
        let folder = folder(&[FIRST, ("checks/0001_first.surql", check)]);
        let error = prove(&of(&folder))
            .await
            .expect_err("does not hold")
            .to_string();
        assert!(
            error.contains("check of `0001_first`, line") && error.contains(expected),
            "{error}"
        );
        assert!(error.contains(got), "{error}");
    }
}

#[tokio::test]
async fn only_what_is_missing_is_applied() {
    for engine in common::engines().await {
        let report = engine
            .store
            .migrate(&Migrations::embedded().unwrap())
            .await
            .unwrap();
        assert!(
            report.applied.is_empty() && report.already > 0,
            "{}",
            engine.name
        );
    }
    let store = Store::open(&Target::Memory, None).await.unwrap();
    let (one, two) = (folder(&[FIRST]), folder(&[FIRST, SECOND]));
    assert_eq!(
        store.missing_migrations(&of(&two)).await.unwrap(),
        ["0001_first", "0002_second"]
    );
    assert_eq!(
        store.migrate(&of(&one)).await.unwrap().applied,
        ["0001_first"]
    );
    assert_eq!(
        store.missing_migrations(&of(&two)).await.unwrap(),
        ["0002_second"]
    );
    let report = store.migrate(&of(&two)).await.unwrap();
    assert_eq!(
        (report.applied, report.already),
        (vec!["0002_second".to_owned()], 1)
    );
}

#[tokio::test]
async fn a_changed_old_migration_is_refused_by_name() {
    let store = Store::open(&Target::Memory, None).await.unwrap();
    store.migrate(&of(&folder(&[FIRST, SECOND]))).await.unwrap();
    let changed = folder(&[(FIRST.0, "DEFINE TABLE first SCHEMALESS;"), SECOND]);
    let error = store.migrate(&of(&changed)).await.expect_err("changed");
    assert!(
        matches!(&error, MigrationError::Changed { title } if title == "0001_first"),
        "{error:?}"
    );
    let renamed = folder(&[("0001_other.surql", FIRST.1), SECOND]);
    assert!(matches!(
        store.migrate(&of(&renamed)).await,
        Err(MigrationError::Changed { .. })
    ));
}

#[tokio::test]
async fn a_database_newer_than_the_binary_is_refused() {
    let store = Store::open(&Target::Memory, None).await.unwrap();
    store.migrate(&of(&folder(&[FIRST, SECOND]))).await.unwrap();
    let error = store
        .migrate(&of(&folder(&[FIRST])))
        .await
        .expect_err("newer");
    assert!(
        matches!(&error, MigrationError::Newer { title } if title == "0002_second"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_gap_is_refused() {
    let folder = folder(&[FIRST, ("0003_third.surql", "")]);
    let error = Migrations::from_dir(folder.path()).expect_err("a gap");
    assert!(matches!(error, MigrationError::Gap { expected: 2, .. }));
    assert!(matches!(
        Migrations::from_dir(Path::new("/nowhere")),
        Err(MigrationError::Read { .. })
    ));
}

#[tokio::test]
async fn a_migration_that_fails_halfway_leaves_nothing() {
    for engine in common::engines().await {
        let store = &engine.store;
        let known = Migrations::embedded().unwrap();
        let folder = TempDir::new().unwrap();
        for migration in known.iter() {
            fs::write(
                folder.path().join(format!("{}.surql", migration.title())),
                &migration.statements,
            )
            .unwrap();
        }
        let bad = format!("{:04}_bad.surql", known.latest() + 1);
        fs::write(
            folder.path().join(&bad),
            "DEFINE TABLE half SCHEMAFULL; CREATE event:x SET nonsense = 1;",
        )
        .unwrap();
        let error = store
            .migrate(&Migrations::from_dir(folder.path()).unwrap())
            .await
            .expect_err("fails");
        assert!(
            matches!(&error, MigrationError::Failed { title, .. } if bad.starts_with(title)),
            "{error:?}"
        );
        let mut info = store.read("INFO FOR DB").await.unwrap();
        let info: serde_json::Value = info.first(0).unwrap().unwrap();
        assert!(
            info["tables"].get("half").is_none(),
            "{}: {info}",
            engine.name
        );
        assert!(info["tables"].get("event").is_some());
    }
}

/// A store as the first migrations leave it.
async fn up_to(engine: &Target, last: u32) -> Store {
    let store = Store::open(engine, None).await.unwrap();
    let known = Migrations::embedded().unwrap();
    let folder = TempDir::new().unwrap();
    for migration in known.iter().take(last as usize) {
        let file = folder.path().join(format!("{}.surql", migration.title()));
        fs::write(file, &migration.statements).unwrap();
    }
    store.migrate(&of(&folder)).await.unwrap();
    store
}

async fn create(store: &Store, rows: impl IntoIterator<Item = (Key, Value)>) {
    let rows = rows
        .into_iter()
        .map(|(key, row)| RowChange::create(key, &row).unwrap());
    let commit = Commit {
        rows: rows.collect(),
        ..Commit::default()
    };
    store.commit(&commit).await.unwrap();
}

fn transition(id: &str, scope: &str, at_ms: i64) -> (Key, Value) {
    let row = json!({"transition_id": id, "entity_id": id, "scope_id": scope, "track": "tuntaskan", "to_track": "tuntaskan",
        "from_stage": "keresahan", "to_stage": "bahas", "transition_type": "stage_advance", "mechanism": "user_action",
        "status": "open", "actor": {}, "occurred_at_ms": at_ms, "request_id": "r", "correlation_id": "c",
        "retention_tag": {}, "event_hash": "h", "decision_id": "d", "gate": {}});
    (Key::new("transition", id), row)
}

#[tokio::test]
async fn transitions_that_were_there_stand_in_the_lists_newest_first() {
    let store = up_to(&Target::Memory, 7).await;
    create(
        &store,
        [
            transition("t1", "id/a", 1_700_000_000_000),
            transition("t2", "id/b", 1_700_000_000_002),
            transition("t3", "id/a", 1_700_000_000_001),
        ],
    )
    .await;
    store
        .migrate(&Migrations::embedded().unwrap())
        .await
        .unwrap();
    let listed = async |range: KeyRange| -> Vec<String> {
        let rows: Vec<Value> = store.scan(&range).await.unwrap();
        let id = |row: &Value| row["transition_id"].as_str().unwrap().to_owned();
        rows.iter().map(id).collect()
    };
    let list = |parts: &[&str]| KeyRange::prefix("transition_list", parts.to_vec());
    assert_eq!(listed(list(&["all"])).await, ["t2", "t3", "t1"]);
    assert_eq!(listed(list(&["scope", "id/a"])).await, ["t3", "t1"]);
    assert_eq!(listed(list(&["scope", "id/b"])).await, ["t2"]);
    let behind = list(&["all"]).after((-1_700_000_000_002_i64, "t2"));
    assert_eq!(listed(behind).await, ["t3", "t1"]);
}

#[tokio::test]
async fn the_people_of_entities_that_were_there_are_counted() {
    let store = up_to(&Target::Memory, 8).await;
    let (crowded, quiet) = (
        "01a20438-5e97-739c-9c5a-fac99e20fe57",
        "01a20438-5e97-739c-9c5a-fac99e20fe58",
    );
    let entity = |id: &str, pic: Option<&str>| {
        let row = json!({"entity_id": id, "track": "tuntaskan", "stage": "bahas", "title": "A", "text": "",
            "scope_id": "id", "privacy_level": "open", "author_id": "sari", "author_username": "Sari", "pic_id": pic,
            "nominee_id": null, "open_transition": null, "created_at_ms": 1, "stage_since_ms": 1});
        (Key::new("entity", id), row)
    };
    let relation = |id: &str, who: &str, word: &str, until_ms: Option<i64>| {
        let row = json!({"relation_id": word, "entity_id": id, "user_id": who.to_lowercase(), "username": who,
            "relation": word, "since_ms": 1, "until_ms": until_ms});
        let key = Key::parts("relation", [id, &who.to_lowercase(), word]);
        (key, row)
    };
    create(
        &store,
        [
            entity(crowded, Some("wati")),
            entity(quiet, None),
            relation(crowded, "Sari", "author", None),
            relation(crowded, "Wati", "participant", None),
            relation(crowded, "Wati", "pic", None),
            relation(crowded, "Joko", "pic", Some(2)),
            relation(crowded, "Joko", "participant", Some(2)),
            relation(quiet, "Sari", "author", None),
        ],
    )
    .await;
    store
        .migrate(&Migrations::embedded().unwrap())
        .await
        .unwrap();
    for (id, people, pic) in [(crowded, 2, json!("Wati")), (quiet, 1, Value::Null)] {
        let row: Value = store.get(&Key::new("entity", id)).await.unwrap().unwrap();
        assert_eq!(
            (&row["people_count"], &row["pic_username"]),
            (&json!(people), &pic)
        );
    }
}
