//! Reading some of the decisions: filtered where they are kept, so that only what is asked for leaves the store.

use serde_json::Value;

use crate::error::StoreError;
use crate::key::KeyRange;
use crate::ledger::{first_id, read_decision};
use crate::store::Store;

/// Which decisions are asked for: those that fit everything that is set.
#[derive(Clone, Debug, Default)]
pub struct DecisionQuery {
    /// Behind this id.
    pub after: Option<String>,
    /// Whose id was minted at this time or later, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Of a family.
    pub family: Option<String>,
    /// By a module of this name.
    pub module_name: Option<String>,
    /// By a module of this version.
    pub module_version: Option<String>,
    /// About this stream.
    pub entity_id: Option<String>,
    /// `active` or `shadow`.
    pub mode: Option<String>,
}

impl DecisionQuery {
    /// The fields that are asked for, and their values.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("family", &self.family),
            ("module_name", &self.module_name),
            ("module_version", &self.module_version),
            ("entity_id", &self.entity_id),
            ("mode", &self.mode),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field, value.as_deref()?)))
    }

    /// Where the walk begins. A time is a place in the order of ids, which hold theirs; both bounds together are the
    /// later one.
    fn range(&self) -> KeyRange {
        let all = KeyRange::plain("policy_decision");
        let since = self.since_ms.map(first_id);
        match (&self.after, since) {
            (Some(after), Some(since)) if *after < since => all.from(since),
            (Some(after), _) => all.after(after),
            (None, Some(since)) => all.from(since),
            (None, None) => all,
        }
    }
}

impl Store {
    /// The next decision records that a query asks for, in the order of their ids. There are no more when none come.
    ///
    /// The walk goes over the keys behind `after` and `since_ms`; what the other fields leave out is read and left
    /// there (11 us a row), for an index would cost every command that decides.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn decisions_where(
        &self,
        query: &DecisionQuery,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let conditions: Vec<String> = query
            .fields()
            .map(|(field, _)| format!("{field} = ${field}"))
            .collect();
        let mut text = "SELECT * FROM $range".to_owned();
        if !conditions.is_empty() {
            text = format!("{text} WHERE {}", conditions.join(" AND "));
        }
        text.push_str(" LIMIT $limit");
        let mut read = self
            .read(&text)
            .bind_range("range", &query.range())
            .bind("limit", limit);
        for (field, value) in query.fields() {
            read = read.bind(field, value);
        }
        let rows: Vec<Value> = read.await?.take(0)?;
        Ok(rows.into_iter().map(read_decision).collect())
    }
}
