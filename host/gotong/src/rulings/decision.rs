//! The decision row: one per evaluation that a command used, kept for ever. It holds no person.

use gotong_engine::{Record, Verdict};
use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::http::context::CommandContext;

/// A row of `policy_decision`: the engine's record, and where and when it was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionRow {
    pub decision_id: String,
    pub at_ms: Millis,
    pub family: String,
    pub function: String,
    pub module_name: String,
    pub module_version: String,
    pub module_digest: String,
    pub abi: String,
    /// Fingerprint of the engine.
    pub engine: String,
    pub input: String,
    pub input_digest: String,
    pub output: Option<String>,
    pub output_digest: Option<String>,
    pub outcome: String,
    pub trap_code: Option<String>,
    pub fuel: u64,
    pub replayable: bool,
    pub mode: String,
    pub entity_id: String,
    pub request_id: String,
    pub correlation_id: String,
    pub trace_id: Option<String>,
}

impl DecisionRow {
    pub fn new(
        decision_id: String,
        record: Record,
        entity_id: &str,
        context: &CommandContext,
    ) -> Self {
        Self {
            decision_id,
            at_ms: context.now_ms,
            family: record.family.to_string(),
            function: record.function,
            module_name: record.module.name,
            module_version: record.module.version,
            module_digest: record.module.digest.to_string(),
            abi: record.module.abi,
            engine: record.engine.to_string(),
            input: record.input,
            input_digest: record.input_digest.to_string(),
            output: record.output,
            output_digest: record.output_digest.map(|digest| digest.to_string()),
            outcome: record.outcome.as_str().to_owned(),
            trap_code: record
                .outcome
                .trap_code()
                .map(|code| code.as_str().to_owned()),
            fuel: record.fuel,
            replayable: record.replayable,
            mode: word(&record.mode),
            entity_id: entity_id.to_owned(),
            request_id: context.request_id.clone(),
            correlation_id: context.correlation_id.clone(),
            trace_id: None,
        }
    }

    /// The engine's record, read back from the row.
    pub fn record(&self) -> Result<Record, serde_json::Error> {
        let mut record = serde_json::json!({
            "family": self.family,
            "function": self.function,
            "module": {"name": self.module_name, "version": self.module_version, "digest": self.module_digest, "abi": self.abi},
            "engine": self.engine,
            "input": self.input,
            "input_digest": self.input_digest,
            "output": self.output,
            "output_digest": self.output_digest,
            "outcome": self.outcome,
            "fuel": self.fuel,
            "replayable": self.replayable,
            "mode": self.mode,
        });
        if let Some(code) = &self.trap_code {
            record["trap_code"] = code.as_str().into();
        }
        serde_json::from_value(record)
    }

    /// Evaluates it again. A row that is no record has diverged from what was written.
    pub fn replay(&self, policies: &gotong_engine::Policies) -> Verdict {
        match self.record() {
            Ok(record) => gotong_engine::replay(policies, &record),
            Err(error) => Verdict::Diverged {
                field: "record",
                recorded: self.decision_id.clone(),
                replayed: error.to_string(),
            },
        }
    }
}

fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
