//! A blocked gutter in RW 03, told as requests.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::driver::{Driver, Step};
use crate::cli::CliError;

const CREATED: (u16, Option<&str>) = (201, None);
const OK: (u16, Option<&str>) = (200, None);

pub async fn tell(driver: &mut Driver) -> Result<(), CliError> {
    driver.say("A blocked gutter in RW 03: from keresahan (a worry) to tuntas (done).");
    driver.say(
        "($SARI and the like are tokens: gotong token --sub sari --username Sari --role user)",
    );
    let entity = share_and_gather(driver).await?;
    discuss(driver, &entity).await?;
    plan_and_lead(driver, &entity).await?;
    prove_and_check(driver, &entity).await?;
    finish(driver, &entity).await
}

/// The seed, the people, a stranger's proposal, and the same request twice.
async fn share_and_gather(driver: &mut Driver) -> Result<String, CliError> {
    let seed = json!({
        "track": "tuntaskan",
        "title": "The gutter in RW 03 overflows",
        "text": "Since the rain on Monday the water stands in three houses.",
        "scope_id": "id/jabar/depok/cimanggis/tugu/rw03",
    });
    let key = driver.new_key();
    let share = |told| Step {
        who: "sari",
        told,
        method: Method::POST,
        path: "/v1/entities".into(),
        body: Some(seed.clone()),
        expect: CREATED,
        key: Some(key.clone()),
    };
    let (first, first_text) = driver.step(share("Sari shares a seed")).await?;
    let (_, again_text) = driver
        .step(share("The same request once more, as after a lost answer"))
        .await?;
    driver.must(
        "the same answer, byte for byte, and no second seed",
        first_text == again_text && !first_text.is_empty(),
    );
    let entity = text(&first, "entity_id");
    let relations = format!("/v1/entities/{entity}/relations");
    driver
        .post(
            "budi",
            "Budi becomes saksi (co-witness)",
            &relations,
            json!({"relation": "saksi"}),
            CREATED,
        )
        .await?;
    driver
        .post(
            "wati",
            "Wati joins as participant",
            &relations,
            json!({"relation": "participant"}),
            CREATED,
        )
        .await?;
    driver
        .post(
            "joko",
            "Joko joins as participant",
            &relations,
            json!({"relation": "participant"}),
            CREATED,
        )
        .await?;
    driver
        .post(
            "dewi",
            "Dewi calls herself pic: a relation cannot be claimed",
            &relations,
            json!({"relation": "pic"}),
            (403, None),
        )
        .await?;
    let refused = driver
        .post(
            "dewi",
            "Dewi, a stranger, proposes",
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": "bahas"}),
            (403, None),
        )
        .await?;
    let decision = driver
        .get(
            "dewi",
            "Why? The decision says",
            format!("/v1/decisions/{}", text(&refused, "decision_id")),
        )
        .await?;
    driver.say(&format!("    facts: {}", decision["facts"]));
    driver.say(&format!(
        "    rule {}: {}",
        decision["rule"]["id"], decision["rule"]["text"]
    ));
    driver.must(
        "the decision names the rule and its text",
        decision["rule"]["text"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
    );
    Ok(entity)
}

/// Consent, an objection, a vote, a timer.
async fn discuss(driver: &mut Driver, entity: &str) -> Result<(), CliError> {
    let gate = propose(
        driver,
        "sari",
        "Sari proposes to discuss it: consent, 24 h",
        entity,
        "bahas",
    )
    .await?;
    driver
        .post(
            "sari",
            "A second proposal while the gate is open",
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": "bahas"}),
            (409, Some("gate_open")),
        )
        .await?;
    let objected = driver
        .post(
            "wati",
            "Wati objects, which forces a vote",
            format!("/v1/transitions/{gate}/objections"),
            json!({"reason": "Let us hear the neighbours first."}),
            CREATED,
        )
        .await?;
    driver.must(
        "the gate is a vote now",
        objected["gate"]["gate_type"] == "vote",
    );
    vote(
        driver,
        &gate,
        &[("sari", "yes"), ("budi", "yes"), ("wati", "no")],
    )
    .await?;
    driver
        .post(
            "sari",
            "Sari would like to vote twice",
            format!("/v1/transitions/{gate}/votes"),
            json!({"choice": "yes"}),
            (409, Some("already_voted")),
        )
        .await?;
    driver
        .post(
            "dewi",
            "Dewi votes, but she was not there when the gate opened",
            format!("/v1/transitions/{gate}/votes"),
            json!({"choice": "no"}),
            (403, None),
        )
        .await?;
    let open = driver
        .get(
            "budi",
            "Is the count known? Not before the gate closes",
            format!("/v1/transitions/{gate}"),
        )
        .await?;
    driver.must("the tally is hidden", open["gate"]["vote_tally"].is_null());
    closes(driver, &gate, 48, "applied").await?;
    driver
        .post(
            "joko",
            "Joko votes too late",
            format!("/v1/transitions/{gate}/votes"),
            json!({"choice": "yes"}),
            (409, Some("gate_closed")),
        )
        .await?;
    stands_at(driver, entity, "bahas").await
}

/// Past bahas there is a pic.
async fn plan_and_lead(driver: &mut Driver, entity: &str) -> Result<(), CliError> {
    let to = |stage: &str| json!({"entity_id": entity, "to_stage": stage});
    driver
        .post(
            "sari",
            "On to rancang (the plan), without anybody in the lead",
            "/v1/transitions",
            to("rancang"),
            (422, Some("pic_required")),
        )
        .await?;
    driver
        .put(
            "sari",
            "Sari nominates Wati as pic",
            format!("/v1/entities/{entity}/pic"),
            json!({"user_id": "wati"}),
            OK,
        )
        .await?;
    driver
        .put(
            "wati",
            "Wati accepts",
            format!("/v1/entities/{entity}/pic"),
            json!({"user_id": "wati"}),
            OK,
        )
        .await?;
    let gate = propose(
        driver,
        "wati",
        "Wati proposes rancang: fewer than 5 members, consent",
        entity,
        "rancang",
    )
    .await?;
    closes(driver, &gate, 24, "applied").await?;
    let gate = propose(
        driver,
        "wati",
        "Wati proposes garap (the work): a vote, 48 h",
        entity,
        "garap",
    )
    .await?;
    vote(driver, &gate, &[("sari", "yes"), ("joko", "yes")]).await?;
    closes(driver, &gate, 48, "applied").await?;
    driver
        .post(
            "sari",
            "Back to bahas? Nothing goes backward",
            "/v1/transitions",
            to("bahas"),
            (422, None),
        )
        .await?;
    stands_at(driver, entity, "garap").await
}

/// Proof of reality, then the check.
async fn prove_and_check(driver: &mut Driver, entity: &str) -> Result<(), CliError> {
    let to = json!({"entity_id": entity, "to_stage": "periksa"});
    driver
        .post(
            "wati",
            "Done, says Wati, and proposes periksa (the check), with nothing to show",
            "/v1/transitions",
            to,
            (422, Some("proof_required")),
        )
        .await?;
    let now = Timestamp::now().to_string();
    let gps = json!({
        "entity_id": entity,
        "evidence_type": "gps_verification",
        "evidence_data": {"lat": -6.364, "lon": 106.859, "accuracy_m": 8.0},
        "proof": {"timestamp": now},
    });
    driver
        .post(
            "joko",
            "Joko stood at the gutter",
            "/v1/evidence",
            gps,
            CREATED,
        )
        .await?;
    let seen = json!({
        "entity_id": entity,
        "evidence_type": "witness_attestation",
        "proof": {"timestamp": now, "witnesses": [{"witness_name": "Ibu Ani", "relationship": "beneficiary", "statement": "The water runs off again."}]},
    });
    driver
        .post(
            "budi",
            "A neighbour attests it",
            "/v1/evidence",
            seen,
            CREATED,
        )
        .await?;
    let gate = propose(
        driver,
        "wati",
        "Wati proposes periksa again: high risk, a vote, 72 h",
        entity,
        "periksa",
    )
    .await?;
    vote(
        driver,
        &gate,
        &[("sari", "yes"), ("budi", "yes"), ("joko", "yes")],
    )
    .await?;
    closes(driver, &gate, 72, "applied").await?;
    stands_at(driver, entity, "periksa").await
}

/// A result can be challenged before it stands.
async fn finish(driver: &mut Driver, entity: &str) -> Result<(), CliError> {
    let to = json!({"entity_id": entity, "to_stage": "tuntas"});
    driver
        .post(
            "wati",
            "tuntas (done), with no time to challenge it",
            "/v1/transitions",
            to,
            (422, Some("challenge_window_required")),
        )
        .await?;
    let to = json!({"entity_id": entity, "to_stage": "tuntas", "challenge_window_hours": 24});
    let opened = driver
        .post(
            "wati",
            "tuntas, with a challenge window of 24 h: a vote, 72 h",
            "/v1/transitions",
            to,
            CREATED,
        )
        .await?;
    let gate = text(&opened, "transition_id");
    vote(
        driver,
        &gate,
        &[("sari", "yes"), ("wati", "yes"), ("budi", "abstain")],
    )
    .await?;
    driver.wait(72).await?;
    let won = driver
        .get(
            "joko",
            "The vote is won; it waits for challenges",
            format!("/v1/transitions/{gate}"),
        )
        .await?;
    driver.must(
        "still open, in its challenge phase",
        won["status"] == "open" && won["gate"]["phase"] == "challenge",
    );
    driver
        .post(
            "joko",
            "Joko challenges: it rains tomorrow",
            format!("/v1/transitions/{gate}/challenges"),
            json!({"reason": "Let it rain once before we say done."}),
            CREATED,
        )
        .await?;
    vote(
        driver,
        &gate,
        &[("sari", "yes"), ("budi", "yes"), ("joko", "yes")],
    )
    .await?;
    closes(driver, &gate, 72, "applied").await?;
    stands_at(driver, entity, "tuntas").await?;
    let timeline = driver
        .get(
            "budi",
            "The whole matter, in order",
            format!("/v1/entities/{entity}/timeline"),
        )
        .await?;
    let items = timeline["items"].as_array().cloned().unwrap_or_default();
    for item in &items {
        driver.say(&format!(
            "    {} -> {}: {} ({})",
            text(item, "from_stage"),
            text(item, "to_stage"),
            text(item, "status"),
            item["gate"]["reason"].as_str().unwrap_or("-")
        ));
    }
    driver.must(
        "five transitions, all applied",
        items.len() == 5 && items.iter().all(|item| item["status"] == "applied"),
    );
    Ok(())
}

async fn propose(
    driver: &mut Driver,
    who: &str,
    told: &str,
    entity: &str,
    stage: &str,
) -> Result<String, CliError> {
    let opened = driver
        .post(
            who,
            told,
            "/v1/transitions",
            json!({"entity_id": entity, "to_stage": stage}),
            CREATED,
        )
        .await?;
    Ok(text(&opened, "transition_id"))
}

async fn vote(driver: &mut Driver, gate: &str, ballots: &[(&str, &str)]) -> Result<(), CliError> {
    for (who, choice) in ballots {
        driver
            .post(
                who,
                &format!("{who} votes {choice}"),
                format!("/v1/transitions/{gate}/votes"),
                json!({"choice": choice}),
                CREATED,
            )
            .await?;
    }
    Ok(())
}

/// The window ends by its timer.
async fn closes(driver: &mut Driver, gate: &str, hours: u64, status: &str) -> Result<(), CliError> {
    driver.wait(hours).await?;
    let closed = driver
        .get(
            "budi",
            "What came of it?",
            format!("/v1/transitions/{gate}"),
        )
        .await?;
    driver.say(&format!(
        "    {} because {}, tally {}",
        closed["status"], closed["gate"]["reason"], closed["gate"]["vote_tally"]
    ));
    driver.must(
        &format!("the gate closed, {status}"),
        closed["status"] == status,
    );
    Ok(())
}

async fn stands_at(driver: &mut Driver, entity: &str, stage: &str) -> Result<(), CliError> {
    let here = driver
        .get(
            "budi",
            "Where does it stand?",
            format!("/v1/entities/{entity}/stage"),
        )
        .await?;
    driver.must(&format!("it stands at {stage}"), here["stage"] == stage);
    Ok(())
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
