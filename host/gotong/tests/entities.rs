//! Seeds, people, the pic, and what a viewer sees.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::host;
use serde_json::json;

#[tokio::test]
async fn a_seed_is_shared_and_read() {
    let host = host();
    let body = json!({"track": "wujudkan", "title": "A library", "text": "Books for the children.", "scope_id": "id/jabar/depok"});
    let entity = host.post("sari", "/v1/entities", body).await.ok();
    assert_eq!(entity.status, 201);
    assert_eq!(
        (
            &entity.json["stage"],
            &entity.json["author"]["user_id"],
            &entity.json["your_relations"]
        ),
        (&json!("gagasan"), &json!("sari"), &json!(["author"]))
    );
    let id = entity.field("entity_id");
    let public = host.get("", &format!("/v1/entities/{id}")).await.ok().json;
    assert_eq!(
        (
            &public["title"],
            &public["your_relations"],
            &public["withheld"]
        ),
        (&json!("A library"), &json!([]), &json!([]))
    );
    assert_eq!(
        host.get("", &format!("/api/v1/entities/{id}"))
            .await
            .ok()
            .json,
        public
    );
}

#[tokio::test]
async fn people_take_relations_and_give_them_up() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    host.join("budi", &entity, "saksi").await.ok();
    assert_eq!(host.join("budi", &entity, "saksi").await.status, 403);
    host.join("budi", &entity, "participant").await.ok();
    assert_eq!(
        host.join("budi", &entity, "verifikator").await.status,
        403,
        "a verifikator is not involved"
    );
    host.join("vera", &entity, "verifikator").await.ok();
    let ended = host
        .delete("budi", &format!("/v1/entities/{entity}/relations/saksi"))
        .await
        .ok();
    assert!(ended.json["until_ms"].is_i64());
    assert_eq!(
        host.delete("budi", &format!("/v1/entities/{entity}/relations/saksi"))
            .await
            .status,
        403
    );
    assert_eq!(
        host.delete("sari", &format!("/v1/entities/{entity}/relations/author"))
            .await
            .status,
        403
    );
    host.delete("sari", &format!("/v1/entities/{entity}/relations/owner"))
        .await
        .is(422, "invalid_field");
    host.join("budi", &entity, "saksi").await.ok();
    let people = host
        .get("budi", &format!("/v1/entities/{entity}"))
        .await
        .ok()
        .json;
    let relations: Vec<_> = people["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|person| {
            (
                person["user_id"].as_str().unwrap(),
                person["relation"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        relations,
        [
            ("budi", "participant"),
            ("budi", "saksi"),
            ("sari", "author"),
            ("vera", "verifikator")
        ]
    );
}

#[tokio::test]
async fn a_pic_is_nominated_and_accepts() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let pic = format!("/v1/entities/{entity}/pic");
    let nominate =
        |who: &'static str, nominee: &str| host.put(who, &pic, json!({"user_id": nominee}));
    assert_eq!(
        nominate("sari", "wati").await.status,
        403,
        "a stranger cannot be nominated"
    );
    host.join("wati", &entity, "participant").await.ok();
    host.join("joko", &entity, "participant").await.ok();
    assert_eq!(
        nominate("joko", "wati").await.status,
        403,
        "a participant nominates oneself only"
    );
    assert_eq!(
        nominate("sari", "wati").await.ok().json["status"],
        "nominated"
    );
    assert!(
        host.get("wati", &format!("/v1/entities/{entity}/permissions"))
            .await
            .ok()
            .json["actions"]
            .to_string()
            .contains("pic_accept")
    );
    assert_eq!(nominate("wati", "wati").await.ok().json["pic_id"], "wati");
    assert_eq!(nominate("joko", "joko").await.status, 403, "there is a pic");
    assert_eq!(
        host.delete("wati", &format!("/v1/entities/{entity}/relations/pic"))
            .await
            .status,
        403,
        "a pic hands over"
    );
    let relations = format!("/v1/entities/{entity}/relations");
    let appoint = |who: &'static str, subject: &str, relation: &str| {
        host.post(
            who,
            &relations,
            json!({"relation": relation, "user_id": subject}),
        )
    };
    assert_eq!(
        appoint("wati", "wati", "bendahara").await.status,
        403,
        "the treasurer is never the pic"
    );
    assert_eq!(
        appoint("sari", "joko", "bendahara").await.status,
        403,
        "there is a pic: the author does not appoint"
    );
    assert_eq!(
        appoint("wati", "dewi", "bendahara").await.status,
        403,
        "nor is a stranger appointed"
    );
    appoint("wati", "joko", "bendahara").await.ok();
    assert_eq!(
        nominate("sari", "joko").await.status,
        403,
        "the treasurer is never the pic"
    );
    nominate("sari", "sari").await.is(403, "pic_already_there");
    host.holds();
}

#[tokio::test]
async fn privacy_decides_who_sees_what() {
    let host = host();
    let level = async |level: &str| {
        host.seed_with(json!({"track": "tuntaskan", "title": "Secret title", "text": "Secret text", "scope_id": "id", "privacy_level": level})).await
    };
    let l1 = level("l1").await;
    host.get("", &format!("/v1/entities/{l1}"))
        .await
        .is(404, "not_found");
    host.get("dewi", &format!("/v1/entities/{l1}")).await.ok();
    let l2 = level("l2").await;
    let seen = host.get("dewi", &format!("/v1/entities/{l2}")).await.ok();
    assert!(
        seen.json["author"].is_null() && seen.json["text"].is_null() && !seen.text.contains("sari"),
        "{}",
        seen.text
    );
    let l3 = level("l3").await;
    let seen = host.get("dewi", &format!("/v1/entities/{l3}")).await.ok();
    assert!(
        !seen.text.contains("Secret") && !seen.text.contains("sari"),
        "{}",
        seen.text
    );
    let own = host.get("sari", &format!("/v1/entities/{l3}")).await.ok();
    assert_eq!(own.json["title"], "Secret title");
    host.join("budi", &l3, "saksi").await.ok();
    let seen = host.get("budi", &format!("/v1/entities/{l3}")).await.ok();
    assert!(
        seen.text.contains("Secret") && !seen.text.contains("sari"),
        "content with a relation, the author never: {}",
        seen.text
    );
    let gate = host
        .propose("sari", &l3, "bahas")
        .await
        .ok()
        .field("transition_id");
    for path in [
        format!("/v1/transitions/{gate}"),
        format!("/v1/entities/{l3}/timeline"),
        "/v1/transitions".to_owned(),
    ] {
        let seen = host.get("budi", &path).await.ok();
        assert!(!seen.text.contains("sari"), "{path}: {}", seen.text);
    }
    let vault = level("vault").await;
    for path in ["", "/permissions", "/stage", "/timeline"] {
        for who in ["", "dewi", "admin/admin", "mira/moderator"] {
            host.get(who, &format!("/v1/entities/{vault}{path}"))
                .await
                .is(404, "not_found");
        }
    }
    let hidden = host
        .join("dewi", &vault, "saksi")
        .await
        .is(404, "not_found");
    let nothing = host
        .join("dewi", "0190f3d0-0000-7000-8000-000000000000", "saksi")
        .await
        .is(404, "not_found");
    assert_eq!(
        hidden.json["detail"], nothing.json["detail"],
        "a vault looks like nothing at all"
    );
}

#[tokio::test]
async fn permissions_are_what_the_host_would_allow() {
    let host = host();
    let (entity, gate) = host.at_a_vote().await;
    let actions = async |who: &str| {
        host.get(who, &format!("/v1/entities/{entity}/permissions"))
            .await
            .ok()
            .json["actions"]
            .clone()
    };
    let has = |actions: &serde_json::Value, action: &str| {
        actions
            .as_array()
            .unwrap()
            .iter()
            .any(|each| each == action)
    };
    let author = actions("sari").await;
    assert!(
        has(&author, "transition_propose")
            && has(&author, "transition_vote")
            && !has(&author, "completion_verify")
    );
    let stranger = actions("dewi").await;
    assert!(
        has(&stranger, "co_witness")
            && !has(&stranger, "transition_propose")
            && !has(&stranger, "transition_vote")
    );
    assert_eq!(actions("").await, json!(["entity_read"]));
    host.vote("dewi", &gate, "yes")
        .await
        .is(403, "not_in_snapshot");
}

#[tokio::test]
async fn a_decision_is_read_by_whoever_sees_its_entity() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let refused = host.propose("dewi", &entity, "bahas").await;
    let path = format!("/v1/decisions/{}", refused.field("decision_id"));
    let decision = host.get("", &path).await.ok().json;
    assert_eq!(
        (
            &decision["facts"]["action"],
            &decision["ruling"]["effect"],
            &decision["rule"]["id"]
        ),
        (
            &json!("transition_propose"),
            &json!("deny"),
            &refused.json["rule"]
        )
    );
    assert_eq!(decision["rule"]["text"], refused.json["rule_text"]);
    let vault = host
        .seed_with(
            json!({"track": "tuntaskan", "title": "T", "scope_id": "id", "privacy_level": "vault"}),
        )
        .await;
    let hidden = host
        .propose("sari", &vault, "bahas")
        .await
        .ok()
        .field("decision_id");
    host.get("dewi", &format!("/v1/decisions/{hidden}"))
        .await
        .is(404, "not_found");
    host.get("sari", &format!("/v1/decisions/{hidden}"))
        .await
        .ok();
    host.get("admin/admin", &format!("/v1/decisions/{hidden}"))
        .await
        .ok();
    assert_eq!(host.get("dewi", "/v1/audit/decisions").await.status, 403);
    host.get("", "/v1/audit/events")
        .await
        .is(401, "token_required");
}
