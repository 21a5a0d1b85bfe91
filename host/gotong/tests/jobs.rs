//! Jobs of a running host: what admins see and do, over HTTP and at the command line; roles; kill -9.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::process::Output;
use std::time::Duration;

use harness::{HOUR_MS, Host, Setup, gotong, host, new_key, signal, token};
use reqwest::Method;
use serde_json::{Value, json};

/// A gate whose timer waits: the ids of its entity, its transition and its job.
async fn with_a_timer(host: &Host) -> (String, String, String) {
    let entity = host.seed("tuntaskan").await;
    let gate = host.propose("sari", &entity, "bahas").await.ok();
    let transition = gate.field("transition_id");
    let closes_at_ms = gate.json["gate"]["closes_at_ms"].as_i64().unwrap();
    let job = format!("timer:{transition}:{closes_at_ms}");
    (entity, transition, job)
}

fn jobs(host: &Host, args: &[&str]) -> Output {
    gotong(&[&["jobs"], args].concat())
        .args(["--url", &host.base, "--token", &token("ops/admin")])
        .output()
        .unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out} {err}");
    (out, err)
}

#[tokio::test]
async fn admins_and_services_see_jobs_and_nobody_else_does() {
    let host = host();
    let (entity, transition, job) = with_a_timer(&host).await;
    for path in ["/v1/admin/jobs".to_owned(), format!("/v1/admin/jobs/{job}")] {
        host.get("", &path).await.is(401, "token_required");
        host.get("sari", &path).await.is(403, "role_not_held");
        host.get("budi/moderator", &path)
            .await
            .is(403, "role_not_held");
        host.get("ops/service", &path).await.ok();
    }
    let seen = host
        .get("ops/admin", &format!("/v1/admin/jobs/{job}"))
        .await;
    let seen = seen.ok().json;
    assert_eq!(
        (&seen["kind"], &seen["state"], &seen["attempts"]),
        (&json!("close_gate"), &json!("pending"), &json!(0))
    );
    assert_eq!(seen["request_id"], *job);
    assert_eq!(
        (&seen["stream"], &seen["payload"]["transition_id"]),
        (&json!(entity), &json!(transition))
    );
    assert!(seen["correlation_id"].is_string());
    let page = host
        .get("ops/admin", "/v1/admin/jobs?state=pending")
        .await
        .ok();
    assert_eq!(page.json["jobs"], json!([seen]));
    assert_eq!(
        (
            &page.json["queue"]["waiting"],
            &page.json["queue"]["due"],
            &page.json["next"]
        ),
        (&json!(1), &json!(0), &Value::Null)
    );
}

#[tokio::test]
async fn a_list_of_jobs_is_read_page_by_page() {
    let host = host();
    for _ in 0..3 {
        with_a_timer(&host).await;
    }
    for state in ["?limit=2", "?limit=2&state=pending"] {
        let first = host
            .get("ops/admin", &format!("/v1/admin/jobs{state}"))
            .await
            .ok();
        let next = first.field("next");
        let second = host
            .get("ops/admin", &format!("/v1/admin/jobs{state}&after={next}"))
            .await;
        let second = second.ok();
        let ids = |page: &Value| -> Vec<String> {
            let jobs = page["jobs"].as_array().unwrap();
            jobs.iter().map(|job| job["job_id"].to_string()).collect()
        };
        let mut all = [ids(&first.json), ids(&second.json)].concat();
        assert_eq!(
            (all.len(), &second.json["next"]),
            (3, &Value::Null),
            "{state}"
        );
        all.dedup();
        assert_eq!(all.len(), 3);
    }
    for empty in ["done", "cancelled", "dead"] {
        let page = host
            .get("ops/admin", &format!("/v1/admin/jobs?state={empty}"))
            .await;
        assert_eq!(page.ok().json["jobs"], json!([]), "{empty}");
    }
    for bad in [
        "state=lost",
        "limit=0",
        "limit=51",
        "limit=-1",
        "colour=red",
    ] {
        let page = host
            .get("ops/admin", &format!("/v1/admin/jobs?{bad}"))
            .await;
        page.is(400, "invalid_query");
    }
    for forged in ["nonsense", "x:timer"] {
        let path = format!("/v1/admin/jobs?state=pending&after={forged}");
        host.get("ops/admin", &path).await.is(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn what_cannot_be_done_about_a_job_is_said_and_changes_nothing() {
    let host = host();
    let (entity, transition, job) = with_a_timer(&host).await;
    let act = async |who: &str, job: &str, act: &str, body: Value| {
        host.post(who, &format!("/v1/admin/jobs/{job}/{act}"), body)
            .await
    };
    act("", &job, "retry", json!({}))
        .await
        .is(401, "token_required");
    act("sari", &job, "retry", json!({}))
        .await
        .is(403, "role_not_held");
    act("sari", &job, "cancel", json!({"force": true}))
        .await
        .is(403, "role_not_held");
    act("ops/admin", "timer:nobody:1", "retry", json!({}))
        .await
        .is(404, "not_found");
    act("ops/admin", "timer:nobody:1", "cancel", json!({}))
        .await
        .is(404, "not_found");
    act("ops/admin", "%2E%2E%2Fentities", "cancel", json!({}))
        .await
        .is(404, "not_found");
    act("ops/admin", &job, "retry", json!({}))
        .await
        .is(409, "job_waits");
    act("ops/admin", &job, "cancel", json!({}))
        .await
        .is(409, "job_needed");
    act("ops/admin", &job, "cancel", json!({"force": "yes"}))
        .await
        .is(422, "invalid_field");
    act("ops/admin", &job, "cancel", json!({"why": 1}))
        .await
        .is(422, "unknown_field");
    let keyless = host.request(
        "ops/admin",
        Method::POST,
        &format!("/v1/admin/jobs/{job}/retry"),
    );
    keyless.send().await.is(400, "request_id_required");

    host.wait_hours(25).await;
    assert_eq!(host.stage(&entity).await, "bahas");
    assert_eq!(host.transition(&transition).await["status"], "applied");
    let done = host
        .get("ops/admin", &format!("/v1/admin/jobs/{job}"))
        .await
        .ok();
    assert_eq!(done.json["state"], "done");
    act("ops/admin", &job, "retry", json!({}))
        .await
        .is(409, "job_over");
    act("ops/service", &job, "cancel", json!({"force": true}))
        .await
        .is(409, "job_over");
    host.holds();
}

/// Whoever may do nothing about jobs leaves a decision and an answer behind: about an id that a job can have, and nothing
/// else.
#[tokio::test]
async fn what_can_be_no_jobs_id_is_the_id_of_nothing_and_is_kept_nowhere() {
    let host = host();
    with_a_timer(&host).await;
    let kept = async || {
        let counts = host.get("ops/admin", "/v1/audit/counts").await.ok().json;
        (counts["decisions"].clone(), counts["responses"].clone())
    };
    let before = kept().await;
    for id in [
        &"x".repeat(9_000),
        &"x".repeat(129),
        "%00",
        "a%E2%80%AEb",
        "%FF",
        "a%2Fb",
        "%20",
    ] {
        for who in ["dewi", "ops/admin"] {
            for act in ["retry", "cancel"] {
                host.post(who, &format!("/v1/admin/jobs/{id}/{act}"), json!({}))
                    .await
                    .is(404, "not_found");
            }
        }
        host.get("ops/admin", &format!("/v1/admin/jobs/{id}"))
            .await
            .is(404, "not_found");
    }
    assert_eq!(kept().await, before);
}

#[tokio::test]
async fn the_decision_about_a_job_is_read_by_the_one_who_asked() {
    let host = host();
    let refused = host
        .post("dewi", "/v1/admin/jobs/zzz/retry", json!({}))
        .await
        .is(403, "role_not_held");
    let decision = format!("/v1/decisions/{}", refused.field("decision_id"));
    let read = host.get("dewi", &decision).await.ok().json;
    assert_eq!(read["facts"]["action"], "outbox_manage", "{read}");
    assert_eq!(read["ruling"]["reason"], "role_not_held", "{read}");
    for who in ["", "joko", "mira/moderator"] {
        host.get(who, &decision).await.is(404, "not_found");
    }
    host.get("ops/admin", &decision).await.ok();
}

#[tokio::test]
async fn a_timer_is_called_off_by_one_who_insists_and_it_is_recorded() {
    let host = host();
    let (entity, transition, job) = with_a_timer(&host).await;
    let (path, key) = (format!("/v1/admin/jobs/{job}/cancel"), new_key());
    let cancel = || {
        host.request("ops/admin", Method::POST, &path)
            .key(&key)
            .raw(json!({"force": true}).to_string())
            .send()
    };
    let first = cancel().await.ok();
    assert_eq!(
        (first.status.as_u16(), &first.json["state"]),
        (200, &json!("cancelled"))
    );
    let again = cancel().await.ok();
    assert!(again.replayed() && again.text == first.text);
    let read = host
        .get("ops/admin", &format!("/v1/admin/jobs/{job}"))
        .await
        .ok();
    assert_eq!(read.json, first.json, "it was told as it is");
    let events = host.get("ops/admin", "/v1/audit/events").await.ok().json;
    let of_job: Vec<&Value> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["stream"] == format!("job:{job}"))
        .collect();
    assert_eq!(
        (of_job.len(), &of_job[0]["kind"]),
        (1, &json!("job_cancelled"))
    );
    let body = of_job[0]["body"].as_str().unwrap();
    assert!(
        body.contains("\"decisions\":[{") && !body.contains("\"ops\""),
        "{body}"
    );

    host.wait_hours(30).await;
    assert_eq!(host.transition(&transition).await["status"], "open");
    assert_eq!(host.stage(&entity).await, "keresahan");
    let retry = format!("/v1/admin/jobs/{job}/retry");
    let retry = host.post("ops/admin", &retry, json!({})).await;
    retry.is(409, "job_over");
    host.holds();
}

#[tokio::test]
async fn the_command_line_lists_shows_retries_and_cancels() {
    let host = host();
    let (_, _, job) = with_a_timer(&host).await;
    let (list, _) = ended(&jobs(&host, &["list"]), 0);
    assert!(list.starts_with("1 waiting, 0 of them due"), "{list}");
    assert!(
        list.contains(&job) && list.contains("pending close_gate"),
        "{list}"
    );
    let (list, _) = ended(&jobs(&host, &["list", "--state", "dead", "--json"]), 0);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        (&list["jobs"], &list["queue"]["waiting"]),
        (&json!([]), &json!(1))
    );
    let (shown, _) = ended(&jobs(&host, &["show", &job]), 0);
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap()["job_id"],
        *job
    );

    for (args, code, says) in [
        (vec!["show", "timer:nobody:1"], 1, "nothing here"),
        (vec!["show", "with / and ü"], 1, "nothing here"),
        (vec!["retry", "timer:nobody:1"], 1, "nothing here"),
        (vec!["retry", &job], 1, "not been tried yet"),
        (vec!["cancel", &job], 1, "send `force`"),
        (vec!["list", "--limit", "0"], 2, "1..=50"),
        (vec!["list", "--state", "lost"], 2, "lost"),
        (
            vec!["list", "--state", "pending", "--after", "x"],
            2,
            "after",
        ),
        (vec!["retry", &job, "--key", "short"], 2, "Idempotency-Key"),
    ] {
        let (out, err) = ended(&jobs(&host, &args), code);
        assert!(
            out.is_empty() && err.contains(says),
            "{args:?}: {out} {err}"
        );
    }
    let cancel = ["cancel", &job, "--force", "--key", "one-effect-only"];
    let (first, _) = ended(&jobs(&host, &cancel), 0);
    assert_eq!(
        serde_json::from_str::<Value>(&first).unwrap()["state"],
        "cancelled"
    );
    assert_eq!(
        ended(&jobs(&host, &cancel), 0).0,
        first,
        "the same request again"
    );
    let (_, err) = ended(&jobs(&host, &["retry", &job]), 1);
    assert!(err.contains("is done or was called off"), "{err}");
}

#[tokio::test]
async fn the_command_line_says_why_it_could_not_run() {
    let host = host();
    let one_line = |args: &[&str]| harness::one_line(&mut gotong(args));
    let says = one_line(&["jobs", "list", "--url", &host.base]);
    assert!(says.contains("--token"), "{says}");
    let says = one_line(&["jobs", "retry", "timer:a:1", "--url", &host.base]);
    assert!(says.contains("--token"), "{says}");
    let user = token("sari");
    let says = one_line(&["jobs", "list", "--url", &host.base, "--token", &user]);
    assert!(says.contains("403") && !says.contains('{'), "{says}");
    let says = one_line(&["jobs", "list", "--url", &host.base, "--token", "a.b.c"]);
    assert!(says.contains("401") && !says.contains('{'), "{says}");
    let says = one_line(&["jobs", "list", "--url", &host.base, "--token", "a.b.c\n"]);
    assert!(says.contains("a line break"), "{says}");
    // What stands there is another server, or the same behind a path: not the root of it.
    let elsewhere = format!("{}/prefix", host.base);
    let admin = token("admin/admin");
    let says = one_line(&["jobs", "list", "--url", &elsewhere, "--token", &admin]);
    assert!(says.contains("404"), "{says}");
    let nobody = "http://127.0.0.1:1";
    let says = one_line(&[
        "jobs",
        "cancel",
        "timer:a:1",
        "--url",
        nobody,
        "--token",
        &user,
    ]);
    assert!(says.contains("cannot be reached"), "{says}");
    let says = one_line(&["jobs", "show", "timer:a:1", "--data", "/nowhere/at/all"]);
    assert!(says.contains("no store"), "{says}");
}

#[tokio::test]
async fn a_stopped_host_s_jobs_are_read_from_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store");
    let host = Setup::default().data(&data).start();
    let (_, _, job) = with_a_timer(&host).await;
    host.kill();
    let data = data.display().to_string();
    let stopped = |args: &[&str]| {
        gotong(&[&["jobs"], args].concat())
            .args(["--data", &data])
            .output()
            .unwrap()
    };
    let (list, _) = ended(&stopped(&["list", "--state", "pending"]), 0);
    assert!(list.contains(&job), "{list}");
    let (shown, _) = ended(&stopped(&["show", &job]), 0);
    assert_eq!(
        serde_json::from_str::<Value>(&shown).unwrap()["state"],
        "pending"
    );
    ended(&stopped(&["show", "timer:nobody:1"]), 1);
    ended(&stopped(&["retry", &job]), 2);
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_job_leaves_it_to_be_done_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store");
    let on = || Setup::default().data(&data);
    let host = on().start();
    let (entity, transition, job) = with_a_timer(&host).await;
    host.kill();

    let host = on().env("GOTONG_CRASH_AT", "hang_before_commit").start();
    let moved = host
        .request("", Method::POST, "/dev/clock")
        .raw(json!({"advance_ms": 25 * HOUR_MS}).to_string());
    let (moved, ()) = tokio::join!(moved.try_send(), async {
        let path = format!("/v1/admin/jobs/{job}");
        loop {
            let seen = host.get("ops/admin", &path).await.ok().json;
            if seen["lease_owner"].is_string() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        signal(host.id(), "-9");
    });
    assert!(moved.is_err(), "it was killed with the job in hand");
    drop(host);
    let show = gotong(&["jobs", "show", &job, "--data"])
        .arg(&data)
        .output()
        .unwrap();
    let left: Value = serde_json::from_str(&ended(&show, 0).0).unwrap();
    assert_eq!(
        (&left["state"], &left["attempts"]),
        (&json!("pending"), &json!(1))
    );

    let host = on().start();
    host.wait_hours(26).await;
    host.wait_hours(26).await;
    assert_eq!(host.transition(&transition).await["status"], "applied");
    assert_eq!(host.stage(&entity).await, "bahas");
    let done = host
        .get("ops/admin", &format!("/v1/admin/jobs/{job}"))
        .await
        .ok()
        .json;
    assert_eq!(
        (&done["state"], &done["attempts"]),
        (&json!("done"), &json!(2))
    );
    let events = host.get("ops/admin", "/v1/audit/events").await.ok().text;
    assert_eq!(events.matches("\"kind\":\"transition_applied\"").count(), 1);
    host.holds();
}

#[tokio::test]
async fn an_api_host_runs_no_jobs_and_a_worker_serves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store");
    let api = Setup::default()
        .data(&data)
        .arg("--role")
        .arg("api")
        .start();
    let (entity, transition, _) = with_a_timer(&api).await;
    assert_eq!(api.wait_hours(25).await["timers_run"], 0);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(api.transition(&transition).await["status"], "open");
    api.kill();

    let worker = Setup::default()
        .data(&data)
        .env("GOTONG_ROLE", "worker")
        .start();
    worker.get("ops/admin", "/metrics").await.ok();
    for path in ["/health/live", "/health/ready"] {
        worker.get("", path).await.ok();
    }
    for path in [
        "/v1/admin/jobs",
        "/api/v1/admin/jobs",
        "/openapi.json",
        "/dev/clock",
    ] {
        worker.get("ops/admin", path).await.is(404, "not_found");
    }
    worker
        .post("sari", "/v1/entities", json!({}))
        .await
        .is(404, "not_found");
    worker.kill();

    let all = Setup::default().data(&data).start();
    all.wait_hours(26).await;
    assert_eq!(all.stage(&entity).await, "bahas");
    let refused = Setup::default().env("GOTONG_ROLE", "boss").refused();
    assert!(refused.contains("ROLE"), "{refused}");
    assert!(refused.contains("`worker`"), "{refused}");
}

#[test]
fn settings_of_jobs_are_checked() {
    for (name, value, says) in [
        ("GOTONG_JOBS__LEASE_MS", "50", "jobs.lease_ms is 50"),
        ("GOTONG_JOBS__LEASE_MS", "60000", "jobs.lease_ms is 60000"),
        ("GOTONG_JOBS__LEASE_MS", "9000", "limits.request_timeout_ms"),
        ("GOTONG_JOBS__AT_ONCE", "0", "jobs.at_once is 0"),
        ("GOTONG_JOBS__AT_ONCE", "1000", "jobs.at_once is 1000"),
    ] {
        let refused = Setup::default().env(name, value).refused();
        assert!(refused.contains(says), "{refused}");
    }
}

/// Whether a text stands in a file below a folder.
fn stands_in(folder: &std::path::Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return stands_in(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes
            .windows(text.len())
            .any(|some| some == text.as_bytes())
    })
}

#[tokio::test]
async fn nothing_is_kept_of_the_name_of_a_job_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("store");
    let host = Setup::default().data(&data).start();
    host.seed("tuntaskan").await;
    for (who, status, code) in [
        ("sari", 403, "role_not_held"),
        ("ops/admin", 404, "not_found"),
    ] {
        for act in ["cancel", "retry"] {
            // What can be no job's id is that of nothing, whoever asks.
            let path = format!("/v1/admin/jobs/Sari%20Dewi%2C%20Jl.%20Mawar%2012/{act}");
            host.post(who, &path, json!({})).await.is(404, "not_found");
            let path = format!("/v1/admin/jobs/timer:sari-dewi-jl.mawar-12:1/{act}");
            host.post(who, &path, json!({})).await.is(status, code);
        }
    }
    let decisions = host.get("ops/admin", "/v1/audit/decisions").await.ok();
    let about_jobs = decisions.text.matches("\"job:").count();
    assert_eq!(about_jobs, 4, "{}", decisions.text);
    host.holds();
    host.kill();
    assert!(stands_in(&data, "A seed"), "the folder is read");
    for text in ["Mawar", "mawar-12"] {
        assert!(!stands_in(&data, text), "{text}");
    }
}
