//! Whether a server's engine keeps what it acknowledges when writers meet.
//!
//! Both engines that the locked version brings along look for conflicts in one step and apply the writes in another
//! (docs/adr/0013-one-writer-on-embedded-stores.md). Behind a server two hosts would lose commits that way, and a lock of
//! one host is none of the other. No query tells which engine a server runs on, so it is tried: writers race for one row of a table
//! that holds nothing else.

use surrealdb::types::{Value, Variables};
use tokio::task::JoinSet;

use crate::error::{EngineError, Failure, StoreError};
use crate::key::{Key, KeyRange};
use crate::ledger::first_id;
use crate::store::Store;
use crate::wrote::wrote;

/// Writers at once, and how often each of them writes: a second or less. Two of five such races found a surrealkv server out.
const WRITERS: usize = 16;
const WRITES_EACH: usize = 8;

/// No race lasts so long.
const LONGEST_MS: i64 = 60 * 60 * 1_000;

const COUNT: &str = concat!(
    "BEGIN; LET $n = $row.n ?? 0; ",
    wrote!("UPSERT $row SET n = $n + 1"),
    " COMMIT;"
);

/// What came of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// Writes that the database acknowledged.
    pub acknowledged: u64,
    /// How many of them it holds.
    pub kept: u64,
}

impl Store {
    /// Lets writers race for a row of their own, named `id` (a UUIDv7), and takes it away again; with it those of hosts
    /// that were killed in the middle of theirs, an hour before `now_ms` or longer.
    ///
    /// # Errors
    ///
    /// When a write failed otherwise than by a conflict: then nothing can be said.
    pub async fn race(&self, id: &str, now_ms: i64) -> Result<Race, StoreError> {
        let key = Key::new("race", id);
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (store, row) = (self.clone(), key.to_value());
            writers.spawn(async move {
                let mut acknowledged = 0;
                for _ in 0..WRITES_EACH {
                    acknowledged += u64::from(store.counted(&row).await?);
                }
                Ok::<u64, StoreError>(acknowledged)
            });
        }
        let mut acknowledged = 0;
        while let Some(ended) = writers.join_next().await {
            acknowledged +=
                ended.map_err(|broken| StoreError::Query(EngineError::new(broken)))??;
        }
        let mut rows = self
            .read("RETURN $row.n ?? 0")
            .bind_key("row", key.clone())
            .await?;
        let kept = rows.first(0)?.unwrap_or_default();
        let abandoned = KeyRange::plain("race").before(first_id(now_ms.saturating_sub(LONGEST_MS)));
        self.take_away(key.to_value()).await?;
        // Another host may be at the same: whoever comes later takes away what is left.
        let _ = self.take_away(abandoned.to_value()).await;
        Ok(Race { acknowledged, kept })
    }

    async fn take_away(&self, rows: Value) -> Result<(), StoreError> {
        let mut variables = Variables::new();
        variables.insert("rows", rows);
        self.write("DELETE $rows RETURN NONE", variables).await?;
        Ok(())
    }

    /// One write of the race: `false` when it met another.
    async fn counted(&self, row: &Value) -> Result<bool, StoreError> {
        let mut variables = Variables::new();
        variables.insert("row", row.clone());
        match self.write(COUNT, variables).await {
            Ok(_) => Ok(true),
            Err(Failure::Conflict(_)) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Migrations, Target};

    #[tokio::test]
    async fn a_race_takes_away_its_row_and_those_that_were_left_long_ago() {
        let store = Store::open(&Target::Memory, None).await.unwrap();
        store
            .migrate(&Migrations::embedded().unwrap())
            .await
            .unwrap();
        let now_ms = 1_763_900_000_000;
        let [old, young, own] = [now_ms - LONGEST_MS - 1, now_ms - 1_000, now_ms].map(first_id);
        for left in [&old, &young] {
            let row = Key::new("race", left).to_value();
            assert!(store.counted(&row).await.unwrap());
        }
        let race = store.race(&own, now_ms).await.unwrap();
        assert_eq!(race.kept, race.acknowledged);
        let left: Vec<String> = store
            .read("SELECT VALUE record::id(id) FROM race")
            .await
            .unwrap()
            .take(0)
            .unwrap();
        assert_eq!(left, [young]);
    }
}
