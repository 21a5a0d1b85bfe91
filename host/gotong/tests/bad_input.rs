//! What must be refused, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{dev_secret, host, new_key, now_s, sign};
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

fn claims() -> Value {
    json!({"sub": "sari", "username": "Sari", "role": "user", "iss": "gotong", "aud": "gotong", "exp": now_s() + 600})
}

#[tokio::test]
async fn an_invalid_token_is_never_anonymous() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let path = format!("/v1/entities/{entity}");
    let with = |header: String| {
        host.request("", Method::GET, &path)
            .header("Authorization", &header)
            .send()
    };
    host.get("", &path).await.ok();
    for header in [
        "garbage",
        "Bearer",
        "Bearer ",
        "Bearer not.a.token",
        "Basic c2FyaTpzYXJp",
    ] {
        with(header.into()).await.is(401, "token_invalid");
    }
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        format!("Bearer {}", sign(&claims, Algorithm::HS256, dev_secret()))
    };
    with(changed("exp", json!(now_s() - 3_600)))
        .await
        .is(401, "token_expired");
    with(changed("iss", json!("someone")))
        .await
        .is(401, "token_invalid");
    with(changed("aud", json!("elsewhere")))
        .await
        .is(401, "token_invalid");
    with(changed("role", json!("emperor")))
        .await
        .is(401, "token_invalid");
    with(changed("role", json!("system")))
        .await
        .is(401, "token_invalid");
    with(changed("sub", json!("")))
        .await
        .is(401, "token_invalid");
    with(changed("nbf", json!(now_s() + 3_600)))
        .await
        .is(401, "token_invalid");
    with(format!(
        "Bearer {}",
        sign(&claims(), Algorithm::HS384, dev_secret())
    ))
    .await
    .is(401, "token_algorithm");
    with(format!(
        "Bearer {}",
        sign(&claims(), Algorithm::HS256, &"another-secret".repeat(4))
    ))
    .await
    .is(401, "token_invalid");
    // alg: none, signed by nobody
    with("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzYXJpIn0.".into())
        .await
        .is(401, "token_invalid");
    let mut no_expiry = claims();
    no_expiry.as_object_mut().unwrap().remove("exp");
    with(format!(
        "Bearer {}",
        sign(&no_expiry, Algorithm::HS256, dev_secret())
    ))
    .await
    .is(401, "token_invalid");
    with(format!(
        "Bearer {}",
        sign(&claims(), Algorithm::HS256, dev_secret())
    ))
    .await
    .ok();
}

#[tokio::test]
async fn a_write_needs_a_token() {
    let host = host();
    let answer = host
        .post("", "/v1/entities", json!({}))
        .await
        .is(401, "token_required");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_role_or_relation_cannot_be_claimed_in_a_body() {
    let host = host();
    let seed = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"});
    for (field, value) in [
        ("role", json!("admin")),
        ("relations", json!(["pic"])),
        ("author", json!("budi")),
        ("created_at_ms", json!(1)),
        ("stage", json!("tuntas")),
    ] {
        let mut body = seed.clone();
        body[field] = value;
        let answer = host
            .post("sari", "/v1/entities", body)
            .await
            .is(422, "unknown_field");
        assert!(
            answer.field("detail").contains(field),
            "it is named: {}",
            answer.text
        );
    }
    let entity = host.seed("tuntaskan").await;
    for (field, value) in [
        ("role", json!("admin")),
        ("relation", json!("pic")),
        ("evidence", json!(3)),
        ("has_pic", json!(true)),
    ] {
        let mut body = json!({"entity_id": entity, "to_stage": "bahas"});
        body[field] = value;
        host.post("dewi", "/v1/transitions", body)
            .await
            .is(422, "unknown_field");
    }
    for relation in ["author", "pic", "bendahara", "humas"] {
        assert_eq!(
            host.join("dewi", &entity, relation).await.status,
            403,
            "{relation}"
        );
    }
    host.join("dewi", &entity, "owner")
        .await
        .is(422, "invalid_field");
}

#[tokio::test]
async fn a_body_is_json_of_a_bounded_size() {
    let host = host();
    let send = |body: String| {
        host.request("sari", Method::POST, "/v1/entities")
            .key(&new_key())
            .raw(body)
            .send()
    };
    send("{".into()).await.is(400, "malformed_json");
    send(r#"{"track":"tuntaskan","title":"A","scope_id":"id"} trailing"#.into())
        .await
        .is(400, "malformed_json");
    send("[]".into()).await.is(422, "invalid_field");
    send("{}".into()).await.is(422, "invalid_field");
    send(json!({"title": "x".repeat(1024 * 1024)}).to_string())
        .await
        .is(413, "body_too_large");
    let plain = host
        .request("sari", Method::POST, "/v1/entities")
        .key(&new_key())
        .header("Content-Type", "text/plain")
        .send()
        .await;
    plain.is(415, "json_required");
    let seed = |title: &str, scope: &str, text: &str| {
        json!({"track": "tuntaskan", "title": title, "scope_id": scope, "text": text}).to_string()
    };
    send(seed("", "id", "")).await.is(422, "invalid_field");
    send(seed(&"x".repeat(201), "id", ""))
        .await
        .is(422, "invalid_field");
    send(seed("x", "id", &"x".repeat(2_001)))
        .await
        .is(422, "invalid_field");
    send(seed("x", "a/b/c/d/e/f/g/h", ""))
        .await
        .is(422, "invalid_field");
    send(seed(&"x".repeat(200), "a/b/c/d/e/f/g", &"x".repeat(2_000)))
        .await
        .ok();
}

#[tokio::test]
async fn a_stage_must_be_the_next_one() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    host.propose("sari", &entity, "nirvana")
        .await
        .is(422, "invalid_field");
    let refused = |answer: harness::Answer| {
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert!(
            !answer.field("rule").is_empty()
                && !answer.field("rule_text").is_empty()
                && !answer.field("decision_id").is_empty()
        );
        answer.field("code")
    };
    assert_eq!(
        refused(host.propose("sari", &entity, "keresahan").await),
        "same_stage"
    );
    assert_eq!(
        refused(host.propose("sari", &entity, "gagasan").await),
        "track_change_not_allowed"
    );
    assert_eq!(
        refused(host.propose("sari", &entity, "jalankan").await),
        "track_change_not_allowed"
    );
    assert_eq!(
        refused(host.propose("sari", &entity, "garap").await),
        "stage_skipped"
    );
    let gate = host
        .propose("sari", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    host.propose("sari", &entity, "bahas")
        .await
        .is(409, "gate_open");
    host.wait_hours(24).await;
    assert_eq!(host.transition(&gate).await["status"], "applied");
    assert_eq!(
        refused(host.propose("sari", &entity, "keresahan").await),
        "stage_backward"
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let host = host();
    let nowhere = "0190f3d0-0000-7000-8000-000000000000";
    for path in ["/v1/entities/", "/v1/transitions/", "/v1/decisions/"] {
        host.get("sari", &format!("{path}{nowhere}"))
            .await
            .is(404, "not_found");
    }
    host.propose("sari", nowhere, "bahas")
        .await
        .is(404, "not_found");
    host.vote("sari", nowhere, "yes").await.is(404, "not_found");
    host.join("sari", nowhere, "saksi")
        .await
        .is(404, "not_found");
    host.get("sari", "/v1/nothing").await.is(404, "not_found");
    host.request("sari", Method::PATCH, "/v1/entities")
        .send()
        .await
        .is(405, "method_not_allowed");
    host.get("sari", "/v1/transitions?limit=51")
        .await
        .is(400, "invalid_query");
    host.get("sari", "/v1/transitions?colour=red")
        .await
        .is(400, "invalid_query");
    host.get("sari", "/v1/transitions?status=broken")
        .await
        .is(400, "invalid_query");
    host.get("sari", "/v1/transitions?after=nonsense")
        .await
        .is(400, "invalid_cursor");
}

#[tokio::test]
async fn evidence_must_hold_together() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let now = || jiff::Timestamp::now().to_string();
    let submit = |who: &'static str, kind: &str, data: Value, proof: Value| {
        host.post(who, "/v1/evidence", json!({"entity_id": entity, "evidence_type": kind, "evidence_data": data, "proof": proof}))
    };
    let gps = json!({"lat": -6.3, "lon": 106.8});
    submit(
        "sari",
        "gps_verification",
        gps.clone(),
        json!({"timestamp": now()}),
    )
    .await
    .ok();
    submit(
        "sari",
        "gps_verification",
        gps.clone(),
        json!({"timestamp": "2999-01-01T00:00:00Z"}),
    )
    .await
    .is(422, "evidence_in_the_future");
    submit(
        "sari",
        "gps_verification",
        gps.clone(),
        json!({"timestamp": "2020-01-01T00:00:00Z"}),
    )
    .await
    .is(422, "evidence_too_old");
    submit(
        "sari",
        "gps_verification",
        json!({"lat": 91.0, "lon": 0.0}),
        json!({"timestamp": now()}),
    )
    .await
    .is(422, "invalid_field");
    submit("sari", "gps_verification", gps.clone(), json!({}))
        .await
        .is(422, "invalid_field");
    submit(
        "sari",
        "gps_verification",
        gps.clone(),
        json!({"timestamp": now(), "verified": true}),
    )
    .await
    .is(422, "unknown_field");
    submit(
        "sari",
        "photo_of_a_cat",
        gps.clone(),
        json!({"timestamp": now()}),
    )
    .await
    .is(422, "invalid_field");
    submit(
        "sari",
        "witness_attestation",
        json!({}),
        json!({"timestamp": now(), "witnesses": []}),
    )
    .await
    .is(422, "invalid_field");
    let stranger = submit("dewi", "gps_verification", gps, json!({"timestamp": now()})).await;
    assert_eq!(stranger.status, 403, "{}", stranger.text);
}

#[tokio::test]
async fn the_clock_is_moved_only_by_a_whole_request() {
    let host = host();
    let send = |body: &str| {
        host.request("", Method::POST, "/dev/clock")
            .raw(body)
            .send()
    };
    send("{}").await.is(422, "invalid_field");
    send(r#"{"advance_ms": -1}"#).await.is(422, "invalid_field");
    send(r#"{"advance_ms": 999999999999999}"#)
        .await
        .is(422, "invalid_field");
    send(r#"{"advance_ms": 1}"#).await.ok();
}

#[tokio::test]
async fn an_answer_does_not_grow_with_what_it_quotes() {
    let host = host();
    let long = "f".repeat(900_000);
    for body in [
        json!({ &long: 1 }),
        json!({"track": long, "title": "T", "scope_id": "id"}),
        json!({"track": "tuntaskan", "title": "T", "scope_id": {"a": {"b": long}}}),
    ] {
        let refused = host.post("sari", "/v1/entities", body).await;
        assert_eq!(refused.status, 422, "{}", &refused.text[..100]);
        assert!(refused.text.len() < 3_000, "{} bytes", refused.text.len());
        assert!(refused.text.contains('\u{2026}') || !refused.text.contains("fff"));
    }
}

#[tokio::test]
async fn a_client_is_told_in_its_own_words() {
    let host = host();
    for (body, says) in [
        ("null", "expected an object"),
        (
            r#"{"entity_id": "e", "to_stage": "bahas", "challenge_window_hours": -1}"#,
            "expected a whole number",
        ),
    ] {
        let request = host.request("sari", Method::POST, "/v1/transitions");
        let refused = request.key(&new_key()).raw(body.to_owned()).send().await;
        let refused = refused.is(422, "invalid_field");
        assert!(refused.text.contains(says), "{}", refused.text);
    }
    let refused = host.get("sari", "/v1/transitions?limit=x").await;
    let refused = refused.is(400, "invalid_query");
    assert!(!refused.text.contains("deserialize"), "{}", refused.text);
}
