//! What somebody who can write to the database cannot do unseen.

use serde_json::{Value, json};

use gotong_store::Commit;

use super::event::{Event, EventKind};
use super::source::{PAGE, Source};
use super::verify::{Report, verify};
use super::{Circumstances, Tip, chain};
use crate::app::App;
use crate::entities::relations::Take;
use crate::entities::{At, Share};
use crate::testing::{app, context};
use crate::transitions::ballot::Vote;
use crate::transitions::close::CloseGate;
use crate::transitions::objection::Objection;
use crate::transitions::{Propose, Upon};

fn from<T: serde::de::DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

/// A matter at a vote, with two ballots. Returns entity, transition, and when the window ends.
async fn at_a_vote(app: &App) -> (String, String, i64) {
    let answer = |body: String| serde_json::from_str::<Value>(&body).unwrap();
    let share: Share =
        from(json!({"track": "tuntaskan", "title": "A seed", "text": "words", "scope_id": "id"}));
    let seed = answer(
        app.command(context("sari", "request-share"), share)
            .await
            .unwrap()
            .body,
    );
    let entity_id = seed["entity_id"].as_str().unwrap().to_owned();
    let join = At {
        entity_id: entity_id.clone(),
        input: from::<Take>(json!({"relation": "participant"})),
    };
    app.command(context("wati", "request-join"), join)
        .await
        .unwrap();
    let propose: Propose = from(json!({"entity_id": entity_id, "to_stage": "bahas"}));
    let gate = answer(
        app.command(context("sari", "request-propose"), propose)
            .await
            .unwrap()
            .body,
    );
    let transition_id = gate["transition_id"].as_str().unwrap().to_owned();
    let upon = || (entity_id.clone(), transition_id.clone());
    let (entity, transition) = upon();
    let object = Upon {
        entity_id: entity,
        transition_id: transition,
        input: from::<Objection>(json!({"reason": "Wait."})),
    };
    let objected = answer(
        app.command(context("wati", "request-object"), object)
            .await
            .unwrap()
            .body,
    );
    for (who, choice) in [("sari", "yes"), ("wati", "no")] {
        let (entity_id, transition_id) = upon();
        let vote = Upon {
            entity_id,
            transition_id,
            input: from::<Vote>(json!({"choice": choice})),
        };
        let cast = app
            .command(context(who, &format!("request-vote-{who}")), vote)
            .await
            .unwrap();
        assert!(cast.status.is_success(), "{}", cast.body);
    }
    (
        entity_id,
        transition_id,
        objected["gate"]["closes_at_ms"].as_i64().unwrap(),
    )
}

async fn walked(app: &App) -> Report {
    verify(&Source::Store(app.store.clone())).await.unwrap()
}

/// What the database's owner can do and no command does.
async fn tamper(app: &App, surql: &str, entity: &str) {
    let off = "REMOVE EVENT append_only ON event; REMOVE EVENT append_only ON policy_decision; REMOVE EVENT append_only ON ballot;";
    app.store
        .read(&format!("{off} {surql}"))
        .bind("entity", entity)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_untouched_ledger_holds_and_erased_persons_do_not_break_it() {
    let app = app().await;
    let (entity, ..) = at_a_vote(&app).await;
    let report = walked(&app).await;
    assert!(report.ok, "{:?}", report.first_bad);
    assert_eq!((report.events, report.streams), (6, 1));
    assert!(report.decisions > 6 && report.commitments > 6);
    tamper(
        &app,
        "DELETE event_private WHERE stream = $entity;",
        &entity,
    )
    .await;
    let report = walked(&app).await;
    assert!(
        report.ok && report.commitments == 0,
        "{:?}",
        report.first_bad
    );
}

/// Appends events behind `tip`, each with a personal field. Returns where the stream ends then.
async fn append(app: &App, stream: &str, mut tip: Tip, events: usize) -> Tip {
    let mut commit = Commit::default();
    for _ in 0..events {
        let event = Event::new(
            EventKind::RelationStarted,
            json!({"relation": "participant"}),
        )
        .private("actor", "sari");
        let around = Circumstances {
            event_id: format!("{stream}-{}", tip.seq),
            stream,
            at_ms: 1,
            request_id: "request-of-the-test",
            correlation_id: "test",
            actor_role: "user",
            mechanism: "user_action",
            decisions: Vec::new(),
        };
        let (event, private) = chain(event, &tip, around).unwrap();
        tip = Tip {
            seq: event.seq,
            hash: event.hash.clone(),
        };
        commit.events.push(event);
        commit.private.extend(private);
    }
    app.store.commit(&commit).await.unwrap();
    tip
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_of_many_pages_hold_while_the_host_writes_on() {
    let app = app().await;
    let lengths = [("a", 3), ("b", 2 * PAGE + 7), ("c", PAGE - 10), ("d", 1)];
    let mut tips = Vec::new();
    for (stream, events) in lengths {
        tips.push(append(&app, stream, Tip::genesis(), events).await);
    }
    let all: usize = lengths.iter().map(|(_, events)| events).sum();
    let report = walked(&app).await;
    assert!(report.ok, "{:?}", report.first_bad);
    let counts = (report.events, report.streams, report.commitments);
    assert_eq!(counts, (all as u64, 4, all as u64));

    let [_, long, ..] = &tips[..] else {
        panic!("four streams")
    };
    let (writing, end) = (app.clone(), long.clone());
    let writer = tokio::spawn(async move {
        let mut end = end;
        for number in 0..60 {
            end = append(&writing, "b", end, 1).await;
            append(&writing, &format!("b{number}"), Tip::genesis(), 2).await;
        }
    });
    let mut walks = 0;
    while !writer.is_finished() || walks == 0 {
        let report = walked(&app).await;
        assert!(report.ok, "{:?}", report.first_bad);
        walks += 1;
    }
    writer.await.unwrap();
    assert_eq!(walked(&app).await.events, all as u64 + 60 * 3);

    // In the third page of the walk, far behind its first.
    let place = PAGE + PAGE / 2;
    let change = format!(
        "LET $row = (SELECT * FROM ONLY event:[$entity, {place}]); DELETE event:[$entity, {place}];
         CREATE event:[$entity, {place}] CONTENT object::extend($row, {{ at_ms: 2 }});"
    );
    tamper(&app, &change, "b").await;
    let bad = walked(&app).await.first_bad.unwrap();
    assert_eq!((bad.stream.as_str(), bad.seq), ("b", place as u64));
}

#[tokio::test]
async fn every_change_of_an_event_is_named() {
    let replaced = |field: &str, value: &str| {
        format!(
            "LET $row = (SELECT * FROM ONLY event:[$entity, 3]); DELETE event:[$entity, 3];
             CREATE event:[$entity, 3] CONTENT object::extend($row, {{ {field}: {value} }});"
        )
    };
    let changes = [
        (
            replaced("body", "string::replace($row.body, 'bahas', 'tuntas')"),
            3,
        ),
        (replaced("hash", "string::repeat('0', 64)"), 3),
        (replaced("kind", "'entity_shared'"), 3),
        (replaced("at_ms", "1"), 3),
        ("DELETE event:[$entity, 3];".to_owned(), 4),
        ("DELETE event:[$entity, 6];".to_owned(), 5),
        ("DELETE event WHERE stream = $entity;".to_owned(), 0),
        (
            "UPDATE stream SET hash = string::repeat('0', 64);".to_owned(),
            6,
        ),
    ];
    for (change, seq) in changes {
        let app = app().await;
        let (entity, ..) = at_a_vote(&app).await;
        tamper(&app, &change, &entity).await;
        let report = walked(&app).await;
        let bad = report
            .first_bad
            .unwrap_or_else(|| panic!("unseen: {change}"));
        assert_eq!((report.ok, bad.seq), (false, seq), "{change}: {}", bad.why);
    }
}

#[tokio::test]
async fn a_decision_an_event_rests_on_cannot_be_exchanged_or_lost() {
    for change in [
        "LET $row = (SELECT * FROM ONLY policy_decision LIMIT 1); DELETE $row.id; CREATE policy_decision CONTENT object::extend($row, { fuel: 1 });",
        "DELETE policy_decision;",
    ] {
        let app = app().await;
        let (entity, ..) = at_a_vote(&app).await;
        tamper(&app, change, &entity).await;
        let bad = walked(&app)
            .await
            .first_bad
            .unwrap_or_else(|| panic!("unseen: {change}"));
        assert!(bad.why.starts_with("decision "), "{}", bad.why);
    }
}

#[tokio::test]
async fn a_personal_value_cannot_be_exchanged() {
    let app = app().await;
    let (entity, ..) = at_a_vote(&app).await;
    let change = "LET $row = (SELECT * FROM ONLY event_private:[$entity, 1]); DELETE event_private:[$entity, 1];
        CREATE event_private:[$entity, 1] SET stream = $entity, seq = 1, fields = object::extend($row.fields, { title: { salt: $row.fields.title.salt, value: 'Another' } });";
    tamper(&app, change, &entity).await;
    let bad = walked(&app).await.first_bad.unwrap();
    assert!(bad.seq == 1 && bad.why.contains("`title`"), "{}", bad.why);
}

#[tokio::test]
async fn ballots_exchanged_before_the_close_are_found_out() {
    let app = app().await;
    let (entity, transition, closes_at_ms) = at_a_vote(&app).await;
    let forged = "DELETE ballot WHERE choice = 'no'; CREATE ballot:[$transition, 1, 'wati'] SET transition_id = $transition, round = 1,
        user_id = 'wati', choice = 'yes', weight_permille = 1000, at_ms = 1;";
    let forged = forged.replace("$transition", &format!("'{transition}'"));
    tamper(&app, &forged, &entity).await;
    assert!(
        walked(&app).await.ok,
        "before the close there is no count to compare"
    );
    let close = CloseGate {
        entity_id: entity,
        transition_id: transition,
        closes_at_ms,
    };
    let mut timer = context("system", &format!("timer:close:{closes_at_ms}"));
    timer.actor = crate::request::Actor::system();
    timer.trigger = gotong_engine::types::Trigger::Timer;
    timer.now_ms = closes_at_ms;
    let closed = app.command(timer, close).await.unwrap();
    assert!(closed.body.contains("applied"), "{}", closed.body);
    let bad = walked(&app).await.first_bad.unwrap();
    assert!(
        bad.why.starts_with("the ballots that were cast"),
        "{}",
        bad.why
    );
}
