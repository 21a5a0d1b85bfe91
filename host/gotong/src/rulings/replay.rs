//! `gotong replay`: every recorded decision, evaluated again with the module it was made by.

use gotong_engine::{Policies, Verdict};
use serde::Serialize;

use super::decision::DecisionRow;
use crate::ledger::source::{Source, SourceError};

/// How many divergences a summary lists; it counts them all.
const LISTED: usize = 20;

/// What a replay found.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    #[serde(rename = "match")]
    pub matching: u64,
    pub diverged: u64,
    pub not_replayable: u64,
    /// The first ones that do not match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<Listed>,
}

#[derive(Debug, Serialize)]
pub struct Listed {
    pub decision_id: String,
    pub family: String,
    pub function: String,
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Summary {
    pub fn add(&mut self, row: &DecisionRow, verdict: Verdict) {
        match verdict {
            Verdict::Match => {
                self.matching += 1;
                return;
            }
            Verdict::Diverged { .. } => self.diverged += 1,
            Verdict::NotReplayable { .. } => self.not_replayable += 1,
        }
        if self.listed.len() < LISTED {
            let (decision_id, family, function) = (
                row.decision_id.clone(),
                row.family.clone(),
                row.function.clone(),
            );
            self.listed.push(Listed {
                decision_id,
                family,
                function,
                verdict,
            });
        }
    }

    pub fn total(&self) -> u64 {
        self.matching + self.diverged + self.not_replayable
    }
}

/// Replays everything a source holds.
pub async fn replay_all(policies: &Policies, source: &Source) -> Result<Summary, SourceError> {
    let mut summary = Summary::default();
    let mut after: Option<String> = None;
    loop {
        let page = source.decisions_after(after.as_deref()).await?;
        for row in &page {
            summary.add(row, row.replay(policies));
        }
        match page.last() {
            Some(last) => after = Some(last.decision_id.clone()),
            None => return Ok(summary),
        }
    }
}
