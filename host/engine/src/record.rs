//! The deterministic part of a decision: what was asked, of which module, and what came of it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contract::{Family, UnknownWordError};
use crate::digest::Digest;
use crate::engine::Fingerprint;
use crate::module::{Evaluation, Module, Outcome};
use crate::question::Question;

/// Whether the host followed the ruling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecordMode {
    /// It did.
    Active,
    /// The module ran beside the active one; nobody acted on it.
    Shadow,
}

impl RecordMode {
    /// The word in a decision record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Shadow => "shadow",
        }
    }
}

impl FromStr for RecordMode {
    type Err = UnknownWordError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "active" => Ok(Self::Active),
            "shadow" => Ok(Self::Shadow),
            _ => Err(UnknownWordError {
                set: "mode",
                word: word.to_owned(),
                expected: vec!["active", "shadow"],
            }),
        }
    }
}

/// A module as a record names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its digest: the identity.
    pub digest: Digest,
    /// The contract it was built for.
    pub abi: String,
}

/// What one evaluation leaves behind. With the module of the digest, anybody can repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The family that was asked.
    pub family: Family,
    /// The function that was asked.
    pub function: String,
    /// The module that answered.
    pub module: ModuleRef,
    /// The engine it ran in.
    pub engine: Fingerprint,
    /// The facts, as canonical JSON (RFC 8785).
    pub input: String,
    /// The digest of the input's bytes.
    pub input_digest: Digest,
    /// The ruling, as canonical JSON (RFC 8785); present exactly when the outcome is `ruled`.
    pub output: Option<String>,
    /// The digest of the output's bytes.
    pub output_digest: Option<Digest>,
    /// How it ended: `outcome`, and `trap_code` beside it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The fuel it took.
    pub fuel: u64,
    /// Whether it must end so again.
    pub replayable: bool,
    /// Whether the host followed it.
    pub mode: RecordMode,
}

impl Module {
    /// Evaluates a question and keeps the record of it. The host acts on the ruling.
    pub fn rule<Q: Question>(&self, facts: &Q) -> (Option<Q::Ruling>, Record) {
        let (evaluation, record) = self.evaluate_and_record(facts, RecordMode::Active);
        (evaluation.ruling, record)
    }

    /// As [`Module::rule`], with all of the evaluation, in the given mode.
    pub fn evaluate_and_record<Q: Question>(
        &self,
        facts: &Q,
        mode: RecordMode,
    ) -> (Evaluation<Q::Ruling>, Record) {
        let (input, evaluation, output) = match serde_json_canonicalizer::to_string(facts) {
            Ok(input) => {
                let (evaluation, output) = self.evaluate_to_json(facts);
                (input, evaluation, output)
            }
            // Facts that have no exact text could not be replayed, so they are not evaluated.
            Err(error) => (
                "null".to_owned(),
                Evaluation::failed(format!("facts without canonical JSON: {error}")),
                None,
            ),
        };
        let record = self.record::<Q>(input, &evaluation, output, mode);
        (evaluation, record)
    }

    /// The record of an evaluation of these facts, which the host acts on; none when facts or ruling have no
    /// exact text.
    pub(crate) fn record_of<Q: Question>(
        &self,
        facts: &Q,
        evaluation: &Evaluation<Q::Ruling>,
    ) -> Option<Record> {
        let input = serde_json_canonicalizer::to_string(facts).ok()?;
        let output = evaluation.ruling.as_ref();
        let output = output
            .map(serde_json_canonicalizer::to_string)
            .transpose()
            .ok()?;
        Some(self.record::<Q>(input, evaluation, output, RecordMode::Active))
    }

    fn record<Q: Question>(
        &self,
        input: String,
        evaluation: &Evaluation<Q::Ruling>,
        output: Option<String>,
        mode: RecordMode,
    ) -> Record {
        Record {
            family: Q::FAMILY,
            function: Q::FUNCTION.to_owned(),
            module: ModuleRef {
                name: self.name().to_owned(),
                version: self.version().to_owned(),
                digest: self.digest(),
                abi: self.abi().to_owned(),
            },
            engine: self.fingerprint(),
            input_digest: Digest::of(&input),
            input,
            output_digest: output.as_ref().map(Digest::of),
            output,
            outcome: evaluation.outcome,
            fuel: evaluation.fuel,
            replayable: evaluation.replayable,
            mode,
        }
    }

    /// An evaluation and its ruling as canonical JSON.
    pub(crate) fn evaluate_to_json<Q: Question>(
        &self,
        facts: &Q,
    ) -> (Evaluation<Q::Ruling>, Option<String>) {
        let evaluation = self.evaluate(facts);
        match evaluation
            .ruling
            .as_ref()
            .map(serde_json_canonicalizer::to_string)
            .transpose()
        {
            Ok(output) => (evaluation, output),
            Err(error) => {
                let outcome = Outcome::Trapped {
                    trap_code: crate::module::TrapCode::InvalidAnswer,
                };
                let detail = Some(format!("a ruling without canonical JSON: {error}"));
                (
                    Evaluation {
                        outcome,
                        ruling: None,
                        detail,
                        ..evaluation
                    },
                    None,
                )
            }
        }
    }
}
