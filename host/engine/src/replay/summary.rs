//! The verdicts over many decisions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::parallel::{self, Run};
use super::{ModuleSet, Verdict, replay};
use crate::decision::Decision;
use crate::engine::Fingerprint;

/// How many decisions that do not match a summary lists; it counts them all.
pub const LISTED: usize = 20;

/// How many reasons, or modules, a summary tells apart: a forged source must not fill the memory.
const TOLD_APART: usize = 1_000;

/// What the others are counted under.
const OTHERS: &str = "others";

/// Verdicts, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The same came out.
    #[serde(rename = "match")]
    pub matching: u64,
    /// Something else came out, or the record does not hold together.
    pub diverged: u64,
    /// Nothing can be said.
    pub not_replayable: u64,
}

impl Tally {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.matching + self.diverged + self.not_replayable
    }

    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Match => self.matching += 1,
            Verdict::Diverged { .. } => self.diverged += 1,
            Verdict::NotReplayable { .. } => self.not_replayable += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.matching += other.matching;
        self.diverged += other.diverged;
        self.not_replayable += other.not_replayable;
    }
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Of all decisions.
    #[serde(flatten)]
    pub tally: Tally,
    /// Matches whose fuel was not compared, for they were made under another engine fingerprint.
    pub fuel_not_compared: u64,
    /// Of each module, by `name@version digest`.
    pub modules: BTreeMap<String, Tally>,
    /// Why decisions are not replayable, and how many.
    pub reasons: BTreeMap<String, u64>,
    /// The first ones that do not match.
    pub listed: Vec<Listed>,
}

/// One decision that does not match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its place among the decisions that were replayed.
    #[serde(skip)]
    place: u64,
    /// The decision.
    pub decision_id: String,
    /// The family that was asked.
    pub family: String,
    /// The function that was asked.
    pub function: String,
    /// The module that the record names.
    pub module: String,
    /// What the replay found.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Summary {
    fn add(&mut self, place: u64, verdict: Verdict, decision: Named) {
        self.tally.count(&verdict);
        entry(&mut self.modules, &decision.module).count(&verdict);
        if let Verdict::NotReplayable { reason } = &verdict {
            *entry(&mut self.reasons, reason) += 1;
        }
        if verdict != Verdict::Match && self.listed.len() < LISTED {
            self.listed.push(Listed {
                place,
                decision_id: decision.decision_id,
                family: decision.family,
                function: decision.function,
                module: decision.module,
                verdict,
            });
        }
    }

    fn merge(&mut self, other: Self) {
        self.tally.add(other.tally);
        self.fuel_not_compared += other.fuel_not_compared;
        for (module, tally) in other.modules {
            entry(&mut self.modules, &module).add(tally);
        }
        for (reason, count) in other.reasons {
            *entry(&mut self.reasons, &reason) += count;
        }
        self.listed.extend(other.listed);
        self.listed.sort_by_key(|listed| listed.place);
        self.listed.truncate(LISTED);
    }
}

/// The words of a decision that outlive its replay.
struct Named {
    decision_id: String,
    family: String,
    function: String,
    module: String,
}

/// The entry of a key; of the others' when there are too many.
pub(crate) fn entry<'a, V: Default>(map: &'a mut BTreeMap<String, V>, key: &str) -> &'a mut V {
    let key = if map.len() < TOLD_APART || map.contains_key(key) {
        key
    } else {
        OTHERS
    };
    map.entry(key.to_owned()).or_default()
}

/// Replays a stream of decisions on several threads. `read` makes a decision of an item; `None` leaves it out.
///
/// # Errors
/// The source's or `read`'s: nothing can be said of a stream that cannot be read to its end.
pub fn replay_all<M, T, E>(
    modules: &M,
    fingerprint: Fingerprint,
    run: &Run<'_>,
    source: impl Iterator<Item = Result<T, E>>,
    size: impl Fn(&T) -> usize,
    read: impl Fn(T) -> Result<Option<Decision>, E> + Sync,
) -> Result<Summary, E>
where
    M: ModuleSet + Sync,
    T: Send,
    E: Send,
{
    let each = |part: &mut Summary, place, item| {
        if let Some(decision) = read(item)? {
            one(modules, fingerprint, part, place, decision);
        }
        Ok(())
    };
    let parts = parallel::fold(run, source, size, Summary::default, each)?;
    let mut summary = Summary::default();
    for part in parts {
        summary.merge(part);
    }
    Ok(summary)
}

fn one<M: ModuleSet>(
    modules: &M,
    fingerprint: Fingerprint,
    part: &mut Summary,
    place: u64,
    decision: Decision,
) {
    let named = Named {
        decision_id: decision.decision_id.clone(),
        family: decision.family.clone(),
        function: decision.function.clone(),
        module: format!(
            "{}@{} {}",
            decision.module_name, decision.module_version, decision.module_digest
        ),
    };
    let verdict = match decision.into_record() {
        Ok(record) => {
            let verdict = replay(modules, &record);
            if verdict == Verdict::Match && record.engine != fingerprint {
                part.fuel_not_compared += 1;
            }
            verdict
        }
        // A row that is no record has diverged from what was written.
        Err(error) => Verdict::Diverged {
            field: error.field,
            recorded: error.value.clone(),
            replayed: error.to_string(),
        },
    };
    part.add(place, verdict, named);
}
