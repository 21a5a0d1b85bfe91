//! What is tried without being done.

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use gotong_store::{Key, Target};

#[tokio::test]
async fn that_one_may_write_is_found_out_without_writing() {
    let store = common::migrated(&Target::Memory).await;
    store.may_write().await.expect("the host may");
    let key = Key::new("stream", "doctor");
    let row: Option<serde_json::Value> = store.get(&key).await.expect("a read");
    assert_eq!(row, None);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let apart =
        store.clock_ms().await.expect("a time") - i64::try_from(now.as_millis()).expect("soon");
    assert!(apart.abs() < 2_000, "{apart} ms");
}
