//! What is there at the end, against what was promised: not less and not more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Cluster;
use super::writers::Promises;

/// Of a matter: it was shared, three people joined, a gate was opened, and its timer closed it.
const OF_A_MATTER: [(&str, u64); 4] = [
    ("entity_shared", 1),
    ("relation_started", 3),
    ("transition_proposed", 1),
    ("transition_applied", 1),
];
/// Of the matter at a vote, whose window is still open: one person joined and objected, two voted.
const OF_THE_VOTE: [(&str, u64); 5] = [
    ("entity_shared", 1),
    ("relation_started", 1),
    ("transition_proposed", 1),
    ("transition_objected", 1),
    ("ballot_cast", 2),
];

/// Counts events, rows and jobs, and reads every matter back. So many timers lost the worker that had them in hand.
pub async fn holds(cluster: &Cluster, promises: &Promises, vote: &str, leased: usize) -> Value {
    let at_a_vote = cluster.any().transition(vote).await;
    let at_a_vote = at_a_vote["entity_id"].as_str().unwrap();
    let events = events(cluster, promises, at_a_vote).await;
    rows(cluster, promises, at_a_vote, vote).await;
    matters(cluster, promises).await;
    let tried_again = jobs(cluster, promises, vote).await;
    assert!(
        tried_again >= leased,
        "{tried_again} timers were tried again, {leased} had lost their worker"
    );
    let (replay, ledger) = cluster.any().holds();
    assert_eq!(ledger["events"], events, "{ledger}");
    json!({
        "entities": promises.shared.len(), "joined": promises.joined.len(), "gates_closed_once": promises.proposed.len(),
        "timers_tried_again": tried_again, "events": events, "decisions_replayed": replay["match"], "ledger": ledger["ok"],
    })
}

/// Every event there is, by stream and kind: exactly those. Returns how many.
async fn events(cluster: &Cluster, promises: &Promises, at_a_vote: &str) -> u64 {
    let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/audit/events?limit=500{after}");
        let page = cluster.any().get("auditor/admin", &path).await.ok().json;
        let rows = page.as_array().unwrap();
        let Some(last) = rows.last() else { break };
        after = format!(
            "&after_stream={}&after_seq={}",
            last["stream"].as_str().unwrap(),
            last["seq"]
        );
        for row in rows {
            let text = |field: &str| row[field].as_str().unwrap().to_owned();
            *found.entry((text("stream"), text("kind"))).or_default() += 1;
        }
    }
    let mut promised = BTreeMap::new();
    let mut add = |entity: &str, kinds: &[(&str, u64)]| {
        for (kind, times) in kinds {
            promised.insert((entity.to_owned(), (*kind).to_owned()), *times);
        }
    };
    for entity in promises.shared.keys() {
        add(entity, &OF_A_MATTER);
    }
    add(at_a_vote, &OF_THE_VOTE);
    let total = promised.values().sum();
    same(
        &found.into_iter().collect(),
        &promised.into_iter().collect(),
    );
    total
}

/// The rows beside the events.
async fn rows(cluster: &Cluster, promises: &Promises, at_a_vote: &str, vote: &str) {
    let one = |text: &str| text.to_owned();
    let stages = promises.shared.iter();
    let mut entities: BTreeSet<_> = stages
        .map(|(entity, author)| [one(entity), one(author), one("bahas"), one("null")])
        .collect();
    entities.insert([one(at_a_vote), one("sari"), one("keresahan"), one(vote)]);
    let gates = promises.proposed.iter();
    let mut transitions: BTreeSet<_> = gates
        .map(|(gate, entity)| [one(gate), one(entity), one("applied")])
        .collect();
    transitions.insert([one(vote), one(at_a_vote), one("open")]);
    let timeline = transitions.iter().map(|[gate, ..]| [one(gate)]).collect();

    same(
        &table(
            cluster,
            "entity",
            ["entity_id", "author_id", "stage", "open_transition"],
        )
        .await,
        &entities,
    );
    same(
        &table(
            cluster,
            "transition",
            ["transition_id", "entity_id", "status"],
        )
        .await,
        &transitions,
    );
    same(
        &table(cluster, "timeline", ["transition_id"]).await,
        &timeline,
    );
}

/// Every row of a table, by some fields. No two are the same.
async fn table<const N: usize>(
    cluster: &Cluster,
    name: &str,
    fields: [&str; N],
) -> BTreeSet<[String; N]> {
    let query = format!(
        "USE NS gotong DB main; SELECT {} FROM {name};",
        fields.join(", ")
    );
    let told = cluster.server.sql(&query).await;
    let rows = told[1]["result"].as_array().unwrap();
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let found: BTreeSet<_> = rows
        .iter()
        .map(|row| fields.map(|field| text(&row[field])))
        .collect();
    assert_eq!(found.len(), rows.len(), "twice the same in {name}");
    found
}

/// Every matter is read back as its author sees it: its stage, and who joined, by name.
async fn matters(cluster: &Cluster, promises: &Promises) {
    let mut joined = BTreeSet::new();
    for (entity, author) in &promises.shared {
        let path = format!("/v1/entities/{entity}");
        let seen = cluster.any().get(author, &path).await.ok().json;
        assert_eq!(seen["stage"], "bahas", "{seen}");
        for person in seen["people"].as_array().unwrap() {
            let name = person["username"].as_str().unwrap();
            if name == author {
                continue;
            }
            assert_eq!(person["relation"], "participant", "{seen}");
            assert!(joined.insert((entity.clone(), name.to_owned())), "{seen}");
        }
    }
    same(&joined, &promises.joined);
}

/// Every timer is done, but that of the vote; nothing is due, dead or in hand. Returns how many were tried again.
async fn jobs(cluster: &Cluster, promises: &Promises, vote: &str) -> usize {
    let page = cluster
        .any()
        .get("ops/admin", "/v1/admin/jobs?state=pending")
        .await
        .ok()
        .json;
    let queue = &page["queue"];
    assert_eq!(
        (&queue["waiting"], &queue["due"], &queue["dead"]),
        (&json!(1), &json!(0), &json!(0)),
        "{page}"
    );
    assert_eq!(page["jobs"][0]["payload"]["transition_id"], vote, "{page}");
    let told = cluster.any().get("ops/admin", "/metrics").await.ok().text;
    assert!(told.contains("gotong_jobs{state=\"dead\"} 0\n"), "{told}");

    let jobs = table(cluster, "job", ["job_id", "state", "attempts"]).await;
    let are = |wanted: &str| jobs.iter().filter(|[_, state, _]| state == wanted).count();
    // The vote's timer waits in the place of the one that was called off by the objection.
    let counted = [are("done"), are("pending"), are("cancelled"), jobs.len()];
    let timers = promises.proposed.len();
    assert_eq!(counted, [timers, 1, 1, timers + 2]);
    assert_eq!(table(cluster, "job_due", ["job_id"]).await.len(), 1);
    let again = |[_, state, attempts]: &&[String; 3]| state == "done" && attempts != "1";
    jobs.iter().filter(again).count()
}

/// What still waits, for a failure's message.
pub async fn left(cluster: &Cluster) -> Value {
    let query = "USE NS gotong DB main; SELECT * FROM job_due LIMIT 3; SELECT * FROM job WHERE state = 'pending' LIMIT 3;
        SELECT transition_id, gate, status FROM transition WHERE status = 'open' LIMIT 3;";
    cluster.server.sql(query).await
}

/// Says what differs, not all there is.
#[track_caller]
fn same<T: Ord + std::fmt::Debug>(found: &BTreeSet<T>, promised: &BTreeSet<T>) {
    let lost: Vec<_> = promised.difference(found).take(5).collect();
    let more: Vec<_> = found.difference(promised).take(5).collect();
    assert!(
        lost.is_empty() && more.is_empty(),
        "lost: {lost:#?}, not promised: {more:#?}"
    );
}
