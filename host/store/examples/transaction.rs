//! Measures the store alone and prints one line: the figures of the build-profile and durability ADRs.
//!
//! ```text
//! cargo run --release -p gotong-store --example transaction                    # memory engine
//! cargo run --release -p gotong-store --example transaction -- DIR [--fast]    # surrealkv in DIR, synced unless --fast
//! ```
//!
//! - *transaction*: 4 writes (event, head, decision, response) and 1 read (the head's version);
//! - *command*: what a host command commits: 1 event with private fields, 2 rows, a decision, a response, the head;
//! - *page*: 20 rows by key range out of a table of thousands; *empty*: `RETURN 1`.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gotong_store::{
    Commit, Durability, EventRow, Key, KeyRange, Migrations, PrivateRow, RowChange, Store,
    StoredResponse, Target,
};
use serde_json::{Value, json};

const WARM_UP: u64 = 200;
const RUNS: u64 = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next();
    let fast = arguments.next().as_deref() == Some("--fast");
    let durability = if fast {
        Durability::Fast
    } else {
        Durability::Synced
    };
    durability.apply()?;
    let (name, target) = match directory {
        None => ("memory".to_owned(), Target::Memory),
        Some(path) => {
            let name = format!("surrealkv {:?}", Durability::current()).to_lowercase();
            let fresh = format!("transaction-{}", std::process::id());
            (name, Target::Directory(PathBuf::from(path).join(fresh)))
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    println!("{name}: {}", runtime.block_on(measure(&target))?);
    Ok(())
}

async fn measure(target: &Target) -> Result<String, Box<dyn Error>> {
    let store = Store::open(target, None).await?;
    store.migrate(&Migrations::embedded()?).await?;
    store.read("DEFINE TABLE sample SCHEMALESS").await?;

    let transaction = commits(&store, |i| four_writes("entity:measured", i)).await?;
    let command = commits(&store, |i| whole_command("entity:commanded", i)).await?;
    let page = KeyRange::prefix("event", "entity:measured")
        .after(RUNS / 2)
        .limit(20);
    let page = reads(async || Ok(store.scan::<EventRow>(&page).await?.len())).await?;
    let empty = reads(async || Ok(store.read("RETURN 1").await?.take::<u64>(0)?.len())).await?;
    Ok(format!(
        "transaction {transaction} | command {command} | page of 20 {} | empty {}",
        page.p50(),
        empty.p50()
    ))
}

async fn commits(store: &Store, make: impl Fn(u64) -> Commit) -> Result<Times, Box<dyn Error>> {
    let mut times = Vec::new();
    for i in 0..WARM_UP + RUNS {
        let commit = make(i);
        let start = Instant::now();
        store.commit(&commit).await?;
        times.push(start.elapsed());
    }
    Ok(Times::of(times))
}

async fn reads(
    read: impl AsyncFn() -> Result<usize, Box<dyn Error>>,
) -> Result<Times, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..WARM_UP + RUNS {
        let start = Instant::now();
        read().await?;
        times.push(start.elapsed());
    }
    Ok(Times::of(times))
}

struct Times(Vec<Duration>);

impl Times {
    fn of(times: Vec<Duration>) -> Times {
        let mut measured: Vec<_> = times.into_iter().skip(WARM_UP as usize).collect();
        measured.sort();
        Times(measured)
    }

    fn at(&self, permille: usize) -> f64 {
        self.0[(self.0.len() - 1) * permille / 1000].as_secs_f64() * 1e3
    }

    fn p50(&self) -> String {
        format!("p50 {:.3} ms", self.at(500))
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64();
        write!(
            f,
            "p50 {:.3} ms, p99 {:.3} ms, {per_second:.0}/s",
            self.at(500),
            self.at(990)
        )
    }
}

fn four_writes(stream: &str, i: u64) -> Commit {
    let body = json!({"at_ms": i, "kind": "vote_cast", "private": {"voter": "c".repeat(64)}, "seq": i + 1});
    Commit {
        reads: [(stream.to_owned(), i)].into(),
        events: vec![EventRow {
            stream: stream.to_owned(),
            seq: i + 1,
            kind: "vote_cast".to_owned(),
            at_ms: i as i64,
            body: body.to_string(),
            hash: "a".repeat(64),
        }],
        decisions: vec![decision(stream, i)],
        response: Some(StoredResponse {
            scope: stream.to_owned(),
            request_id: format!("request-{i}"),
            actor: "user-1".to_owned(),
            request_digest: "b".repeat(64),
            status: 200,
            body: json!({"transition_id": stream, "status": "open"}).to_string(),
            at_ms: i as i64,
        }),
        ..Commit::default()
    }
}

fn whole_command(stream: &str, i: u64) -> Commit {
    let fields = json!({"voter": {"value": "user-1", "salt": "d".repeat(32)}});
    let row = |n: u64| json!({"n": n, "person": "user-1", "choice": "yes", "at_ms": i, "roles": ["author", "pic"]});
    Commit {
        private: vec![PrivateRow {
            stream: stream.to_owned(),
            seq: i + 1,
            fields: fields.as_object().cloned().unwrap_or_default(),
        }],
        rows: vec![
            RowChange::Create {
                key: Key::parts("sample", (stream, i)),
                row: row(1),
            },
            RowChange::Put {
                key: Key::new("sample", stream),
                row: row(i),
            },
        ],
        ..four_writes(stream, i)
    }
}

fn decision(stream: &str, i: u64) -> Value {
    json!({
        "decision_id": format!("{stream}-{i:08}"), "at_ms": i, "family": "role-matrix", "function": "authorize",
        "module_name": "role-matrix", "module_version": "1.0.0", "module_digest": "sha256:".to_owned() + &"e".repeat(64),
        "abi": "gotong:policy@1.0.0", "engine": "f".repeat(64), "input": "{\"fact\":1}".repeat(20),
        "input_digest": "1".repeat(64), "output": "{\"effect\":\"allow\"}", "output_digest": "2".repeat(64),
        "outcome": "ruled", "trap_code": null, "fuel": 1234, "replayable": true, "entity_id": stream,
        "request_id": format!("request-{i}"), "correlation_id": "correlation-1", "trace_id": null, "mode": "active",
    })
}
