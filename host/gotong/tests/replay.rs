//! What an auditor can and cannot be shown.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::process::Command;

use harness::{Setup, gotong, host, root};
use serde_json::{Value, json};

#[test]
fn the_demo_holds_and_says_so_in_one_object() {
    let output = gotong(&["demo", "--json"]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&String> = summary.as_object().unwrap().keys().collect();
    assert_eq!(names, ["decisions", "ledger", "refused", "replay", "steps"]);
    assert!(summary["steps"].as_u64().unwrap() > 40 && summary["refused"].as_u64().unwrap() >= 8);
    assert_eq!(
        summary["replay"],
        json!({"match": summary["decisions"], "diverged": 0, "not_replayable": 0})
    );
    assert_eq!(summary["ledger"]["ok"], true);
}

#[tokio::test]
async fn a_policy_sees_facts_and_not_people() {
    let host = host();
    let told = [
        "Zebedeus",
        "zebedeus",
        "Quagmire",
        "gutter",
        "id/zzz",
        "-6.31337",
        "Let us talk first",
        "key-of-the-seed",
    ];
    let seed = json!({"track": "tuntaskan", "title": "Quagmire", "text": "the gutter", "scope_id": "id/zzz"});
    let entity = host
        .request("zebedeus", reqwest::Method::POST, "/v1/entities")
        .key("key-of-the-seed")
        .raw(seed.to_string())
        .send()
        .await
        .ok()
        .field("entity_id");
    host.join("wati", &entity, "participant").await.ok();
    let gate = host
        .propose("zebedeus", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    host.object("wati", &gate).await.ok();
    host.vote("zebedeus", &gate, "yes").await.ok();
    let evidence = json!({"entity_id": entity, "evidence_type": "gps_verification", "evidence_data": {"lat": -6.31337, "lon": 1.0}, "proof": {"timestamp": jiff::Timestamp::now().to_string()}});
    host.post("wati", "/v1/evidence", evidence).await.ok();
    host.wait_hours(48).await;
    let decisions = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    assert!(decisions.as_array().unwrap().len() > 10);
    for decision in decisions.as_array().unwrap() {
        let input = decision["input"].as_str().unwrap();
        for word in told.iter().chain(&[entity.as_str(), gate.as_str(), "wati"]) {
            assert!(!input.contains(word), "`{word}` in {input}");
        }
    }
    let events = host.get("admin/admin", "/v1/audit/events").await.ok().text;
    for word in [
        "Quagmire",
        "gutter",
        "-6.31337",
        "Let us talk first",
        "zebedeus",
    ] {
        assert!(!events.contains(word), "`{word}` stands in an event");
    }
}

#[tokio::test]
async fn a_tampered_decision_diverges_and_a_changed_module_does_not_pass() {
    let data = tempfile::tempdir().unwrap();
    let setup = || Setup::default().data(&data.path().join("store"));
    let host = setup().start();
    let entity = host.seed("tuntaskan").await;
    host.propose("dewi", &entity, "bahas")
        .await
        .is(403, "not_related");
    let decisions = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    host.kill();
    let golden = tempfile::tempdir().unwrap();
    let write = |rows: &[Value]| {
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        std::fs::write(golden.path().join("some.ndjson"), lines.join("\n")).unwrap();
    };
    let with_golden = || setup().env("GOTONG_GOLDEN_DIR", golden.path().display().to_string());
    let rows = decisions.as_array().unwrap();
    write(rows);
    drop(with_golden().start());
    let refusal = rows
        .iter()
        .position(|row| row["output"].as_str().unwrap().contains("deny"))
        .unwrap();
    let mut forged = rows.clone();
    forged[refusal]["output"] = json!(
        rows[refusal]["output"]
            .as_str()
            .unwrap()
            .replace("deny", "allow")
    );
    write(&forged);
    let says = with_golden().refused();
    assert!(
        says.contains(rows[refusal]["decision_id"].as_str().unwrap())
            && says.contains("does not replay"),
        "{says}"
    );
    // With digests that fit the forged output, the evaluation itself gives it away.
    let digest = |text: &str| gotong_engine::Digest::of(text).to_string();
    forged[refusal]["output_digest"] = json!(digest(forged[refusal]["output"].as_str().unwrap()));
    write(&forged);
    let says = with_golden().refused();
    assert!(
        says.contains("output") && says.contains("does not replay"),
        "{says}"
    );
}

#[tokio::test]
async fn a_lock_in_a_folder_that_is_elsewhere_is_found_from_below() {
    let output = Command::new(env!("CARGO_BIN_EXE_gotong"))
        .current_dir(root().join("host/gotong/src"))
        .args(["demo", "--json"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn an_auditor_without_the_right_is_told_so_in_one_line() {
    let host = host();
    for (token, code) in [
        (harness::token("dewi"), "403"),
        ("garbage".to_owned(), "401"),
    ] {
        let output = gotong(&["replay", "--url", &host.base, "--token", &token])
            .output()
            .unwrap();
        let says = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            says.contains(code) && says.trim().lines().count() == 1,
            "{says}"
        );
    }
    let output = gotong(&[
        "audit",
        "verify",
        "--url",
        "http://127.0.0.1:1",
        "--token",
        "x",
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn ids_and_times_are_minted_once_a_command() {
    let host = host();
    let (_, gate) = host.at_a_vote().await;
    host.vote("sari", &gate, "yes").await.ok();
    host.wait_hours(48).await;
    let events = host.get("admin/admin", "/v1/audit/events").await.ok().json;
    let decisions = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    let bodies: Vec<Value> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| serde_json::from_str(event["body"].as_str().unwrap()).unwrap())
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    let mut times = std::collections::BTreeMap::new();
    for (row, id) in bodies.iter().map(|body| (body, &body["event_id"])).chain(
        decisions
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row, &row["decision_id"])),
    ) {
        let id = id.as_str().unwrap();
        assert_eq!(&id[14..15], "7", "UUIDv7: {id}");
        assert!(ids.insert(id.to_owned()), "{id} was minted twice");
        let at_ms = row["at_ms"].as_i64().unwrap();
        let request = row["request_id"].as_str().unwrap().to_owned();
        assert_eq!(
            *times.entry(request).or_insert(at_ms),
            at_ms,
            "one command, one now"
        );
    }
    assert!(times.len() >= 6 && ids.len() > 12);
}

#[tokio::test]
async fn kept_rulings_are_decisions_like_any_other() {
    let host = Setup::default().env("GOTONG_RULINGS_CACHE", "1000").start();
    // The same matter twice over: the second asks the gate what the first asked.
    for _ in 0..2 {
        let (_, transition) = host.at_a_vote().await;
        host.vote("sari", &transition, "yes").await.ok();
    }
    let (replayed, verified) = host.holds();
    assert_eq!(replayed["diverged"], 0, "{replayed}");
    assert!(replayed["match"].as_u64().unwrap() > 10, "{replayed}");
    assert_eq!(verified["ok"], true, "{verified}");
}
