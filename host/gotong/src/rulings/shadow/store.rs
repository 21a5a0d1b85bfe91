//! Pairs of decisions that differ: one row each, in the order of their making.

use gotong_engine::Module;
use gotong_store::{Key, KeyRange, RowChange, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Said;
use crate::clock::Millis;

const TABLE: &str = "shadow_difference";

/// Where a shadow ruled otherwise. The decisions themselves are rows of `policy_decision`.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DifferenceRow {
    /// The shadow's decision.
    pub decision_id: String,
    /// The decision that was followed.
    pub differs_from: String,
    pub at_ms: Millis,
    pub family: String,
    /// The engine of the lock can hold no field named `function`.
    #[serde(alias = "function_name")]
    pub function: String,
    pub shadow: Side,
    pub active: Side,
}

/// One of two modules, and what it said.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Side {
    /// `name@version`
    pub module: String,
    pub digest: String,
    #[serde(flatten)]
    pub said: Said,
}

impl Side {
    pub fn new(module: &Module, said: Said) -> Self {
        Self {
            module: format!("{}@{}", module.name(), module.version()),
            digest: module.digest().to_string(),
            said,
        }
    }
}

impl DifferenceRow {
    pub fn create(&self) -> Result<RowChange, StoreError> {
        let key = Key::new(TABLE, &self.decision_id);
        let mut change = RowChange::create(key, self)?;
        if let RowChange::Create {
            row: Value::Object(row),
            ..
        } = &mut change
            && let Some(function) = row.remove("function")
        {
            row.insert("function_name".to_owned(), function);
        }
        Ok(change)
    }
}

/// Differences behind an id, in the order of their making.
pub async fn page(
    store: &Store,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<DifferenceRow>, StoreError> {
    let all = KeyRange::plain(TABLE).limit(limit);
    store
        .scan(&match after {
            Some(decision_id) => all.after(decision_id),
            None => all,
        })
        .await
}
