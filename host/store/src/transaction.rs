//! Applies a [`Commit`] as one `BEGIN … COMMIT` query: few statements, each over a bound array.
//!
//! Both embedded engines give snapshot isolation: they notice two writes to one key, not a write to
//! what another transaction only read. Every stream a changing commit relied on is therefore written,
//! its head row at least touched, so that a concurrent append to it conflicts.
//!
//! Every statement proves what it wrote ([`wrote!`]): a login without the right to write gets an error, not silence.

use std::collections::BTreeMap;

use surrealdb::types::{Object, Value, Variables};

use crate::commit::{Commit, EventRow, Job, JobChange, Moved, RowChange};
use crate::error::{CommitError, JOB_MOVED, LEASE_LOST, STALE, StoreError};
use crate::key::Key;
use crate::ledger::stored_decision;
use crate::store::Store;
use crate::value::{encode, encode_object, int, json, object, object_with_id, seq, text, with_id};
use crate::wrote::{MAY_NOT_WRITE, wrote};

impl Store {
    /// Applies a commit, whole or not at all. Does not retry.
    ///
    /// # Errors
    ///
    /// [`CommitError`] says which expectation did not hold; nothing was written then.
    pub async fn commit(&self, commit: &Commit) -> Result<(), CommitError> {
        let transaction = Transaction::of(commit)?;
        if transaction.body.is_empty() {
            return Ok(());
        }
        let query = format!("BEGIN;{}COMMIT;", transaction.body);
        self.write(&query, transaction.variables).await?;
        Ok(())
    }
}

#[derive(Default)]
struct Transaction {
    body: String,
    variables: Variables,
}

impl Transaction {
    fn of(commit: &Commit) -> Result<Transaction, StoreError> {
        let mut transaction = Transaction::default();
        transaction.streams(commit)?;
        transaction.inserts(commit)?;
        transaction.changes(commit)?;
        transaction.jobs(commit)?;
        Ok(transaction)
    }

    /// Adds a statement over a list, unless the list is empty.
    fn over(&mut self, name: &str, list: Vec<Value>, statement: &str) {
        if !list.is_empty() {
            self.variables.insert(name, Value::Array(list.into()));
            self.body.push_str(statement);
        }
    }

    /// Checks every stream's version, then moves or touches its head.
    fn streams(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let heads = new_heads(commit)?;
        let changes =
            !(commit.events.is_empty() && commit.rows.is_empty() && commit.jobs.is_empty());
        let (mut moved, mut touched, mut checked) = (Vec::new(), Vec::new(), Vec::new());
        for (stream, (version, head)) in &heads {
            let key = Key::new("stream", *stream).to_value();
            let mut expected = object([
                ("id", key),
                ("stream", text(stream)),
                ("version", seq(*version)),
            ]);
            match head {
                Some(last) => {
                    let row = [
                        ("stream", text(stream)),
                        ("seq", seq(last.seq)),
                        ("hash", text(&last.hash)),
                    ];
                    expected.insert("head".to_owned(), Value::Object(object(row)));
                    moved.push(Value::Object(expected));
                }
                None if changes => touched.push(Value::Object(expected)),
                None => checked.push(Value::Object(expected)),
            }
        }
        let check = format!("IF ($s.id.seq ?? 0) != $s.version {{ THROW '{STALE}' + $s.stream }};");
        self.over(
            "checked",
            checked,
            &format!("FOR $s IN $checked {{ {check} }};"),
        );
        self.over(
            "touched",
            touched,
            &format!(
                // By `$s.id.…`: inside the loop a bare field name is not the row's, and would clear it.
                "FOR $s IN $touched {{ {check} {} }};",
                wrote!(
                    "UPSERT $s.id SET stream = $s.stream, seq = $s.version, hash = $s.id.hash ?? '', \
                     touched = ($s.id.touched ?? 0) + 1"
                )
            ),
        );
        self.over(
            "moved",
            moved,
            &format!(
                "FOR $s IN $moved {{ {check} {} }};",
                wrote!("UPSERT $s.id MERGE $s.head")
            ),
        );
        Ok(())
    }

    /// Everything that is new goes in by one statement, whatever its table.
    fn inserts(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        if let Some(response) = &commit.response {
            let key = Key::parts("idempotency", (&response.scope, &response.request_id));
            rows.push(with_id(
                &key,
                serde_json::to_value(response).map_err(StoreError::Encode)?,
            )?);
        }
        for event in &commit.events {
            rows.push(object_with_id(
                &Key::parts("event", (&event.stream, event.seq)),
                event_row(event),
            ));
        }
        for private in &commit.private {
            let row = object([
                ("stream", text(&private.stream)),
                ("seq", seq(private.seq)),
                ("fields", encode(&private.fields)?),
            ]);
            rows.push(object_with_id(
                &Key::parts("event_private", (&private.stream, private.seq)),
                row,
            ));
        }
        for decision in &commit.decisions {
            let id = decision
                .get("decision_id")
                .and_then(|id| id.as_str())
                .ok_or(StoreError::NoDecisionId)?;
            rows.push(with_id(
                &Key::new("policy_decision", id),
                stored_decision(decision.clone()),
            )?);
        }
        for change in &commit.rows {
            if let RowChange::Create { key, row } = change {
                rows.push(with_id(key, row.clone())?);
            }
        }
        self.over("inserts", rows, wrote!("INSERT $inserts"));
        Ok(())
    }

    fn changes(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let (mut puts, mut merges, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
        for change in &commit.rows {
            match change {
                RowChange::Create { .. } => {}
                RowChange::Put { key, row } => puts.push(keyed(key, encode_object(row.clone())?)),
                RowChange::Merge { key, fields } => {
                    merges.push(keyed(key, encode_object(fields.clone())?))
                }
                RowChange::Delete { key } => deletes.push(key.to_value()),
            }
        }
        self.over("puts", puts, PUT);
        self.over("merges", merges, MERGE);
        // How many there were does not matter; that none is left does.
        let delete = format!(
            "DELETE $deletes RETURN NONE; \
             IF array::len((SELECT VALUE id FROM $deletes)) != 0 {{ THROW '{MAY_NOT_WRITE}' }};"
        );
        self.over("deletes", deletes, &delete);
        Ok(())
    }

    fn jobs(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let (mut scheduled, mut ended) = (Vec::new(), Vec::new());
        let (mut finished, mut moved) = (Vec::new(), Vec::new());
        for change in &commit.jobs {
            match change {
                JobChange::Schedule(job) => scheduled.push(scheduling(job)),
                JobChange::Finish { lease, at_ms } => finished.push(of_job(
                    &lease.job_id,
                    [
                        ("at", int(*at_ms)),
                        ("owner", text(&lease.owner)),
                        ("token", seq(lease.token)),
                    ],
                )),
                JobChange::Cancel { job_id, at_ms } => {
                    ended.push(of_job(job_id, [("at", int(*at_ms))]));
                }
                JobChange::Move {
                    job_id,
                    from,
                    token,
                    to,
                } => {
                    let (word, at_ms) = match to {
                        Moved::Retried(at_ms) => ("retried", at_ms),
                        Moved::Cancelled(at_ms) => ("cancelled", at_ms),
                    };
                    moved.push(of_job(
                        job_id,
                        [
                            ("from", encode(from)?),
                            ("token", token.map_or(Value::None, seq)),
                            ("to", text(word)),
                            ("at", int(*at_ms)),
                        ],
                    ));
                }
            }
        }
        self.over("scheduled", scheduled, SCHEDULE);
        self.over("ended", ended, CANCEL);
        let finish = FINISH.replace("{LEASE_LOST}", LEASE_LOST);
        self.over("finished", finished, &finish);
        self.over("moved_jobs", moved, &MOVE.replace("{JOB_MOVED}", JOB_MOVED));
        Ok(())
    }
}

const PUT: &str = concat!(
    "FOR $p IN $puts { ",
    wrote!("UPSERT $p.id CONTENT $p.row"),
    " };"
);

const MERGE: &str = concat!(
    "FOR $m IN $merges { ",
    wrote!("UPSERT $m.id MERGE $m.row"),
    " };"
);

const SCHEDULE: &str = concat!(
    "FOR $j IN $scheduled { IF $j.id.state = NONE { ",
    wrote!("INSERT [$j.job, $j.due]"),
    " } };"
);

// The deletions in these need no proof of their own: who may change the job may delete its place in the queue.
const CANCEL: &str = concat!(
    "FOR $j IN $ended { IF $j.id.state = 'pending' {
        DELETE type::record('job_due', [$j.id.wake_at_ms, $j.job_id]) RETURN NONE;",
    wrote!(
        "UPDATE $j.id SET state = 'cancelled', ended_at_ms = $j.at, lease_owner = NONE, lease_until_ms = NONE"
    ),
    "} };"
);

const FINISH: &str = concat!(
    "FOR $j IN $finished {
        IF $j.id.state != 'pending' OR $j.id.lease_owner != $j.owner OR $j.id.lease_token != $j.token {
            THROW '{LEASE_LOST}' + $j.job_id
        };
        DELETE type::record('job_due', [$j.id.wake_at_ms, $j.job_id]) RETURN NONE;",
    wrote!(
        "UPDATE $j.id SET state = 'done', ended_at_ms = $j.at, lease_owner = NONE, lease_until_ms = NONE"
    ),
    "};"
);

const MOVE: &str = concat!(
    "FOR $j IN $moved_jobs {
        IF $j.id.state != $j.from OR $j.id.lease_token != $j.token { THROW '{JOB_MOVED}' + $j.job_id };
        DELETE type::record('job_due', [$j.id.wake_at_ms, $j.job_id]) RETURN NONE;
        DELETE type::record('job_dead', $j.job_id) RETURN NONE;
        IF $j.to = 'retried' {",
    wrote!(
        "INSERT { id: type::record('job_due', [$j.at, $j.job_id]), job_id: $j.job_id, wake_at_ms: $j.at }"
    ),
    wrote!(
        "UPDATE $j.id SET state = 'pending', attempts = 0, wake_at_ms = $j.at, ended_at_ms = NONE,
            lease_owner = NONE, lease_until_ms = NONE"
    ),
    "} ELSE {",
    wrote!(
        "UPDATE $j.id SET state = 'cancelled', ended_at_ms = $j.at, lease_owner = NONE, lease_until_ms = NONE"
    ),
    "} };"
);

fn scheduling(job: &Job) -> Value {
    let mut row = object([
        ("job_id", text(&job.job_id)),
        ("kind", text(&job.kind)),
        ("stream", text(&job.stream)),
        ("due_at_ms", int(job.due_at_ms)),
        ("wake_at_ms", int(job.due_at_ms)),
        ("payload", json(&job.payload)),
        ("state", text("pending")),
        ("attempts", int(0)),
    ]);
    if let Some(id) = &job.correlation_id {
        row.insert("correlation_id".to_owned(), text(id));
    }
    let due = object([
        ("job_id", text(&job.job_id)),
        ("wake_at_ms", int(job.due_at_ms)),
    ]);
    let due = object_with_id(&Key::parts("job_due", (job.due_at_ms, &job.job_id)), due);
    let id = Key::new("job", &job.job_id);
    let both = [
        ("id", id.to_value()),
        ("job", object_with_id(&id, row)),
        ("due", due),
    ];
    Value::Object(object(both))
}

fn of_job<const N: usize>(job_id: &str, fields: [(&str, Value); N]) -> Value {
    let mut job = object(fields);
    job.insert("id".to_owned(), Key::new("job", job_id).to_value());
    job.insert("job_id".to_owned(), text(job_id));
    Value::Object(job)
}

fn keyed(key: &Key, row: Object) -> Value {
    Value::Object(object([
        ("id", key.to_value()),
        ("row", Value::Object(row)),
    ]))
}

fn event_row(event: &EventRow) -> Object {
    object([
        ("stream", text(&event.stream)),
        ("seq", seq(event.seq)),
        ("kind", text(&event.kind)),
        ("at_ms", int(event.at_ms)),
        ("body", text(&event.body)),
        ("hash", text(&event.hash)),
    ])
}

type Heads<'a> = BTreeMap<&'a str, (u64, Option<&'a EventRow>)>;

/// Per stream the version that must still hold, and the event that becomes its head.
fn new_heads(commit: &Commit) -> Result<Heads<'_>, StoreError> {
    let mut heads: Heads<'_> = commit
        .reads
        .iter()
        .map(|(stream, version)| (stream.as_str(), (*version, None)))
        .collect();
    for event in &commit.events {
        let out_of_sequence = || StoreError::Sequence {
            stream: event.stream.clone(),
            seq: event.seq,
        };
        let before = event.seq.checked_sub(1).ok_or_else(out_of_sequence)?;
        let (version, last) = heads.entry(&event.stream).or_insert((before, None));
        if last.map_or(*version, |last| last.seq) != before {
            return Err(out_of_sequence());
        }
        *last = Some(event);
    }
    Ok(heads)
}
