//! Gates: consent, votes, objections, challenges, emergencies, and how they close.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{Host, host};
use serde_json::{Value, json};

async fn challenge(host: &Host, who: &str, transition: &str) -> harness::Answer {
    host.post(
        who,
        &format!("/v1/transitions/{transition}/challenges"),
        json!({"reason": "Look again."}),
    )
    .await
}

/// `sari`'s seed with a pic (`wati`), moved by consent and votes to `stage`.
async fn moved_to(host: &Host, stage: &str) -> String {
    let entity = host.seed("tuntaskan").await;
    for who in ["wati", "joko"] {
        host.join(who, &entity, "participant").await.ok();
    }
    host.put(
        "sari",
        &format!("/v1/entities/{entity}/pic"),
        json!({"user_id": "wati"}),
    )
    .await
    .ok();
    host.put(
        "wati",
        &format!("/v1/entities/{entity}/pic"),
        json!({"user_id": "wati"}),
    )
    .await
    .ok();
    for next in ["bahas", "rancang", "garap", "periksa"] {
        if host.stage(&entity).await == stage {
            break;
        }
        if next == "periksa" {
            let proof = json!({"entity_id": entity, "evidence_type": "gps_verification", "evidence_data": {"lat": 1.0, "lon": 2.0}, "proof": {"timestamp": jiff::Timestamp::now().to_string()}});
            host.post("joko", "/v1/evidence", proof).await.ok();
        }
        let gate = host.propose("wati", &entity, next).await.ok().json;
        let id = gate["transition_id"].as_str().unwrap();
        if gate["gate"]["gate_type"] == "vote" {
            host.vote("sari", id, "yes").await.ok();
            host.vote("joko", id, "yes").await.ok();
        }
        host.wait_hours(72).await;
    }
    assert_eq!(host.stage(&entity).await, stage);
    entity
}

#[tokio::test]
async fn a_transition_is_kept_as_the_retention_policy_rules() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let proposed = host.propose("sari", &entity, "bahas").await.ok().json;
    assert_eq!(
        proposed["retention_tag"],
        json!({"name": "transition", "keep_hours": null, "on_expiry": "keep"})
    );
    let decisions = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    let ruled = decisions.as_array().unwrap().iter();
    let ruled = ruled.filter(|row| row["family"] == "retention");
    let asked: Vec<_> = ruled.map(|row| (&row["function"], &row["input"])).collect();
    assert_eq!(
        asked,
        [(&json!("classify"), &json!(r#"{"kind":"transition"}"#))]
    );
    host.holds();
}

#[tokio::test]
async fn consent_applies_itself_when_nobody_objects() {
    let host = host();
    let entity = host.seed("musyawarah").await;
    let gate = host.propose("sari", &entity, "bahas").await.ok().json;
    assert_eq!(
        (&gate["gate"]["gate_type"], &gate["gate"]["status"]),
        (&json!("consent"), &json!("open"))
    );
    let id = gate["transition_id"].as_str().unwrap();
    host.vote("sari", id, "yes").await.is(409, "no_vote_open");
    host.wait_hours(23).await;
    assert_eq!(host.transition(id).await["status"], "open");
    host.wait_hours(1).await;
    let closed = host.transition(id).await;
    assert_eq!(
        (&closed["status"], &closed["gate"]["reason"]),
        (&json!("applied"), &json!("no_objection"))
    );
    assert_eq!(host.stage(&entity).await, "bahas");
    host.holds();
}

#[tokio::test]
async fn an_objection_forces_a_vote_and_a_fresh_window() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    host.join("wati", &entity, "participant").await.ok();
    let gate = host
        .propose("sari", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    host.wait_hours(20).await;
    let objected = host.object("wati", &gate).await.ok().json;
    assert_eq!(
        (
            &objected["gate"]["gate_type"],
            &objected["gate"]["objections"]
        ),
        (&json!("vote"), &json!(1))
    );
    host.object("wati", &gate)
        .await
        .is(422, "vote_already_open");
    assert_eq!(host.object("dewi", &gate).await.status, 403);
    host.wait_hours(24).await;
    assert_eq!(
        host.transition(&gate).await["status"],
        "open",
        "the timer of the consent window does nothing any more"
    );
    host.vote("wati", &gate, "no").await.ok();
    host.wait_hours(24).await;
    let closed = host.transition(&gate).await;
    assert_eq!(
        (&closed["status"], &closed["gate"]["vote_tally"]),
        (
            &json!("rejected"),
            &json!({"yes": 0, "no": 1, "abstain": 0})
        )
    );
    assert_eq!(host.stage(&entity).await, "keresahan");
    host.propose("sari", &entity, "bahas").await.ok();
    host.holds();
}

#[tokio::test]
async fn a_vote_needs_its_quorum() {
    let host = host();
    let (entity, gate) = host.at_a_vote().await;
    host.wait_hours(48).await;
    let closed = host.transition(&gate).await;
    assert_eq!(
        (&closed["status"], &closed["gate"]["reason"]),
        (&json!("rejected"), &json!("quorum_not_met"))
    );
    assert_eq!(host.stage(&entity).await, "keresahan");
}

#[tokio::test]
async fn a_ballot_is_one_secret_and_final() {
    let host = host();
    let (entity, gate) = host.at_a_vote().await;
    host.join("late", &entity, "participant").await.ok();
    host.vote("sari", &gate, "yes").await.ok();
    host.vote("sari", &gate, "no")
        .await
        .is(409, "already_voted");
    host.vote("late", &gate, "no")
        .await
        .is(403, "not_in_snapshot");
    host.vote("dewi", &gate, "no")
        .await
        .is(403, "not_in_snapshot");
    host.vote("wati", &gate, "maybe")
        .await
        .is(422, "invalid_field");
    for who in ["", "sari", "wati", "admin/admin"] {
        let open = host.get(who, &format!("/v1/transitions/{gate}")).await.ok();
        assert!(open.json["gate"]["vote_tally"].is_null());
        assert!(
            !open.text.contains("\"choice\"") && !open.text.contains("\"yes\""),
            "{}",
            open.text
        );
    }
    let events = host.get("admin/admin", "/v1/audit/events").await.ok().text;
    assert!(
        events.contains("ballot_cast")
            && !events.contains("\\\"yes\\\"")
            && !events.contains("sari"),
        "the ledger says that, not who or how"
    );
    host.wait_hours(48).await;
    host.vote("wati", &gate, "no").await.is(409, "gate_closed");
    assert_eq!(
        host.transition(&gate).await["gate"]["vote_tally"],
        json!({"yes": 1, "no": 0, "abstain": 0})
    );
}

#[tokio::test]
async fn fifty_parallel_votes_are_all_counted() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let people: Vec<String> = (0..50).map(|n| format!("person-{n:02}")).collect();
    futures_util::future::join_all(
        people
            .iter()
            .map(|who| host.join(who, &entity, "participant")),
    )
    .await
    .into_iter()
    .for_each(|answer| {
        answer.ok();
    });
    let gate = host
        .propose("sari", &entity, "bahas")
        .await
        .ok()
        .field("transition_id");
    let objected = host.object("person-00", &gate).await.ok().json;
    assert_eq!(
        (&objected["gate"]["eligible"], &objected["gate"]["quorum"]),
        (&json!(51), &json!(16))
    );
    let votes = people
        .iter()
        .enumerate()
        .map(|(n, who)| host.vote(who, &gate, if n % 5 == 0 { "no" } else { "yes" }));
    futures_util::future::join_all(votes)
        .await
        .into_iter()
        .for_each(|answer| {
            answer.ok();
        });
    host.wait_hours(48).await;
    let closed = host.transition(&gate).await;
    assert_eq!(
        (&closed["gate"]["vote_tally"], &closed["status"]),
        (
            &json!({"yes": 40, "no": 10, "abstain": 0}),
            &json!("applied")
        )
    );
    let (_, ledger) = host.holds();
    assert_eq!(ledger["streams"], 1);
}

#[tokio::test]
async fn past_bahas_there_is_a_pic() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    host.propose("sari", &entity, "bahas").await.ok();
    host.wait_hours(24).await;
    host.propose("sari", &entity, "rancang")
        .await
        .is(422, "pic_required");
    host.put(
        "sari",
        &format!("/v1/entities/{entity}/pic"),
        json!({"user_id": "sari"}),
    )
    .await
    .ok();
    let gate = host.propose("sari", &entity, "rancang").await.ok().json;
    assert_eq!(gate["gate"]["gate_type"], "consent", "fewer than 5 members");
}

#[tokio::test]
async fn the_check_needs_proof_and_the_end_time_to_challenge_it() {
    let host = host();
    let entity = moved_to(&host, "garap").await;
    host.propose("wati", &entity, "periksa")
        .await
        .is(422, "proof_required");
    let proof = json!({"entity_id": entity, "evidence_type": "witness_attestation", "proof": {"timestamp": jiff::Timestamp::now().to_string(),
        "witnesses": [{"witness_name": "Ibu Ani", "relationship": "beneficiary", "statement": "Dry again."}]}});
    host.post("joko", "/v1/evidence", proof).await.ok();
    let gate = host.propose("wati", &entity, "periksa").await.ok().json;
    assert_eq!(
        (&gate["gate"]["risk"], &gate["gate"]["gate_type"]),
        (&json!("high"), &json!("vote"))
    );
    let id = gate["transition_id"].as_str().unwrap();
    host.vote("sari", id, "yes").await.ok();
    host.wait_hours(72).await;
    host.propose("wati", &entity, "tuntas")
        .await
        .is(422, "challenge_window_required");
    let ask = |hours: u32| {
        host.post(
            "wati",
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": "tuntas", "challenge_window_hours": hours}),
        )
    };
    ask(721).await.is(422, "challenge_window_out_of_bounds");
    let gate = ask(24).await.ok().field("transition_id");
    assert_eq!(
        challenge(&host, "sari", &gate).await.json["code"],
        "no_result_to_challenge"
    );
    host.vote("sari", &gate, "yes").await.ok();
    host.wait_hours(72).await;
    assert_eq!(host.transition(&gate).await["gate"]["phase"], "challenge");
    assert_eq!(
        host.stage(&entity).await,
        "periksa",
        "won is not yet applied"
    );
    host.vote("joko", &gate, "no").await.is(409, "gate_closed");
    host.wait_hours(24).await;
    let closed = host.transition(&gate).await;
    assert_eq!(
        (&closed["status"], &closed["gate"]["reason"]),
        (&json!("applied"), &json!("unchallenged"))
    );
    assert_eq!(host.stage(&entity).await, "tuntas");
    host.holds();
}

#[tokio::test]
async fn a_challenge_puts_a_won_vote_to_a_second_vote() {
    let host = host();
    let entity = moved_to(&host, "periksa").await;
    let gate = host
        .post(
            "wati",
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": "tuntas", "challenge_window_hours": 24}),
        )
        .await
        .ok()
        .field("transition_id");
    host.vote("sari", &gate, "yes").await.ok();
    host.wait_hours(72).await;
    assert_eq!(challenge(&host, "dewi", &gate).await.status, 403);
    let challenged = challenge(&host, "joko", &gate).await.ok().json;
    assert_eq!(
        (&challenged["gate"]["round"], &challenged["gate"]["phase"]),
        (&json!(2), &json!("deciding"))
    );
    for who in ["sari", "wati", "joko"] {
        host.vote(who, &gate, "no").await.ok();
    }
    host.wait_hours(72).await;
    let closed = host.transition(&gate).await;
    assert_eq!(
        (&closed["status"], &closed["gate"]["vote_tally"]["no"]),
        (&json!("rejected"), &json!(3))
    );
    assert_eq!(host.stage(&entity).await, "periksa");
    host.holds();
}

#[tokio::test]
async fn an_emergency_applies_at_once_and_is_audited() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let emergency = |who: &'static str| {
        host.post(
            who,
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": "bahas", "emergency": true}),
        )
    };
    assert_eq!(emergency("sari").await.status, 403, "the author is no pic");
    let done = emergency("mira/moderator").await.ok().json;
    assert_eq!(
        (
            &done["status"],
            &done["transition_type"],
            &done["gate"]["risk"]
        ),
        (&json!("applied"), &json!("emergency"), &json!("critical"))
    );
    assert_eq!(
        done["gate"]["audit_due_at_ms"].as_u64().unwrap()
            - done["occurred_at_ms"].as_u64().unwrap(),
        7 * 24 * harness::HOUR_MS
    );
    assert_eq!(host.stage(&entity).await, "bahas");
    host.holds();
}

#[tokio::test]
async fn a_finding_may_change_its_track() {
    let host = host();
    let entity = host.seed("telusuri").await;
    for stage in ["dugaan", "uji", "temuan"] {
        let gate = host
            .propose("sari", &entity, stage)
            .await
            .ok()
            .field("transition_id");
        if host.transition(&gate).await["gate"]["gate_type"] == "vote" {
            host.vote("sari", &gate, "yes").await.ok();
        }
        host.wait_hours(48).await;
    }
    let gate = host.propose("sari", &entity, "keresahan").await.ok().json;
    assert_eq!(
        (
            &gate["transition_type"],
            &gate["to_track"],
            &gate["gate"]["risk"]
        ),
        (&json!("track_change"), &json!("tuntaskan"), &json!("high"))
    );
    let id = gate["transition_id"].as_str().unwrap();
    host.vote("sari", id, "yes").await.ok();
    host.wait_hours(72).await;
    assert_eq!(host.transition(id).await["gate"]["phase"], "challenge");
    host.wait_hours(72).await;
    let here = host
        .get("", &format!("/v1/entities/{entity}/stage"))
        .await
        .ok()
        .json;
    assert_eq!(
        (&here["track"], &here["stage"]),
        (&json!("tuntaskan"), &json!("keresahan"))
    );
}

#[tokio::test]
async fn transitions_are_listed_by_scope_track_and_status() {
    let host = host();
    let entity = host
        .seed_with(json!({"track": "rayakan", "title": "A", "scope_id": "id/bali"}))
        .await;
    let hidden = host.seed_with(json!({"track": "rayakan", "title": "B", "scope_id": "id/bali", "privacy_level": "vault"})).await;
    for each in [&entity, &hidden] {
        host.propose("sari", each, "sahkan").await.ok();
    }
    host.wait_hours(24).await;
    let list = async |who: &str, query: &str| {
        host.get(who, &format!("/v1/transitions?{query}"))
            .await
            .ok()
            .json["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(
        list("dewi", "scope_id=id/bali").await,
        1,
        "the vault is nobody's business"
    );
    assert_eq!(list("sari", "scope_id=id/bali").await, 2);
    assert_eq!(
        list("dewi", "scope_id=id/bali&track=rayakan&status=applied").await,
        1
    );
    assert_eq!(list("dewi", "scope_id=id/bali&status=open").await, 0);
    assert_eq!(list("dewi", "scope_id=id/jabar").await, 0);
    let second = host.propose("sari", &entity, "apresiasi").await.ok();
    let page: Value = host
        .get("sari", &format!("/v1/entities/{entity}/timeline?limit=1"))
        .await
        .ok()
        .json;
    let next = page["next"].as_str().unwrap();
    let rest: Value = host
        .get(
            "sari",
            &format!("/v1/entities/{entity}/timeline?limit=1&after={next}"),
        )
        .await
        .ok()
        .json;
    assert_eq!(
        rest["items"][0]["transition_id"],
        second.field("transition_id")
    );
}
