//! Lists, page by page: what a cursor is good for, and what it is not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{Host, Setup, host, one_line, root};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

const SECRET: &str = "a secret of this test alone, long enough";

/// An entity with two transitions, the first of them won, and two more entities with one.
async fn some_transitions(host: &Host) -> String {
    let entity = host.seed("tuntaskan").await;
    host.propose("sari", &entity, "bahas").await.ok();
    host.wait_hours(25).await;
    host.join("wati", &entity, "participant").await.ok();
    host.put(
        "sari",
        &format!("/v1/entities/{entity}/pic"),
        json!({"user_id": "sari"}),
    )
    .await
    .ok();
    host.propose("sari", &entity, "rancang").await.ok();
    for _ in 0..2 {
        let other = host.seed("tuntaskan").await;
        host.propose("sari", &other, "bahas").await.ok();
    }
    entity
}

async fn next(host: &Host, who: &str, path: &str) -> String {
    host.get(who, path).await.ok().field("next")
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    let id = |item: &Value| item["transition_id"].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

#[tokio::test]
async fn pages_together_are_the_list() {
    let host = host();
    let entity = some_transitions(&host).await;
    for list in [
        "/v1/transitions".to_owned(),
        format!("/v1/entities/{entity}/timeline"),
    ] {
        let whole = ids(&host.get("sari", &list).await.ok().json);
        let mut pages = Vec::new();
        let mut path = format!("{list}?limit=1");
        loop {
            let page = host.get("sari", &path).await.ok().json;
            pages.extend(ids(&page));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("{list}?limit=1&after={next}");
        }
        assert!(whole.len() >= 2);
        assert_eq!(pages, whole, "{list}");
    }
}

#[tokio::test]
async fn a_page_has_20_items_unless_it_is_asked_for_more_and_50_at_most() {
    let host = host();
    for _ in 0..51 {
        let entity = host.seed("tuntaskan").await;
        host.propose("sari", &entity, "bahas").await.ok();
    }
    let items = async |query: &str| {
        let page = host.get("sari", &format!("/v1/transitions{query}")).await;
        ids(&page.ok().json).len()
    };
    assert_eq!(items("").await, 20);
    assert_eq!(items("?limit=50").await, 50);
    for limit in ["0", "51", "-1", "many", ""] {
        host.get("sari", &format!("/v1/transitions?limit={limit}"))
            .await
            .is(400, "invalid_query");
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_filter_or_person_is_refused() {
    let host = host();
    let entity = some_transitions(&host).await;
    let timeline = format!("/v1/entities/{entity}/timeline");
    let cursor = next(&host, "sari", "/v1/transitions?limit=1").await;
    let of_timeline = next(&host, "sari", &format!("{timeline}?limit=1")).await;
    let try_with = async |who: &str, path: &str| host.get(who, path).await;

    // It is good again with another limit, and under the other address of the list.
    for path in ["/v1/transitions?limit=7", "/api/v1/transitions?limit=1"] {
        try_with("sari", &format!("{path}&after={cursor}"))
            .await
            .ok();
    }
    for (who, path) in [
        ("sari", format!("{timeline}?after={cursor}")),
        ("sari", format!("/v1/transitions?after={of_timeline}")),
        (
            "sari",
            format!("/v1/transitions?track=tuntaskan&after={cursor}"),
        ),
        (
            "sari",
            format!("/v1/transitions?status=open&after={cursor}"),
        ),
        (
            "sari",
            format!("/v1/transitions?scope_id=id/jabar/depok&after={cursor}"),
        ),
        ("wati", format!("/v1/transitions?after={cursor}")),
        ("", format!("/v1/transitions?after={cursor}")),
    ] {
        try_with(who, &path).await.is(400, "invalid_cursor");
    }
    // The timeline of another entity is another list.
    let other = host.seed("tuntaskan").await;
    try_with(
        "sari",
        &format!("/v1/entities/{other}/timeline?after={of_timeline}"),
    )
    .await
    .is(400, "invalid_cursor");
}

#[tokio::test]
async fn a_forged_cursor_is_refused() {
    let host = host();
    some_transitions(&host).await;
    let cursor = next(&host, "sari", "/v1/transitions?limit=1").await;
    let mut last = cursor.clone();
    let end = if last.pop() == Some('A') { 'Q' } else { 'A' };
    last.push(end);
    let first = format!(
        "{}{}",
        if cursor.starts_with('A') { 'B' } else { 'A' },
        &cursor[1..]
    );
    let twice = format!("{cursor}{cursor}");
    for forged in [
        first.as_str(),
        last.as_str(),
        &cursor[..cursor.len() - 4],
        twice.as_str(),
        "",
        "null",
        "1700000000000.01a20438-5e97-739c-9c5a-fac99e20fe57",
        "%00",
    ] {
        host.get("sari", &format!("/v1/transitions?after={forged}"))
            .await
            .is(400, "invalid_cursor");
    }
}

fn with_secret(setup: Setup) -> Host {
    setup.env("GOTONG_AUTH__HS256_SECRET", SECRET).start()
}

fn signed(host: &Host, path: &str) -> impl Future<Output = harness::Answer> {
    let claims = json!({"sub": "sari", "username": "sari", "role": "user", "iss": "gotong", "aud": "gotong",
        "exp": harness::now_s() + 600});
    let token = harness::sign(&claims, Algorithm::HS256, SECRET);
    host.request("", Method::GET, path)
        .header("Authorization", &format!("Bearer {token}"))
        .send()
}

async fn first_cursor(host: &Host, token: &str) -> String {
    for key in ["the-first-seed", "the-second-seed"] {
        let shared = host
            .request("", Method::POST, "/v1/entities")
            .header("Authorization", &format!("Bearer {token}"))
            .key(key)
            .raw(json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"}).to_string())
            .send()
            .await
            .ok()
            .field("entity_id");
        host.request("", Method::POST, "/v1/transitions")
            .header("Authorization", &format!("Bearer {token}"))
            .key(&format!("{key}-gate"))
            .raw(json!({"entity_id": shared, "to_stage": "bahas"}).to_string())
            .send()
            .await
            .ok();
    }
    host.request("", Method::GET, "/v1/transitions?limit=1")
        .header("Authorization", &format!("Bearer {token}"))
        .send()
        .await
        .ok()
        .field("next")
}

#[tokio::test]
async fn hosts_of_one_secret_take_each_others_cursors() {
    let claims = json!({"sub": "sari", "username": "sari", "role": "user", "iss": "gotong", "aud": "gotong",
        "exp": harness::now_s() + 600});
    let token = harness::sign(&claims, Algorithm::HS256, SECRET);
    let one = with_secret(Setup::default().outside_dev());
    let path = format!("/v1/transitions?after={}", first_cursor(&one, &token).await);
    let other = with_secret(Setup::default().outside_dev());
    signed(&other, &path).await.ok();
    let own = "a secret for cursors alone, which nobody else has";
    let third = with_secret(
        Setup::default()
            .outside_dev()
            .env("GOTONG_CURSOR_SECRET", own),
    );
    signed(&third, &path).await.is(400, "invalid_cursor");
}

#[tokio::test]
async fn a_host_with_a_public_key_alone_pages_by_a_secret_of_its_own_or_of_its_process() {
    let key =
        |file: &str| std::fs::read_to_string(root().join("fixtures/keys").join(file)).unwrap();
    let claims = json!({"sub": "sari", "username": "sari", "role": "user", "iss": "gotong", "aud": "gotong",
        "exp": harness::now_s() + 600});
    let private = EncodingKey::from_ed_pem(key("test-ed25519.pem").as_bytes()).unwrap();
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &private).unwrap();
    let setup = || {
        Setup::default().outside_dev().env(
            "GOTONG_AUTH__EDDSA_PUBLIC_KEY_PEM",
            key("test-ed25519.pub.pem"),
        )
    };
    let read = async |host: &Host, cursor: &str| {
        host.request("", Method::GET, &format!("/v1/transitions?after={cursor}"))
            .header("Authorization", &format!("Bearer {token}"))
            .send()
            .await
    };
    let (one, other) = (setup().start(), setup().start());
    let cursor = first_cursor(&one, &token).await;
    read(&one, &cursor).await.ok();
    read(&other, &cursor).await.is(400, "invalid_cursor");
    let shared = || setup().env("GOTONG_CURSOR_SECRET", SECRET);
    let (one, other) = (shared().start(), shared().start());
    let cursor = first_cursor(&one, &token).await;
    read(&other, &cursor).await.ok();
}

#[test]
fn a_short_secret_for_cursors_is_refused() {
    let says = one_line(
        &mut Setup::default()
            .env("GOTONG_CURSOR_SECRET", "short")
            .command(),
    );
    assert!(says.contains("cursor_secret is 5 bytes"), "{says}");
}

#[tokio::test]
async fn auditors_go_on_from_a_position_in_the_record() {
    let host = host();
    let entity = some_transitions(&host).await;
    let events = async |query: &str| {
        let path = format!("/v1/audit/events?limit=2{query}");
        host.get("admin/admin", &path).await
    };
    let behind = |stream: &str, seq: &str| format!("&after_stream={stream}&after_seq={seq}");
    let found = events(&behind(&entity, "1")).await.ok().json;
    assert_eq!(
        (&found[0]["stream"], &found[0]["seq"]),
        (&json!(entity), &json!(2))
    );
    for query in [
        "&after_seq=1".to_owned(),
        behind(&entity, "-1"),
        behind(&entity, "9223372036854775808"),
    ] {
        events(&query).await.is(400, "invalid_query");
    }
}
