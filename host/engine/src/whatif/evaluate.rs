//! One evaluation of facts that are known as JSON only.

use serde_json::Value;

use crate::contract;
use crate::module::{Module, Outcome};
use crate::question::{Question, Visitor};
use crate::record::Record;

/// How an evaluation ended: the ruling, or how it failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) value: Option<Value>,
    /// The module speaks an older version of the contract, which has not got the function.
    pub(super) lacking: bool,
}

impl Ended {
    /// As a record has it.
    pub(super) fn recorded(record: &Record) -> Result<Self, serde_json::Error> {
        let value = record.output.as_deref().map(serde_json::from_str);
        Ok(Self {
            outcome: record.outcome,
            value: value.transpose()?,
            lacking: false,
        })
    }

    /// In one word or two.
    pub(super) fn word(&self) -> String {
        match self.outcome.trap_code() {
            _ if self.lacking => "no such function".to_owned(),
            Some(code) => format!("{} ({})", self.outcome.as_str(), code.as_str()),
            None => self.outcome.as_str().to_owned(),
        }
    }

    /// The ruling, or how it failed, as a report shows it.
    pub(super) fn shown(&self) -> Value {
        self.value.clone().unwrap_or_else(|| self.word().into())
    }
}

struct Asked<'a> {
    module: &'a Module,
    input: &'a str,
}

impl Visitor for Asked<'_> {
    type Output = Result<(Ended, u64), String>;

    fn visit<Q: Question>(self) -> Self::Output {
        let facts: Q = serde_json::from_str(self.input)
            .map_err(|error| format!("its input is not the facts of `{}`: {error}", Q::FUNCTION))?;
        let evaluation = self.module.evaluate(&facts);
        let value = evaluation.ruling.as_ref().map(serde_json::to_value);
        let value = value.transpose().map_err(|error| error.to_string())?;
        let ended = Ended {
            outcome: evaluation.outcome,
            value,
            lacking: !self.module.answers::<Q>(),
        };
        Ok((ended, evaluation.fuel))
    }
}

/// What a module makes of some facts, and the fuel it takes.
pub(super) fn evaluate(
    module: &Module,
    function: &str,
    input: &str,
) -> Result<(Ended, u64), String> {
    let family = module.family();
    contract::visit(family, function, Asked { module, input })
        .unwrap_or_else(|| Err(format!("`{function}` is no function of {family}")))
}
