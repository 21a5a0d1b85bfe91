//! The decision row: one per evaluation that a command used, kept for ever. It holds no person.

use gotong_engine::{Circumstances, ModuleSet, Record, Verdict};

use crate::request::CommandContext;
use crate::telemetry::traces::trace_id;

/// A row of `policy_decision`: the engine's record, and where and when it was asked.
pub use gotong_engine::Decision as DecisionRow;

/// The row of a record that a command leaves.
pub fn row(
    decision_id: String,
    record: Record,
    entity_id: &str,
    context: &CommandContext,
) -> DecisionRow {
    let asked = Circumstances {
        decision_id,
        at_ms: context.now_ms,
        entity_id: entity_id.to_owned(),
        request_id: context.request_id.clone(),
        correlation_id: context.correlation_id.clone(),
        trace_id: trace_id(),
    };
    DecisionRow::new(record, asked)
}

/// Evaluates it again. A row that is no record has diverged from what was written.
pub fn replay(row: DecisionRow, modules: &impl ModuleSet) -> Verdict {
    match row.into_record() {
        Ok(record) => gotong_engine::replay(modules, &record),
        Err(error) => Verdict::Diverged {
            field: error.field,
            recorded: error.value.clone(),
            replayed: error.to_string(),
        },
    }
}
