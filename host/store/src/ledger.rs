//! Typed reads of the tables every commit writes: streams, events, decisions, responses. Paged, so
//! that an auditor can walk a ledger of any size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::commit::{EventRow, StoredResponse};
use crate::error::StoreError;
use crate::key::{Key, KeyRange};
use crate::store::Store;

/// The end of a stream: what the next event follows on from.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Head {
    /// Sequence number of the last event; 0 when there is none.
    pub seq: u64,
    /// Its hash; empty when there is none.
    pub hash: String,
}

/// How many rows there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Streams with at least one event.
    pub streams: u64,
    /// Events of all streams.
    pub events: u64,
    /// Decision records.
    pub decisions: u64,
    /// Stored responses.
    pub responses: u64,
    /// Jobs that wait or are being worked on.
    pub jobs_waiting: u64,
}

#[derive(Deserialize)]
struct HeadRow {
    stream: String,
    #[serde(flatten)]
    head: Head,
}

#[derive(Deserialize)]
struct PrivateFields {
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

impl Store {
    /// The head of a stream.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn head(&self, stream: &str) -> Result<Head, StoreError> {
        Ok(self
            .get(&Key::new("stream", stream))
            .await?
            .unwrap_or_default())
    }

    /// The heads of several streams; each that was asked for is in the answer.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn heads(&self, streams: &[&str]) -> Result<BTreeMap<String, Head>, StoreError> {
        let keys: Vec<Key> = streams
            .iter()
            .map(|stream| Key::new("stream", *stream))
            .collect();
        let rows: Vec<HeadRow> = self.get_many(&keys).await?;
        let mut heads: BTreeMap<String, Head> = streams
            .iter()
            .map(|stream| ((*stream).to_owned(), Head::default()))
            .collect();
        heads.extend(rows.into_iter().map(|row| (row.stream, row.head)));
        Ok(heads)
    }

    /// Events of one stream behind a sequence number, in order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn events(
        &self,
        stream: &str,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.scan(
            &KeyRange::prefix("event", stream)
                .after(after_seq)
                .limit(limit),
        )
        .await
    }

    /// Events of all streams behind a place, ordered by stream and sequence number.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn events_after(
        &self,
        after: Option<(&str, u64)>,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        let all = KeyRange::table("event").limit(limit);
        self.scan(&match after {
            Some(place) => all.after(place),
            None => all,
        })
        .await
    }

    /// The personal fields of an event, unless they were erased.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn private(
        &self,
        stream: &str,
        seq: u64,
    ) -> Result<Option<Map<String, Value>>, StoreError> {
        let row: Option<PrivateFields> = self
            .get(&Key::parts("event_private", (stream, seq)))
            .await?;
        Ok(row.map(|row| row.fields))
    }

    /// Decision records behind an id. Ids are UUIDv7: their order is the order of their making.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn decisions_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let all = KeyRange::plain("policy_decision").limit(limit);
        self.scan(&match after {
            Some(decision_id) => all.after(decision_id),
            None => all,
        })
        .await
        .map(|rows| rows.into_iter().map(read_decision).collect())
    }

    /// The newest decision records, at most `limit`, oldest of them first. `now_ms` is system time.
    ///
    /// Walking a table from its end walks all of it on this engine (115 ms for 10,000 rows), so the start of the
    /// last `limit` is looked for: decision ids hold their time.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn newest_decisions(
        &self,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<Value>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (mut near, mut far) = (0, 60_000);
        while self.decisions_since(now_ms - far, limit).await? < limit {
            if far > now_ms {
                return self.decisions_after(None, limit).await;
            }
            (near, far) = (far, far * 2);
        }
        for _ in 0..BISECTIONS {
            let middle = near + (far - near) / 2;
            match self.decisions_since(now_ms - middle, limit).await? < limit {
                true => near = middle,
                false => far = middle,
            }
        }
        let mut newest: Vec<Value> = Vec::new();
        let mut after = first_id(now_ms - far);
        loop {
            let page = self.decisions_after(Some(&after), limit).await?;
            let Some(last) = page.last().and_then(|row| row["decision_id"].as_str()) else {
                return Ok(newest);
            };
            after = last.to_owned();
            newest.extend(page);
            newest.drain(..newest.len().saturating_sub(limit));
        }
    }

    /// How many decisions were made since, counted no further than `limit`.
    async fn decisions_since(&self, since_ms: i64, limit: usize) -> Result<usize, StoreError> {
        let range = KeyRange::plain("policy_decision").from(first_id(since_ms));
        let mut rows = self
            .read("SELECT decision_id FROM $since LIMIT $limit;")
            .bind_range("since", &range)
            .bind("limit", limit)
            .await?;
        Ok(rows.take::<Value>(0)?.len())
    }

    /// One decision record.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn decision(&self, decision_id: &str) -> Result<Option<Value>, StoreError> {
        Ok(self
            .get(&Key::new("policy_decision", decision_id))
            .await?
            .map(read_decision))
    }

    /// Several decision records at once; those that are missing are left out.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn decisions(&self, decision_ids: &[&str]) -> Result<Vec<Value>, StoreError> {
        let keys: Vec<Key> = decision_ids
            .iter()
            .map(|id| Key::new("policy_decision", *id))
            .collect();
        Ok(self
            .get_many(&keys)
            .await?
            .into_iter()
            .map(read_decision)
            .collect())
    }

    /// The response stored for a request, if it was answered before.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn response(
        &self,
        scope: &str,
        request_id: &str,
    ) -> Result<Option<StoredResponse>, StoreError> {
        self.get(&Key::parts("idempotency", (scope, request_id)))
            .await
    }

    /// Counts the rows of the ledger and the queue. Walks tables: for reports, not for requests.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let mut rows = self
            .read(
                "SELECT count() FROM stream WHERE seq > 0 GROUP ALL;
                 SELECT count() FROM event GROUP ALL;
                 SELECT count() FROM policy_decision GROUP ALL;
                 SELECT count() FROM idempotency GROUP ALL;
                 SELECT count() FROM job_due GROUP ALL;",
            )
            .await?;
        let mut next = |i| Ok::<_, StoreError>(rows.first::<Count>(i)?.map_or(0, |row| row.count));
        Ok(Counts {
            streams: next(0)?,
            events: next(1)?,
            decisions: next(2)?,
            responses: next(3)?,
            jobs_waiting: next(4)?,
        })
    }
}

/// The engine of the lock writes a field definition named `function` that it cannot read back.
const FUNCTION: (&str, &str) = ("function", "function_name");

/// A decision as its table holds it.
pub(crate) fn stored_decision(mut decision: Value) -> Value {
    rename(&mut decision, FUNCTION.0, FUNCTION.1);
    decision
}

pub(crate) fn read_decision(mut row: Value) -> Value {
    rename(&mut row, FUNCTION.1, FUNCTION.0);
    if let Some(row) = row.as_object_mut() {
        row.remove("id");
    }
    row
}

fn rename(row: &mut Value, from: &str, to: &str) {
    if let Some(row) = row.as_object_mut()
        && let Some(value) = row.remove(from)
    {
        row.insert(to.to_owned(), value);
    }
}

/// Steps of halving that narrow a window down to a few thousandths of it.
const BISECTIONS: u32 = 10;

/// The least UUIDv7 of a millisecond (RFC 9562, 5.7).
pub(crate) fn first_id(at_ms: i64) -> String {
    let at_ms = at_ms.max(0);
    format!(
        "{:08x}-{:04x}-7000-8000-000000000000",
        at_ms >> 16,
        at_ms & 0xffff
    )
}
