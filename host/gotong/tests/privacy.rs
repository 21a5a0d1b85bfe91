//! What is hidden is hidden on every way: in the answers to writes, in pages and cursors, and in what a repeated
//! request looks like.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{Host, host, new_key};
use reqwest::Method;
use serde_json::json;

async fn seed(host: &Host, level: &str) -> String {
    let body =
        json!({"track": "tuntaskan", "title": "T", "scope_id": "id/zzz", "privacy_level": level});
    host.seed_with(body).await
}

#[tokio::test]
async fn the_answer_to_a_write_hides_an_author_as_a_read_does() {
    let host = host();
    for level in ["l2", "l3"] {
        let entity = seed(&host, level).await;
        host.join("budi", &entity, "saksi").await.ok();
        host.join("wati", &entity, "participant").await.ok();
        let gate = host
            .propose("sari", &entity, "bahas")
            .await
            .ok()
            .field("transition_id");
        let objected = host.object("budi", &gate).await.ok();
        assert!(
            !objected.text.contains("sari"),
            "{level}: {}",
            objected.text
        );
        assert!(
            objected.text.contains("wati"),
            "{level}: the others are there"
        );
        host.vote("wati", &gate, "yes").await.ok();
        host.vote("budi", &gate, "yes").await.ok();
        host.wait_hours(48).await;
        let emergency = json!({"entity_id": entity, "to_stage": "rancang", "emergency": true});
        let moved = host
            .post("mira/moderator", "/v1/transitions", emergency)
            .await
            .ok();
        for name in ["sari", "budi", "wati"] {
            assert!(
                level == "l2" || !moved.text.contains(name),
                "{level}: {}",
                moved.text
            );
        }
        assert!(!moved.text.contains("sari"), "{level}: {}", moved.text);
    }
}

#[tokio::test]
async fn a_vault_leaves_no_trace_in_lists() {
    let host = host();
    let empty = host.get("", "/v1/transitions?limit=1").await.ok().text;
    for _ in 0..3 {
        let vault = seed(&host, "vault").await;
        host.propose("sari", &vault, "bahas").await.ok();
    }
    for who in ["", "dewi", "admin/admin"] {
        for query in [
            "limit=1",
            "limit=1&scope_id=id/zzz",
            "limit=2&status=open&track=tuntaskan",
        ] {
            assert_eq!(
                host.get(who, &format!("/v1/transitions?{query}"))
                    .await
                    .ok()
                    .text,
                empty,
                "{who} {query}"
            );
        }
    }
    let open = seed(&host, "open").await;
    let gate = host
        .propose("sari", &open, "bahas")
        .await
        .ok()
        .field("transition_id");
    let page = host.get("dewi", "/v1/transitions?limit=1").await.ok();
    assert_eq!(
        page.json["items"][0]["transition_id"], gate,
        "what is visible is found behind what is not"
    );
    let next = page.json["next"].as_str().unwrap();
    assert_eq!(
        host.get("dewi", &format!("/v1/transitions?limit=1&after={next}"))
            .await
            .ok()
            .text,
        empty
    );
}

#[tokio::test]
async fn a_vault_looks_like_nothing_however_often_it_is_asked() {
    let host = host();
    let vault = seed(&host, "vault").await;
    let gate = host
        .propose("sari", &vault, "bahas")
        .await
        .ok()
        .field("transition_id");
    let nothing = "0190f3d0-0000-7000-8000-000000000000";
    let (key, other_key) = (new_key(), new_key());
    let ask = async |path: String, body: &str, key: &str| {
        let answer = host
            .request("dewi", Method::POST, &path)
            .key(key)
            .raw(body.to_owned())
            .send()
            .await;
        let replayed = answer.replayed();
        (
            answer.status,
            answer.field("code"),
            answer.field("detail"),
            replayed,
        )
    };
    for body in [
        r#"{"relation":"saksi"}"#,
        r#"{"relation":"saksi"}"#,
        r#"{"relation":"participant"}"#,
    ] {
        let hidden = ask(format!("/v1/entities/{vault}/relations"), body, &key).await;
        let absent = ask(
            format!("/v1/entities/{nothing}/relations"),
            body,
            &other_key,
        )
        .await;
        assert_eq!(hidden, absent);
    }
    for (action, body) in [
        ("votes", r#"{"choice":"yes"}"#),
        ("objections", r#"{"reason":"why"}"#),
        ("challenges", r#"{"reason":"why"}"#),
    ] {
        let hidden = ask(format!("/v1/transitions/{gate}/{action}"), body, &new_key()).await;
        let absent = ask(
            format!("/v1/transitions/{nothing}/{action}"),
            body,
            &new_key(),
        )
        .await;
        assert_eq!(hidden, absent, "{action}");
    }
    let proposed = host.propose("dewi", &vault, "bahas").await;
    assert_eq!(
        (proposed.status.as_u16(), proposed.json.get("decision_id")),
        (404, None)
    );
}

#[tokio::test]
async fn ballots_are_shown_to_those_who_cast_them_and_to_nobody_else() {
    let host = host();
    let entity = seed(&host, "open").await;
    for person in ["budi", "wati"] {
        host.join(person, &entity, "saksi").await.ok();
    }
    let gate = host
        .propose("sari", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    host.object("budi", &gate).await.ok();
    host.vote("budi", &gate, "no").await.ok();
    host.vote("wati", &gate, "yes").await.ok();

    let votes = format!("/v1/transitions/{gate}/votes");
    for (who, choice) in [("budi", "no"), ("wati", "yes")] {
        let own = host.get(who, &votes).await.ok();
        let items = own.json["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{who}: {}", own.text);
        assert_eq!(items[0]["choice"], choice, "{who}: {}", own.text);
    }
    // Whoever cast none is shown none: not the author, not an admin, not the auditor's token.
    for who in [
        "sari",
        "joko",
        "mira/moderator",
        "adi/admin",
        "audit/service",
    ] {
        let none = host.get(who, &votes).await.ok();
        assert_eq!(none.json, json!({"items": []}), "{who}: {}", none.text);
    }
    host.get("", &votes).await.is(401, "token_required");

    // And where the transition itself is out of sight, so is the question.
    let hidden = seed(&host, "vault").await;
    let theirs = host
        .propose("sari", &hidden, "bahas")
        .await
        .ok()
        .field("transition_id");
    let votes = format!("/v1/transitions/{theirs}/votes");
    host.get("budi", &votes).await.is(404, "not_found");
    host.get("sari", &votes).await.ok();
}
