//! Rows of evidence.

use gotong_store::{Key, KeyRange, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EvidenceType;
use crate::clock::Millis;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceRow {
    pub evidence_id: String,
    pub entity_id: String,
    pub evidence_type: EvidenceType,
    pub observed_at_ms: Millis,
    /// The fields of the evidence type.
    pub data: Value,
    pub warnings: Vec<String>,
    pub submitted_by: String,
    pub at_ms: Millis,
}

pub fn key(entity_id: &str, evidence_id: &str) -> Key {
    Key::parts("evidence", (entity_id, evidence_id))
}

/// How much evidence an entity has.
pub async fn count(store: &Store, entity_id: &str) -> Result<u32, StoreError> {
    #[derive(Deserialize)]
    struct Count {
        count: u32,
    }
    let mut rows = store
        .read("SELECT count() FROM $evidence GROUP ALL;")
        .bind_range("evidence", &KeyRange::prefix("evidence", (entity_id,)))
        .await?;
    Ok(rows.first::<Count>(0)?.map_or(0, |row| row.count))
}
