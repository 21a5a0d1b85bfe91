//! What is hidden is hidden on every way: in the answers to writes, in pages and cursors, and in what a repeated
//! request looks like.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{Answer, Host, host, new_key};
use reqwest::Method;
use serde_json::{Value, json};

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

/// What an answer says, but for the ids that no two answers share.
fn but_ids(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut body = answer.json.clone();
    for id in ["decision_id", "request_id", "correlation_id"] {
        assert!(body[id].is_string(), "{}", answer.text);
        body[id] = "".into();
    }
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| {
            !["x-request-id", "x-correlation-id", "content-length", "date"].contains(&name.as_str())
        })
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    (answer.status.as_u16(), body, headers)
}

/// Everybody may take part, and at `l3` be the pic, who appoints: whoever is asked about by name must not be told from
/// others by being the author.
#[tokio::test]
async fn no_guess_tells_a_hidden_author_from_anybody_else() {
    let host = host();
    for level in ["l2", "l3"] {
        let entity = seed(&host, level).await;
        // An author who is more than that is as hidden.
        host.join("sari", &entity, "saksi").await.ok();
        host.join("wati", &entity, "participant").await.ok();
        host.join("dewi", &entity, "participant").await.ok();
        let (matter, pic) = (
            format!("/v1/entities/{entity}"),
            format!("/v1/entities/{entity}/pic"),
        );
        let mut prying = vec!["budi", "wati"];
        if level == "l3" {
            host.put("dewi", &pic, json!({"user_id": "dewi"}))
                .await
                .ok();
            prying.push("dewi");
        }
        for who in prying {
            for relation in [
                "humas",
                "bendahara",
                "pic",
                "author",
                "saksi",
                "verifikator",
            ] {
                let ask = async |guess: &str| {
                    let body = json!({"relation": relation, "user_id": guess});
                    host.post(who, &format!("{matter}/relations"), body).await
                };
                same(&host, who, &ask("sari").await, &ask("nobody").await).await;
            }
            let ask = async |guess: &str| host.put(who, &pic, json!({"user_id": guess})).await;
            same(&host, who, &ask("sari").await, &ask("nobody").await).await;
        }
        let seen = host.get("dewi", &matter).await.ok();
        assert!(!seen.text.contains("sari"), "{level}: {}", seen.text);
        let author = host.get("sari", &matter).await.ok();
        assert_eq!(
            author.json["your_relations"],
            json!(["author", "saksi"]),
            "nobody made the author anything: {}",
            author.text
        );
        if level == "l3" {
            // Those who are seen are appointed as ever.
            let body = json!({"relation": "humas", "user_id": "wati"});
            let appointed = host
                .post("dewi", &format!("{matter}/relations"), body)
                .await;
            assert_eq!(appointed.ok().json["username"], "wati");
        }
    }
}

/// Two refusals that are one, and two decisions over the same facts.
async fn same(host: &Host, who: &str, one: &Answer, other: &Answer) {
    assert_eq!(but_ids(one), but_ids(other), "as {who}");
    assert_eq!(one.status, 403, "as {who}: {}", one.text);
    let ruled = async |answer: &Answer| {
        let path = format!("/v1/decisions/{}", answer.field("decision_id"));
        let read = host.get(who, &path).await.ok().json;
        (read["input"].clone(), read["output"].clone())
    };
    let (mut first, mut second) = (ruled(one).await, ruled(other).await);
    for (input, _) in [&mut first, &mut second] {
        // The matter grows older from one to the next.
        let mut facts: Value = serde_json::from_str(input.as_str().unwrap()).unwrap();
        facts["standing"]["seed_age_ms"] = 0.into();
        *input = facts;
    }
    assert_eq!(first, second, "as {who}");
}

#[tokio::test]
async fn whose_request_a_decision_was_taken_for_is_shown_to_auditors_alone() {
    let host = host();
    let entity = seed(&host, "open").await;
    let refused = host
        .propose("dewi", &entity, "bahas")
        .await
        .is(403, "not_related");
    let path = format!("/v1/decisions/{}", refused.field("decision_id"));
    for who in ["", "dewi", "sari", "mira/moderator"] {
        let read = host.get(who, &path).await.ok();
        for id in ["request_id", "correlation_id"] {
            assert_eq!(read.json[id], "", "{who}: {}", read.text);
            assert!(!read.text.contains(&refused.field(id)), "{who}");
        }
    }
    for who in ["adi/admin", "audit/service"] {
        let read = host.get(who, &path).await.ok();
        for id in ["request_id", "correlation_id"] {
            assert_eq!(read.field(id), refused.field(id), "{who}");
        }
    }
}
