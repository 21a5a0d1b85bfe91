//! Replay: the same module, the same input, and whether the same came of it.
//!
//! Every verdict comes of an evaluation: nothing here asks a cache of rulings.

pub(crate) mod parallel;
mod summary;

pub use parallel::{MAX_THREADS, Run, cores};
pub(crate) use summary::entry;
pub use summary::{LISTED, Listed, Summary, Tally, replay_all};

use crate::contract;
use crate::digest::Digest;
use crate::module::{Evaluation, Module, Outcome};
use crate::policies::{FindError, Policies};
use crate::question::{Question, Visitor};
use crate::record::Record;

/// Modules that can be asked for by what they are.
pub trait ModuleSet {
    /// The module of a digest.
    fn module(&self, digest: &Digest) -> Option<&Module>;

    /// As [`ModuleSet::module`], with the reason when there is none.
    ///
    /// # Errors
    /// When the set does not hold it, or it cannot be used.
    fn find(&self, digest: &Digest) -> Result<&Module, FindError<'_>> {
        self.module(digest).ok_or(FindError::Unknown(*digest))
    }
}

impl ModuleSet for Policies {
    fn module(&self, digest: &Digest) -> Option<&Module> {
        self.by_digest(digest)
    }

    fn find(&self, digest: &Digest) -> Result<&Module, FindError<'_>> {
        Policies::find(self, digest)
    }
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The same output, outcome and fuel.
    Match,
    /// Something else came out, or the record does not hold together.
    Diverged {
        /// Which field of the record differs.
        field: &'static str,
        /// What the record says.
        recorded: String,
        /// What the replay says.
        replayed: String,
    },
    /// Nothing can be said.
    NotReplayable {
        /// Why.
        reason: String,
    },
}

/// Evaluates a recorded decision again, with the module of the recorded digest.
///
/// Fuel is compared only under the fingerprint it was measured under. A record whose digests are not
/// those of its own bytes has diverged.
pub fn replay<M: ModuleSet + ?Sized>(modules: &M, record: &Record) -> Verdict {
    if let Some(verdict) = tampered(record) {
        return verdict;
    }
    // The outcome says so, not the flag: a flag alone could hide a forged ruling from every replay.
    if record.replayable != record.outcome.is_replayable() {
        return diverged(
            "replayable",
            record.replayable,
            record.outcome.is_replayable(),
        );
    }
    if !record.replayable {
        return Verdict::NotReplayable {
            reason: format!(
                "it ended as {}, which depends on the machine",
                record.outcome.as_str()
            ),
        };
    }
    let module = match modules.find(&record.module.digest) {
        Ok(module) => module,
        Err(FindError::Unknown(digest)) => {
            return Verdict::NotReplayable {
                reason: format!(
                    "no module {}@{} {digest} is here",
                    record.module.name, record.module.version
                ),
            };
        }
        Err(FindError::Unusable(error)) => {
            return Verdict::NotReplayable {
                reason: error.to_string(),
            };
        }
    };
    if let Some(verdict) = other_module(module, record) {
        return verdict;
    }
    contract::visit(record.family, &record.function, Replay { module, record }).unwrap_or_else(
        || {
            diverged(
                "function",
                &record.function,
                format!("no function of {}", record.family),
            )
        },
    )
}

/// The record against itself.
pub(crate) fn tampered(record: &Record) -> Option<Verdict> {
    let input = Digest::of(&record.input);
    if input != record.input_digest {
        return Some(diverged("input_digest", record.input_digest, input));
    }
    let output = record.output.as_ref().map(Digest::of);
    if output != record.output_digest {
        return Some(diverged(
            "output_digest",
            or_null(record.output_digest),
            or_null(output),
        ));
    }
    let ruled = record.outcome == Outcome::Ruled;
    (ruled != record.output.is_some()).then(|| {
        let output = if ruled { "a ruling" } else { "no ruling" };
        diverged("output", or_null(record.output.as_deref()), output)
    })
}

/// The record's words for the module against the lock's.
fn other_module(module: &Module, record: &Record) -> Option<Verdict> {
    let same = &record.module;
    if module.family() != record.family {
        return Some(diverged("family", record.family, module.family()));
    }
    [
        ("name", same.name.as_str(), module.name()),
        ("version", &same.version, module.version()),
        ("abi", &same.abi, module.abi()),
    ]
    .into_iter()
    .find(|(_, recorded, pinned)| recorded != pinned)
    .map(|(field, recorded, pinned)| diverged(field, recorded, pinned))
}

struct Replay<'a> {
    module: &'a Module,
    record: &'a Record,
}

impl Visitor for Replay<'_> {
    type Output = Verdict;

    fn visit<Q: Question>(self) -> Verdict {
        let record = self.record;
        let facts: Q = match serde_json::from_str(&record.input) {
            Ok(facts) => facts,
            Err(error) => {
                return diverged(
                    "input",
                    &record.input,
                    format!("not the facts of `{}`: {error}", Q::FUNCTION),
                );
            }
        };
        match serde_json_canonicalizer::to_string(&facts) {
            Ok(input) if input == record.input => {}
            Ok(input) => return diverged("input", &record.input, input),
            Err(error) => return diverged("input", &record.input, error),
        }
        let (evaluation, output) = self.module.evaluate_to_json(&facts);
        self.compare(&evaluation, output.as_deref())
    }
}

impl Replay<'_> {
    fn compare<R>(&self, evaluation: &Evaluation<R>, output: Option<&str>) -> Verdict {
        let record = self.record;
        if !evaluation.replayable {
            let detail = evaluation.detail.clone().unwrap_or_default();
            return Verdict::NotReplayable {
                reason: format!(
                    "the replay ended as {}: {detail}",
                    evaluation.outcome.as_str()
                ),
            };
        }
        if evaluation.outcome != record.outcome {
            return diverged("outcome", ended(record.outcome), ended(evaluation.outcome));
        }
        if output != record.output.as_deref() {
            return diverged("output", or_null(record.output.as_deref()), or_null(output));
        }
        if record.engine == self.module.fingerprint() && evaluation.fuel != record.fuel {
            return diverged("fuel", record.fuel, evaluation.fuel);
        }
        Verdict::Match
    }
}

fn ended(outcome: Outcome) -> String {
    match outcome.trap_code() {
        Some(code) => format!("{} ({})", outcome.as_str(), code.as_str()),
        None => outcome.as_str().to_owned(),
    }
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn diverged(field: &'static str, recorded: impl ToString, replayed: impl ToString) -> Verdict {
    Verdict::Diverged {
        field,
        recorded: recorded.to_string(),
        replayed: replayed.to_string(),
    }
}
