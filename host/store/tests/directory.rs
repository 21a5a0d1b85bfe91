//! A store in a directory: what was acknowledged is there again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{append, decision, migrated, response};
use gotong_store::{Commit, Store, StoreError, Target};
use tempfile::TempDir;

#[tokio::test]
async fn a_reopened_directory_holds_every_commit() {
    let folder = TempDir::new().unwrap();
    let target = Target::Directory(folder.path().join("data"));
    for version in 0..5 {
        let store = migrated(&target).await;
        assert_eq!(store.head("entity:a").await.unwrap().seq, version);
        let commit = Commit {
            decisions: vec![decision(&format!("d{version}"))],
            response: Some(response("entity:a", &format!("r{version}"))),
            ..append("entity:a", version)
        };
        store.commit(&commit).await.unwrap();
        drop(store);
    }
    let store = migrated(&target).await;
    let counts = store.counts().await.unwrap();
    assert_eq!(
        (counts.events, counts.decisions, counts.responses),
        (5, 5, 5)
    );
}

#[tokio::test]
async fn a_directory_in_use_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let target = Target::Directory(folder.path().join("data"));
    let _open = migrated(&target).await;
    let error = Store::open(&target, None).await.expect_err("in use");
    assert!(
        matches!(&error, StoreError::Locked { directory } if directory.ends_with("data")),
        "{error:?}"
    );
}
