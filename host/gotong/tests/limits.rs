//! What a client that is hasty, broken or hostile gets: an answer it can read, and nothing of anybody else's.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::FutureExt;
use harness::{Answer, Host, Setup, host, new_key, sign, token};
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

fn seed() -> Value {
    json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"})
}

/// A refusal as every client can read it.
#[track_caller]
fn is_a_problem(answer: &Answer, statuses: &[u16], what: &str) {
    assert!(
        statuses.contains(&answer.status.as_u16()),
        "{what}: {} {}",
        answer.status,
        answer.text
    );
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{what}: {}",
        answer.text
    );
    assert_eq!(answer.json["status"], answer.status.as_u16(), "{what}");
    assert!(!answer.field("code").is_empty(), "{what}");
}

#[tokio::test]
async fn a_copy_of_a_running_request_is_told_to_come_again() {
    let host = Setup::default()
        .env("GOTONG_LIMITS__SAME_REQUEST_WAIT_MS", "0")
        .start();
    let mut told = 0;
    for _ in 0..10 {
        let key = new_key();
        let send = || {
            host.request("sari", Method::POST, "/v1/entities")
                .key(&key)
                .raw(seed().to_string())
                .send()
        };
        let answers = futures_util::future::join_all((0..50).map(|_| send())).await;
        let (done, running): (Vec<Answer>, Vec<Answer>) =
            answers.into_iter().partition(|answer| answer.status == 201);
        let first = done.first().unwrap();
        assert!(done.iter().all(|answer| answer.text == first.text));
        assert_eq!(
            done.iter().filter(|answer| !answer.replayed()).count(),
            1,
            "one of them did it"
        );
        for answer in running {
            assert_eq!(answer.headers["retry-after"], "1");
            answer.is(409, "request_in_progress");
            told += 1;
        }
        let again = send().await.ok();
        assert_eq!((again.replayed(), &again.text), (true, &first.text));
        if told > 0 {
            break;
        }
    }
    assert!(told > 0, "not one of 500 copies met a running request");
    host.holds();
}

async fn counts(host: &Host) -> Value {
    host.get("admin/admin", "/v1/audit/counts").await.ok().json
}

/// The head of a write, as it goes over the wire.
fn head(who: &str, key: &str, length: usize) -> String {
    format!(
        "POST /v1/entities HTTP/1.1\r\nHost: gotong\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        token(who)
    )
}

#[tokio::test]
async fn a_body_cut_off_leaves_nothing_behind() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let before = counts(&host).await;
    let body = seed().to_string();
    let keys: Vec<String> = (0..20).map(|_| new_key()).collect();
    for (n, key) in keys.iter().enumerate() {
        let mut stream = TcpStream::connect(host.address()).unwrap();
        // Cut off in the body, also where what came is whole JSON, and also in the head.
        let text = head("sari", key, body.len() + 100) + &body;
        let sent = if n % 2 == 0 {
            text.len()
        } else {
            text.len() - n * 20
        };
        stream.write_all(&text.as_bytes()[..sent]).unwrap();
        if n % 4 == 0 {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{answer}"
            );
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(counts(&host).await, before);
    for key in &keys {
        let whole = host
            .request("sari", Method::POST, "/v1/entities")
            .key(key)
            .raw(body.clone())
            .send()
            .await
            .ok();
        assert!(!whole.replayed(), "nothing was kept of the one cut off");
    }
    host.join("budi", &entity, "saksi").await.ok();
    host.holds();
}

#[tokio::test]
async fn a_stalled_client_does_not_keep_a_host_from_stopping() {
    let host = host();
    let body = seed().to_string();
    let whole = head("sari", &new_key(), body.len());
    let stalled = [
        "",
        "GET /health",
        &whole[..whole.len() - 2],
        &whole,
        &(whole.clone() + &body[..10]),
    ]
    .map(|text| {
        let mut stream = TcpStream::connect(host.address()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    });
    // One that asked before and only holds its connection.
    let mut idle = TcpStream::connect(host.address()).unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nHost: gotong\r\n\r\n")
        .unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    host.get("", "/health/live").await.ok();
    let ended = host.stopped_within(20);
    assert!(
        ended.is_some_and(|status| status.success()),
        "20 s after SIGTERM: {ended:?}"
    );
    drop((stalled, idle));
}

/// Every route with an id in its path: method, path with `ID` in its place, and a body that fits.
fn routes_with_ids() -> Vec<(Method, &'static str, Option<Value>)> {
    vec![
        (Method::GET, "/v1/entities/ID", None),
        (Method::GET, "/v1/entities/ID/permissions", None),
        (Method::GET, "/v1/entities/ID/stage", None),
        (Method::GET, "/v1/entities/ID/timeline", None),
        (Method::GET, "/v1/transitions/ID", None),
        (Method::GET, "/v1/decisions/ID", None),
        (
            Method::POST,
            "/v1/entities/ID/relations",
            Some(json!({"relation": "saksi"})),
        ),
        (Method::DELETE, "/v1/entities/ID/relations/saksi", None),
        (
            Method::PUT,
            "/v1/entities/ID/pic",
            Some(json!({"user_id": "sari"})),
        ),
        (
            Method::POST,
            "/v1/transitions/ID/objections",
            Some(json!({"reason": "Let us talk first."})),
        ),
        (
            Method::POST,
            "/v1/transitions/ID/votes",
            Some(json!({"choice": "yes"})),
        ),
        (
            Method::POST,
            "/v1/transitions/ID/challenges",
            Some(json!({"reason": "Look again."})),
        ),
    ]
}

fn send(
    host: &Host,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> impl Future<Output = Answer> {
    let request = host.request("sari", method, path).key(&new_key());
    match body {
        Some(body) => request.raw(body.to_string()),
        None => request,
    }
    .send()
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_not_found() {
    let host = host();
    let before = counts(&host).await;
    let odd = [
        "%FF".to_owned(),
        "%C3%28".to_owned(),
        "%00".to_owned(),
        "a%00b".to_owned(),
        "%0A".to_owned(),
        "x".repeat(10_000),
        "%E2%98%83".repeat(1_000),
        "☃".to_owned(),
        "%2F".to_owned(),
        "%2E%2E%2F".to_owned(),
        "%25".to_owned(),
        "%E2%9F%A8x%E2%9F%A9".to_owned(),
        "%60%3B%20DELETE%20event".to_owned(),
        "entity%3Ax".to_owned(),
        "%20".to_owned(),
        "-1".to_owned(),
    ];
    for (method, pattern, body) in routes_with_ids() {
        for id in &odd {
            let path = pattern.replace("ID", id);
            let what = format!("{method} {pattern} {}", id.get(..40).unwrap_or(id));
            let answer = send(&host, method.clone(), &path, body.as_ref()).await;
            is_a_problem(&answer, &[400, 404], &what);
        }
    }
    for word in ["%FF", "%00", "☃", "%20"] {
        let path = format!("/v1/entities/x/relations/{word}");
        let answer = send(&host, Method::DELETE, &path, None).await;
        is_a_problem(&answer, &[400, 404, 422], word);
    }
    let answer = host.get("sari", "/v1/%FF").await;
    is_a_problem(&answer, &[400, 404], "no route");
    assert_eq!(counts(&host).await, before, "nothing of it is kept");
}

#[tokio::test]
async fn a_query_that_cannot_be_one_is_refused() {
    let host = host();
    for query in [
        "limit=99999999999999999999",
        "limit=-1",
        "limit=1e3",
        "limit=0",
        "after=%FF",
        "after=%00.%00",
        "after=9999999999999999999.x",
        "scope_id=%FF",
        "scope_id=%00",
        "track=%FF",
        "status=open&status=applied",
        "limit",
        "%FF=1",
    ] {
        let answer = host.get("sari", &format!("/v1/transitions?{query}")).await;
        is_a_problem(&answer, &[400, 422], query);
    }
}

#[tokio::test]
async fn json_that_is_deep_ambiguous_or_huge_is_refused() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let before = counts(&host).await;
    let post = |path: &'static str, body: String| {
        host.request("sari", Method::POST, path)
            .key(&new_key())
            .raw(body)
            .send()
    };
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let objects = r#"{"a":"#.repeat(10_000) + "1" + &"}".repeat(10_000);
    for nested in [&deep, &objects] {
        let body = format!(
            r#"{{"entity_id":"{entity}","evidence_type":"gps_verification","evidence_data":{{"lat":{nested}}},"proof":{{}}}}"#
        );
        post("/v1/evidence", body).await.is(400, "malformed_json");
        let bare = post("/v1/entities", nested.clone()).await;
        is_a_problem(&bare, &[400, 422], "nothing but nesting");
        let body = format!(r#"{{"track":"tuntaskan","scope_id":"id","title":{nested}}}"#);
        let title = post("/v1/entities", body).await;
        is_a_problem(&title, &[400, 422], "a nested title");
    }
    let stamp = jiff::Timestamp::now();
    for (path, body) in [
        (
            "/v1/entities",
            r#"{"track":"tuntaskan","title":"A","title":"B","scope_id":"id"}"#.to_owned(),
        ),
        (
            "/v1/transitions",
            format!(r#"{{"entity_id":"{entity}","to_stage":"garap","to_stage":"bahas"}}"#),
        ),
        (
            "/v1/evidence",
            format!(
                r#"{{"entity_id":"{entity}","evidence_type":"gps_verification","evidence_data":{{"lat":1.0,"lat":2.0,"lon":1.0}},"proof":{{"timestamp":"{stamp}"}}}}"#
            ),
        ),
    ] {
        let twice = post(path, body.clone()).await;
        is_a_problem(&twice, &[400, 422], &body);
    }
    for number in [
        "99999999999999999999",
        "-1",
        "4294967296",
        "1e400",
        "-1e400",
        "1.5",
        "1e3",
        "NaN",
        "Infinity",
        "0x10",
        "01",
    ] {
        let body = format!(
            r#"{{"entity_id":"{entity}","to_stage":"tuntas","challenge_window_hours":{number}}}"#
        );
        is_a_problem(&post("/v1/transitions", body).await, &[400, 422], number);
    }
    for number in ["1e400", "1e308", "-91", "NaN", r#""1.0""#, "null", "true"] {
        let body = format!(
            r#"{{"entity_id":"{entity}","evidence_type":"gps_verification","evidence_data":{{"lat":{number},"lon":1.0}},"proof":{{"timestamp":"{stamp}"}}}}"#
        );
        is_a_problem(&post("/v1/evidence", body).await, &[400, 422], number);
    }
    for text in ["\\ud800", "\\u0000", "\u{7f}"] {
        let body = format!(r#"{{"track":"tuntaskan","scope_id":"id","title":"a{text}b"}}"#);
        is_a_problem(&post("/v1/entities", body).await, &[400, 422], text);
    }
    let after = counts(&host).await;
    assert_eq!(
        (&after["events"], &after["streams"]),
        (&before["events"], &before["streams"])
    );
    host.holds();
}

#[tokio::test]
async fn nothing_personal_stands_in_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let host = Setup::default()
        .data(&dir.path().join("store"))
        .start_with(|command| {
            command
                .env("RUST_LOG", "debug")
                .stderr(std::fs::File::create(&log).unwrap());
        });
    let named = |sub: &str, username: &str| {
        let claims = json!({"sub": sub, "username": username, "role": "user", "iss": "gotong", "aud": "gotong", "exp": harness::now_s() + 600});
        sign(&claims, Algorithm::HS256, harness::dev_secret())
    };
    let zeb = named("zebedeus-7", "Zebedeus Quince");
    let mallory = named("mallory-9", "Mallory Thornbush");
    let call = |token: &str, method: Method, path: &str, body: Value| {
        let is_read = method == Method::GET;
        let request = host
            .request("", method, path)
            .header("Authorization", &format!("Bearer {token}"))
            .key(&new_key());
        match is_read {
            true => request.send().left_future(),
            false => request.raw(body.to_string()).send().right_future(),
        }
    };
    let seed = json!({"track": "tuntaskan", "title": "Quagmire", "text": "the gutterpipe", "scope_id": "id/zzz/hamlet", "privacy_level": "l2"});
    let entity = call(&zeb, Method::POST, "/v1/entities", seed)
        .await
        .ok()
        .field("entity_id");
    let relations = format!("/v1/entities/{entity}/relations");
    let join = json!({"relation": "participant"});
    call(&mallory, Method::POST, &relations, join.clone())
        .await
        .ok();
    let step = json!({"entity_id": entity, "to_stage": "bahas"});
    let gate = call(&zeb, Method::POST, "/v1/transitions", step.clone())
        .await
        .ok()
        .field("transition_id");
    let objections = format!("/v1/transitions/{gate}/objections");
    let reason = json!({"reason": "Brambleweed first"});
    call(&mallory, Method::POST, &objections, reason).await.ok();
    let votes = format!("/v1/transitions/{gate}/votes");
    let abstain = json!({"choice": "abstain"});
    call(&mallory, Method::POST, &votes, abstain).await.ok();
    call(&zeb, Method::POST, &votes, json!({"choice": "no"}))
        .await
        .ok();
    let proof = json!({"timestamp": jiff::Timestamp::now().to_string()});
    let evidence = |kind: &str, data: Value| json!({"entity_id": entity, "evidence_type": kind, "evidence_data": data, "proof": proof});
    let gps = evidence(
        "gps_verification",
        json!({"lat": -6.31337, "lon": 106.80421, "description": "behind Ottoline's shed"}),
    );
    call(&zeb, Method::POST, "/v1/evidence", gps).await.ok();
    let witness = json!({"witness_name": "Ibu Philomena", "relationship": "peer", "statement": "Dandelions grow."});
    let witnessed = evidence("witness_attestation", json!({"witnesses": [witness]}));
    call(&zeb, Method::POST, "/v1/evidence", witnessed)
        .await
        .ok();
    let pic = format!("/v1/entities/{entity}/pic");
    call(&zeb, Method::PUT, &pic, json!({"user_id": "mallory-9"}))
        .await
        .ok();
    // What goes wrong must not tell either.
    for (path, body) in [
        ("/v1/transitions", step),
        (
            "/v1/entities",
            json!({"track": "tuntaskan", "title": "x", "scope_id": "id", "Periwinkle": 1}),
        ),
        ("/v1/entities", json!({"track": "Snapdragon"})),
        (relations.as_str(), join),
    ] {
        let refused = call(&mallory, Method::POST, path, body).await;
        assert!(refused.status.is_client_error(), "{}", refused.text);
    }
    let forged = sign(
        &json!({"sub": "Foxglove"}),
        Algorithm::HS256,
        &"x".repeat(40),
    );
    call(&forged, Method::POST, "/v1/entities", json!({}))
        .await
        .is(401, "token_invalid");
    call(
        &zeb,
        Method::GET,
        "/v1/transitions?scope_id=Larkspur",
        json!({}),
    )
    .await
    .is(400, "invalid_query");
    call(&zeb, Method::GET, "/v1/Hollyhock", json!({}))
        .await
        .is(404, "not_found");
    let read = call(
        &zeb,
        Method::GET,
        &format!("/v1/entities/{entity}"),
        json!({}),
    )
    .await
    .ok();
    assert!(read.text.contains("Zebedeus Quince"), "{}", read.text);
    host.wait_hours(48).await;
    host.holds();
    let ended = host.stopped_within(20);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");

    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("surrealdb") && log.contains("/v1/entities/{id}/relations"),
        "it logs what it does: {log}"
    );
    let auditor = token("admin/admin");
    for word in [
        "zebedeus",
        "quince",
        "mallory",
        "thornbush",
        "quagmire",
        "gutterpipe",
        "hamlet",
        "brambleweed",
        "abstain",
        "6.31337",
        "106.80421",
        "ottoline",
        "philomena",
        "dandelions",
        "periwinkle",
        "snapdragon",
        "foxglove",
        "larkspur",
        "hollyhock",
        harness::dev_secret(),
        &zeb,
        &mallory,
        &forged,
        auditor.split('.').next_back().unwrap(),
        zeb.split('.').next_back().unwrap(),
        "bearer ",
    ] {
        let told: Vec<&str> = log
            .lines()
            .filter(|line| line.to_lowercase().contains(&word.to_lowercase()))
            .take(2)
            .collect();
        assert!(told.is_empty(), "`{word}` stands in the log: {told:#?}");
    }
}
