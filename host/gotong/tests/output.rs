//! What a command does when nobody reads its answer any more, and when the answer cannot be written.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::fs::OpenOptions;

use harness::{Host, gotong, host, token};

/// Commands that answer at some length, or in one line.
fn commands(host: &Host) -> Vec<Vec<String>> {
    let of_host = ["--url", &host.base, "--token", &token("admin/admin")].join("\n");
    [
        "openapi".to_owned(),
        "openapi\n--problems".to_owned(),
        "token\n--sub\nsari\n--username\nSari\n--role\nuser".to_owned(),
        format!("jobs\nlist\n{of_host}"),
        format!("audit\nverify\n{of_host}"),
        format!("replay\n--json\n{of_host}"),
        "policy\ninspect\npolicies/pinned/gate@1.0.0.wasm".to_owned(),
    ]
    .iter()
    .map(|line| line.lines().map(str::to_owned).collect())
    .collect()
}

#[tokio::test]
async fn who_stops_reading_stops_nothing_and_is_not_complained_about() {
    let host = host();
    host.at_a_vote().await;
    for args in commands(&host) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = gotong(&args).stdout(writer).output().unwrap();
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), says.as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_ends_with_2_and_one_line() {
    let host = host();
    host.at_a_vote().await;
    for args in commands(&host) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = gotong(&args).stdout(full).output().unwrap();
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {says}");
        assert_eq!(says.trim().lines().count(), 1, "{args:?}: {says}");
        assert!(says.contains("cannot be written"), "{args:?}: {says}");
    }
}
