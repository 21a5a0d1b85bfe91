//! One effect per (scope, request id), and the same answer as often as it is asked for.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{host, new_key};
use reqwest::Method;
use serde_json::json;

fn seed() -> String {
    json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"}).to_string()
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_has_one_effect() {
    let host = host();
    let key = new_key();
    let send = |body: String| {
        host.request("sari", Method::POST, "/v1/entities")
            .key(&key)
            .raw(body)
            .send()
    };
    let first = send(seed()).await.ok();
    let again = send(seed()).await.ok();
    assert!(!first.replayed() && again.replayed());
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    let spaced = r#"{ "title":"A seed",  "scope_id":"id/jabar", "track":"tuntaskan" }"#;
    assert_eq!(
        send(spaced.into()).await.text,
        first.text,
        "spacing and order are not the request"
    );
    let alias = host
        .request("sari", Method::POST, "/api/v1/entities")
        .header("X-Request-Id", &key)
        .raw(seed())
        .send()
        .await;
    assert_eq!(
        alias.text, first.text,
        "under /api/v1 it is the same request"
    );
    let (_, ledger) = host.holds();
    assert_eq!(
        (&ledger["streams"], &ledger["events"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_refusal_is_answered_again_too() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let body = json!({"entity_id": entity, "to_stage": "bahas"}).to_string();
    let key = new_key();
    let send = || {
        host.request("dewi", Method::POST, "/v1/transitions")
            .key(&key)
            .raw(body.clone())
            .send()
    };
    let first = send().await;
    host.join("dewi", &entity, "saksi").await.ok();
    let again = send().await;
    assert_eq!((first.status.as_u16(), &first.text), (403, &again.text));
    assert!(again.replayed());
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_actor() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let key = new_key();
    let path = format!("/v1/entities/{entity}/relations");
    let take = |who: &'static str, relation: &str| {
        host.request(who, Method::POST, &path)
            .key(&key)
            .raw(json!({"relation": relation}).to_string())
            .send()
    };
    let first = take("budi", "saksi").await.ok();
    take("budi", "participant")
        .await
        .is(422, "idempotency_key_reused");
    let other = take("wati", "saksi").await.is(409, "idempotency_key_taken");
    assert!(
        !other.text.contains("budi") && !other.text.contains(&first.field("relation")),
        "nothing of the first is shown"
    );
    host.propose("sari", &entity, "bahas").await.ok();
    let elsewhere = host
        .request("sari", Method::POST, "/v1/transitions")
        .key(&key)
        .raw(json!({"entity_id": entity, "to_stage": "bahas"}).to_string())
        .send()
        .await;
    elsewhere.is(409, "idempotency_key_taken");
}

#[tokio::test]
async fn two_hundred_parallel_copies_have_one_effect() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let key = new_key();
    let path = format!("/v1/entities/{entity}/relations");
    let copies = (0..200).map(|_| {
        host.request("budi", Method::POST, &path)
            .key(&key)
            .raw(json!({"relation": "saksi"}).to_string())
            .send()
    });
    let answers = futures_util::future::join_all(copies).await;
    let first = answers[0].clone().ok();
    assert!(
        answers
            .iter()
            .all(|answer| (answer.status, &answer.text) == (first.status, &first.text))
    );
    assert_eq!(
        answers.iter().filter(|answer| !answer.replayed()).count(),
        1,
        "one of them did it"
    );
    let (_, ledger) = host.holds();
    assert_eq!(ledger["events"], 2, "the seed and one relation");
}

#[tokio::test]
async fn a_write_needs_a_key_of_the_right_form() {
    let host = host();
    let send = |key: &str| {
        let request = host
            .request("sari", Method::POST, "/v1/entities")
            .raw(seed());
        if key.is_empty() {
            request
        } else {
            request.key(key)
        }
        .send()
    };
    send("").await.is(400, "request_id_required");
    send("1234567").await.is(400, "request_id_invalid");
    send(&"x".repeat(129)).await.is(400, "request_id_invalid");
    send("with space!").await.is(400, "request_id_invalid");
    send("timer:abcdefgh:1")
        .await
        .is(400, "request_id_reserved");
    send("12345678").await.ok();
    send(&"x".repeat(128)).await.ok();
    let both = host
        .request("sari", Method::POST, "/v1/entities")
        .key("first-key")
        .header("X-Request-Id", "second-key")
        .raw(seed());
    both.send().await.is(400, "request_id_invalid");
}

#[tokio::test]
async fn both_ids_are_echoed() {
    let host = host();
    let request = host
        .request("sari", Method::POST, "/v1/entities")
        .key("echo-me-please")
        .header("X-Correlation-Id", "corr-1")
        .raw(seed());
    let answer = request.send().await.ok();
    assert_eq!(answer.headers["x-request-id"], "echo-me-please");
    assert_eq!(answer.headers["x-correlation-id"], "corr-1");
    let made = host.get("", "/v1/nothing-here").await.is(404, "not_found");
    assert_eq!(
        made.json["correlation_id"],
        made.headers["x-correlation-id"].to_str().unwrap()
    );
    host.request("", Method::GET, "/health/live")
        .header("X-Correlation-Id", "no spaces, please")
        .send()
        .await
        .is(400, "correlation_id_invalid");
}
