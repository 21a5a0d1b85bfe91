//! kill -9 between any two steps of a write: after a restart nothing is half-done, and the client's retry gets its
//! answer.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{HOUR_MS, Host, Setup, gotong, new_key, signal};
use reqwest::Method;
use serde_json::{Value, json};

fn on(dir: &tempfile::TempDir) -> Setup {
    Setup::default().data(&dir.path().join("store"))
}

async fn share(host: &Host, key: &str) -> Result<harness::Answer, reqwest::Error> {
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"}).to_string();
    host.request("sari", Method::POST, "/v1/entities")
        .key(key)
        .raw(body)
        .try_send()
        .await
}

fn stopped(dir: &tempfile::TempDir, args: &[&str]) -> Value {
    let data = dir.path().join("store").display().to_string();
    let output = gotong(args)
        .args(["--json", "--data", &data])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_all_or_nothing() {
    for (point, happened) in [
        ("before_facts", false),
        ("before_commit", false),
        ("after_commit", true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let key = new_key();
        let mut host = on(&dir).env("GOTONG_CRASH_AT", point).start();
        assert!(
            share(&host, &key).await.is_err(),
            "{point}: the connection breaks"
        );
        assert!(!host.ended().success());
        let ledger = stopped(&dir, &["audit", "verify"]);
        assert_eq!(
            (&ledger["ok"], &ledger["events"]),
            (&json!(true), &json!(i32::from(happened))),
            "{point}"
        );
        let host = on(&dir).start();
        let retried = share(&host, &key).await.unwrap().ok();
        assert_eq!(retried.replayed(), happened, "{point}");
        assert_eq!(share(&host, &key).await.unwrap().text, retried.text);
        let (_, ledger) = host.holds();
        assert_eq!(
            ledger["events"], 1,
            "{point}: one seed, however often it was sent"
        );
    }
}

/// One event and one answer, or neither: for each kind of command that others wait for.
#[tokio::test]
async fn a_crash_in_a_vote_or_an_objection_leaves_all_or_nothing() {
    for (point, happened) in [("before_commit", false), ("after_commit", true)] {
        for act in ["votes", "objections"] {
            let dir = tempfile::tempdir().unwrap();
            let host = on(&dir).start();
            let (gate, body) = if act == "votes" {
                (host.at_a_vote().await.1, json!({"choice": "yes"}))
            } else {
                let entity = host.seed("tuntaskan").await;
                host.join("wati", &entity, "participant").await.ok();
                let gate = host.propose("sari", &entity, "bahas").await.ok();
                (gate.field("transition_id"), json!({"reason": "Not yet."}))
            };
            let (path, key) = (format!("/v1/transitions/{gate}/{act}"), new_key());
            let send = async |host: &Host| {
                host.request("wati", Method::POST, &path)
                    .key(&key)
                    .raw(body.to_string())
                    .try_send()
                    .await
            };
            let (_, ledger) = host.holds();
            let before = ledger["events"].as_u64().unwrap();
            host.kill();

            let mut host = on(&dir).env("GOTONG_CRASH_AT", point).start();
            assert!(send(&host).await.is_err(), "{act} {point}");
            assert!(!host.ended().success());
            let ledger = stopped(&dir, &["audit", "verify"]);
            assert_eq!(
                (&ledger["ok"], ledger["events"].as_u64().unwrap()),
                (&json!(true), before + u64::from(happened)),
                "{act} {point}"
            );

            let host = on(&dir).start();
            let again = send(&host).await.unwrap().ok();
            assert_eq!(again.replayed(), happened, "{act} {point}");
            assert_eq!(send(&host).await.unwrap().text, again.text);
            if act == "votes" {
                host.vote("wati", &gate, "no")
                    .await
                    .is(409, "already_voted");
                host.wait_hours(48).await;
                let tally = &host.transition(&gate).await["gate"]["vote_tally"];
                assert_eq!(*tally, json!({"yes": 1, "no": 0, "abstain": 0}), "{point}");
            } else {
                let open = host.transition(&gate).await;
                assert_eq!(
                    (&open["gate"]["objections"], &open["gate"]["gate_type"]),
                    (&json!(1), &json!("vote")),
                    "{point}"
                );
            }
            host.holds();
        }
    }
}

const PEOPLE: usize = 200;
const ANSWERED_BEFORE_THE_KILL: usize = 5;

#[tokio::test]
async fn a_host_killed_under_load_keeps_every_answer_it_gave() {
    let dir = tempfile::tempdir().unwrap();
    let host = on(&dir).start();
    let entity = host.seed("tuntaskan").await;
    let path = format!("/v1/entities/{entity}/relations");
    let body = json!({"relation": "saksi"}).to_string();
    let keys: Vec<(String, String)> = (0..PEOPLE)
        .map(|n| (format!("person-{n}"), new_key()))
        .collect();
    let send = async |host: &Host, who: &str, key: &str| {
        host.request(who, Method::POST, &path)
            .key(key)
            .raw(body.clone())
            .try_send()
            .await
    };
    let answered = AtomicUsize::new(0);
    let answers = futures_util::future::join_all(keys.iter().map(async |(who, key)| {
        let answer = send(&host, who, key).await;
        let so_far = answered.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed) + 1;
        if answer.is_ok() && so_far == ANSWERED_BEFORE_THE_KILL {
            signal(host.id(), "-9");
        }
        answer
    }))
    .await;
    let lost = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(
        lost >= 1 && PEOPLE - lost >= ANSWERED_BEFORE_THE_KILL,
        "{lost} of {PEOPLE} without an answer"
    );
    drop(host);
    let host = on(&dir).start();
    for ((who, key), before) in keys.iter().zip(answers) {
        let after = send(&host, who, key).await.unwrap().ok();
        if let Ok(before) = before {
            assert!(
                after.replayed() && after.text == before.text,
                "what was answered is answered again"
            );
        }
    }
    let (_, ledger) = host.holds();
    assert_eq!(
        ledger["events"],
        json!(PEOPLE + 1),
        "the seed and every relation, each once"
    );
}

#[tokio::test]
async fn a_timer_that_fell_due_while_the_host_was_down_runs_late_and_once() {
    for point in ["before_commit", "after_commit"] {
        let dir = tempfile::tempdir().unwrap();
        let host = on(&dir).start();
        let entity = host.seed("tuntaskan").await;
        let gate = host
            .propose("sari", &entity, "bahas")
            .await
            .ok()
            .field("transition_id");
        host.kill();
        let mut host = on(&dir).env("GOTONG_CRASH_AT", point).start();
        let moved = host
            .request("", Method::POST, "/dev/clock")
            .raw(json!({"advance_ms": 25 * HOUR_MS}).to_string())
            .try_send()
            .await;
        assert!(
            moved.is_err(),
            "{point}: it dies right at the commit that closes the gate"
        );
        assert!(!host.ended().success());
        let ledger = stopped(&dir, &["audit", "verify"]);
        let closed = i32::from(point == "after_commit");
        assert_eq!(
            (&ledger["ok"], &ledger["events"]),
            (&json!(true), &json!(2 + closed)),
            "{point}"
        );
        let host = on(&dir).start();
        host.wait_hours(26).await;
        host.wait_hours(26).await;
        let closed = host.transition(&gate).await;
        assert_eq!(
            (&closed["status"], host.stage(&entity).await.as_str()),
            (&json!("applied"), "bahas"),
            "{point}"
        );
        let events = host.get("admin/admin", "/v1/audit/events").await.ok().text;
        assert_eq!(
            events.matches("transition_applied").count(),
            2,
            "{point}: one event: its row and its body name the kind"
        );
        host.holds();
    }
}

#[tokio::test]
async fn a_store_is_audited_while_its_host_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let host = on(&dir).start();
    let (_, gate) = host.at_a_vote().await;
    host.vote("sari", &gate, "yes").await.ok();
    let (live, _) = host.holds();
    host.kill();
    assert_eq!(stopped(&dir, &["replay"])["match"], live["match"]);
    let ledger = stopped(&dir, &["audit", "verify"]);
    assert_eq!(ledger["ok"], true);
    assert!(
        ledger["commitments"].as_u64().unwrap() > 0,
        "with the store at hand, the personal values are compared too"
    );
    let nothing = gotong(&["replay", "--data", "/nowhere/at/all"])
        .output()
        .unwrap();
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn an_auditor_changes_nothing_and_takes_no_folder_for_a_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a-file"), "mine").unwrap();
    for command in [&["replay"][..], &["audit", "verify"]] {
        let data = folder.path().display().to_string();
        let output = gotong(command).args(["--data", &data]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["a-file"]);
}
