//! Shadows: modules that are evaluated beside the active one on live traffic.
//!
//! Nobody acts on what a shadow rules, and nothing it does can fail a command: a failure is a difference like any
//! other. A difference is written in the command's own commit, as a decision of its own and as the pair; what is
//! equal is only counted. Counts are this process's, and begin anew with it.

pub mod counts;
pub mod routes;
mod store;

use gotong_engine::{Evaluation, FUEL, Module, Outcome, Question, RecordMode};
use gotong_store::{Commit, RowChange};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::decision::{self, DecisionRow};
use crate::app::App;
use crate::request::CommandContext;
pub use counts::Shadows;
use store::Side;
pub use store::{DifferenceRow, page};

/// Above this a shadow takes too much of a command's time.
const COSTLY_FUEL: u64 = FUEL / 10;

/// What one question was answered with, as far as people compare answers by it.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Said {
    /// `ruled`, `trapped`, …
    pub outcome: String,
    /// `allow`, `deny`, or the family's own word.
    pub effect: Option<String>,
    pub reason: Option<String>,
    pub rule: Option<String>,
}

impl Said {
    fn new(outcome: Outcome, output: Option<&str>) -> Self {
        let output: Value = output
            .and_then(|output| serde_json::from_str(output).ok())
            .unwrap_or_default();
        let word = |field: &str| output[field].as_str().map(str::to_owned);
        Self {
            outcome: outcome.as_str().to_owned(),
            effect: word("effect").or_else(|| word("outcome")),
            reason: word("reason"),
            rule: word("rule"),
        }
    }
}

/// One evaluation of a shadow, beside one of the active module.
#[derive(Debug)]
pub struct Observed {
    pub shadow: gotong_engine::Digest,
    pub function: &'static str,
    /// It failed, or took more fuel than a shadow may.
    pub is_burden: bool,
    pub compared: Compared,
}

#[derive(Debug)]
pub enum Compared {
    Equal,
    Differs {
        active: Said,
        shadow: Said,
    },
    /// The engine struck it: nothing that could be compared or replayed.
    Failed,
}

/// What shadows made of a command's questions: for its commit, and for the counts once that is done.
#[derive(Debug, Default)]
pub struct Observations {
    pub observed: Vec<Observed>,
    /// The shadows' own decisions, where they differ.
    decisions: Vec<Value>,
    changes: Vec<RowChange>,
    pairs: Vec<DifferenceRow>,
}

impl Observations {
    /// Asks the shadows of a question that the active module has just been asked.
    pub fn ask<Q: Question>(
        &mut self,
        app: &App,
        decided: &Module,
        facts: &Q,
        row: &DecisionRow,
        context: &CommandContext,
    ) {
        for shadow in app.shadows.of::<Q>(&app.policies, decided) {
            let sample = [context.request_id.as_str(), Q::FUNCTION, &row.input_digest];
            if !is_sampled(app.shadows.sample_permille(), &sample) {
                continue;
            }
            let (evaluation, record) = shadow.evaluate_and_record(facts, RecordMode::Shadow);
            let said = Said::new(record.outcome, record.output.as_deref());
            let trap_code = record.outcome.trap_code().map(|code| code.as_str());
            let is_equal = record.output == row.output
                && said.outcome == row.outcome
                && trap_code == row.trap_code.as_deref();
            let compared = if is_equal {
                Compared::Equal
            } else if record.outcome == Outcome::EngineError {
                Compared::Failed
            } else {
                let decision_id = Uuid::now_v7().to_string();
                let theirs = decision::row(decision_id, record, &row.entity_id, context);
                let active = Said {
                    outcome: row.outcome.clone(),
                    ..Said::new(Outcome::Ruled, row.output.as_deref())
                };
                let pair = DifferenceRow {
                    decision_id: theirs.decision_id.clone(),
                    differs_from: row.decision_id.clone(),
                    at_ms: row.at_ms,
                    family: row.family.clone(),
                    function: row.function.clone(),
                    shadow: Side::new(shadow, said.clone()),
                    active: Side::new(decided, active.clone()),
                };
                match (serde_json::to_value(theirs), pair.create()) {
                    (Ok(decision), Ok(change)) => {
                        self.decisions.push(decision);
                        self.changes.push(change);
                        self.pairs.push(pair);
                        Compared::Differs {
                            active,
                            shadow: said,
                        }
                    }
                    _ => Compared::Failed,
                }
            };
            self.observed.push(Observed {
                shadow: shadow.digest(),
                function: Q::FUNCTION,
                is_burden: is_burden(&evaluation),
                compared,
            });
        }
    }

    /// Hands the rows over to the command's commit. A refused command keeps them too: most differences are about a
    /// no.
    pub fn add_to(&mut self, commit: &mut Commit) {
        commit.decisions.append(&mut self.decisions);
        commit.rows.append(&mut self.changes);
    }

    /// Counts what was committed, and logs each difference once.
    pub fn count(&self, shadows: &Shadows) {
        shadows.count(&self.observed);
        for pair in &self.pairs {
            tracing::info!(
                shadow = pair.shadow.module,
                active = pair.active.module,
                family = pair.family,
                function = pair.function,
                shadow_rule = pair.shadow.said.rule,
                active_rule = pair.active.said.rule,
                decision_id = pair.decision_id,
                differs_from = pair.differs_from,
                "a shadow ruled otherwise"
            );
        }
    }
}

/// Asks the shadows of a reader's question: counted, not kept, for a read writes nothing.
pub fn beside_read<Q: Question>(
    app: &App,
    decided: &Module,
    facts: &Q,
    evaluation: &Evaluation<Q::Ruling>,
) {
    let mut observed = Vec::new();
    let mut asked: Option<(String, Option<String>)> = None;
    for shadow in app.shadows.of::<Q>(&app.policies, decided) {
        let (input, output) =
            asked.get_or_insert_with(|| (canonical(facts), output_of(evaluation)));
        if !is_sampled(app.shadows.sample_permille(), &[Q::FUNCTION, input]) {
            continue;
        }
        let beside = shadow.evaluate(facts);
        let theirs = output_of(&beside);
        let compared = if beside.outcome == evaluation.outcome && theirs == *output {
            Compared::Equal
        } else if beside.outcome == Outcome::EngineError {
            Compared::Failed
        } else {
            Compared::Differs {
                active: Said::new(evaluation.outcome, output.as_deref()),
                shadow: Said::new(beside.outcome, theirs.as_deref()),
            }
        };
        observed.push(Observed {
            shadow: shadow.digest(),
            function: Q::FUNCTION,
            is_burden: is_burden(&beside),
            compared,
        });
    }
    app.shadows.count(&observed);
}

fn is_burden<R>(evaluation: &Evaluation<R>) -> bool {
    evaluation.outcome != Outcome::Ruled || evaluation.fuel > COSTLY_FUEL
}

fn output_of<R: Serialize>(evaluation: &Evaluation<R>) -> Option<String> {
    evaluation.ruling.as_ref().map(canonical)
}

/// Facts and rulings that have no exact text are all alike here: the door to the engine has refused them before.
fn canonical(value: &impl Serialize) -> String {
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}

/// Whether a question is among the sampled ones. By what was asked, not by chance: a command that starts again asks
/// the same shadows again.
fn is_sampled(permille: u16, asked: &[&str]) -> bool {
    if permille >= 1_000 {
        return true;
    }
    let mut digest = Sha256::new();
    for part in asked {
        digest.update(part);
        digest.update(b"\n");
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
    u32::from_be_bytes([a, b, c, d]) % 1_000 < u32::from(permille)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_every_time_and_about_as_large_as_asked_for() {
        let sampled = |permille| {
            (0..10_000)
                .filter(|n| is_sampled(permille, &["request", &n.to_string()]))
                .collect::<Vec<_>>()
        };
        assert_eq!(sampled(100), sampled(100));
        assert_eq!((sampled(0).len(), sampled(1_000).len()), (0, 10_000));
        assert!((850..1_150).contains(&sampled(100).len()));
    }
}
