//! What the store's tests share: both engines, migrated, and short ways to write a commit.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use gotong_store::{Commit, EventRow, Migrations, Store, StoredResponse, Target};
use tempfile::TempDir;

/// A migrated store, with the folder it lives in when it is not in memory.
pub struct Engine {
    pub name: &'static str,
    pub store: Store,
    folder: Option<TempDir>,
}

/// Every engine a test has to hold on.
pub async fn engines() -> Vec<Engine> {
    let folder = TempDir::new().unwrap();
    let directory = Target::Directory(folder.path().join("data"));
    vec![
        Engine {
            name: "memory",
            store: migrated(&Target::Memory).await,
            folder: None,
        },
        Engine {
            name: "surrealkv",
            store: migrated(&directory).await,
            folder: Some(folder),
        },
    ]
}

pub async fn migrated(target: &Target) -> Store {
    let store = Store::open(target, None).await.unwrap();
    store
        .migrate(&Migrations::embedded().unwrap())
        .await
        .unwrap();
    store
}

pub fn event(stream: &str, seq: u64) -> EventRow {
    EventRow {
        stream: stream.to_owned(),
        seq,
        kind: "noted".to_owned(),
        at_ms: 1_760_000_000_000,
        body: format!("{{\"seq\":{seq}}}"),
        hash: format!("hash of {stream} {seq}"),
    }
}

/// A commit that adds the event behind `version` to a stream.
pub fn append(stream: &str, version: u64) -> Commit {
    Commit {
        events: vec![event(stream, version + 1)],
        ..Commit::default()
    }
}

pub fn reading(mut commit: Commit, stream: &str, version: u64) -> Commit {
    commit.reads.insert(stream.to_owned(), version);
    commit
}

pub fn response(scope: &str, request_id: &str) -> StoredResponse {
    StoredResponse {
        scope: scope.to_owned(),
        request_id: request_id.to_owned(),
        actor: "sari".to_owned(),
        request_digest: "digest".to_owned(),
        status: 201,
        body: "{\"ok\":true}".to_owned(),
        at_ms: 1_760_000_000_000,
    }
}

pub fn decision(decision_id: &str) -> serde_json::Value {
    serde_json::json!({
        "decision_id": decision_id, "at_ms": 1_760_000_000_000_i64, "family": "gate", "function": "plan",
        "module_name": "gate", "module_version": "1.0.0", "module_digest": "sha256:aa",
        "abi": "gotong:policy@1.0.0", "engine": "fingerprint", "input": "{}", "input_digest": "in",
        "output": "{\"effect\":\"allow\"}", "output_digest": "out", "outcome": "ruled", "trap_code": null,
        "fuel": 1234, "replayable": true, "entity_id": "entity:a", "request_id": "request-1",
        "correlation_id": "correlation-1", "trace_id": null, "mode": "active",
    })
}
