//! A disk that refuses writes for a moment: the embedded engine does not get over it, so the host ends, and a supervisor
//! starts it again.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::io::{PipeReader, Read};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Answer, Host, Setup, new_key};
use reqwest::Method;
use serde_json::json;

/// A host, and what it logs.
fn on(data: &Path) -> (Host, PipeReader) {
    let (log, writer) = std::io::pipe().unwrap();
    let host = Setup::default().data(data).start_with(|command| {
        command.stderr(writer);
    });
    (host, log)
}

/// No file may grow beyond so many bytes: `1`, or `unlimited`.
fn limit_files(host: &Host, bytes: &str) {
    let done = Command::new("prlimit")
        .args(["--pid", &host.id().to_string()])
        .arg(format!("--fsize={bytes}:unlimited"))
        .status()
        .unwrap();
    assert!(done.success());
}

async fn share(host: &Host, key: &str) -> Answer {
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar/depok"});
    let request = host.request("sari", Method::POST, "/v1/entities").key(key);
    request.raw(body.to_string()).send().await
}

/// It ended with 1, said why once, and a new one on the same folder takes the request that was refused.
async fn ends_and_begins_again(mut host: Host, mut log: PipeReader, data: &Path, key: &str) {
    let status = tokio::task::spawn_blocking(move || host.ended()).await;
    assert_eq!(status.unwrap().code(), Some(1));
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    let why = "the store can no longer be written: this host ends";
    assert_eq!(said.matches(why).count(), 1, "{said}");
    let (host, _log) = on(data);
    share(&host, key).await.ok();
    assert!(share(&host, key).await.ok().replayed());
    host.get("", "/health/ready").await.ok();
    host.holds();
}

#[tokio::test]
async fn a_host_whose_write_the_disk_refused_ends_and_goes_on_when_it_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store");
    let (host, log) = on(&data);
    share(&host, &new_key()).await.ok();
    limit_files(&host, "1");
    let key = new_key();
    let refused = share(&host, &key).await.is(503, "not_ready");
    assert_eq!(refused.headers["retry-after"], "1");
    limit_files(&host, "unlimited");
    ends_and_begins_again(host, log, &data, &key).await;
}

#[tokio::test]
async fn so_does_one_whose_engine_met_the_full_disk_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store");
    let (host, log) = on(&data);
    share(&host, &new_key()).await.ok();
    limit_files(&host, "1");
    // The engine writes a sign of life every 3 s. When that was refused, writes never end, or end it.
    tokio::time::sleep(Duration::from_secs(8)).await;
    limit_files(&host, "unlimited");
    let (key, began) = (new_key(), Instant::now());
    assert_eq!(share(&host, &key).await.status, 503);
    ends_and_begins_again(host, log, &data, &key).await;
    let took = began.elapsed().as_secs();
    assert!(took < 60, "{took} s");
}
