//! A question as JSON, for tools that know its type only by name.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::contract::{self, Family};
use crate::module::Module;
use crate::question::{Question, Visitor};
use crate::record::{Record, RecordMode};

/// A question that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The family has no such function.
    #[error("the family {family} has no function `{function}`: known are {}", family.functions().join(", "))]
    Function {
        /// The family.
        family: Family,
        /// What was asked.
        function: String,
    },
    /// The facts are not those that the function takes.
    #[error("{at}: {message}")]
    Facts {
        /// Which field, `.` for the facts as a whole.
        at: String,
        /// What is wrong with it.
        message: String,
    },
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked, and what came of it.
    pub record: Record,
    /// What the engine says of a failure.
    pub detail: Option<String>,
}

impl Module {
    /// Evaluates a question whose facts are JSON in the host's words, in a fresh instance.
    ///
    /// # Errors
    /// When the family has no such function, or the facts are not those that it takes.
    pub fn ask(&self, function: &str, facts: &Value) -> Result<Asked, AskError> {
        let ask = Ask {
            module: self,
            facts,
        };
        contract::visit(self.family(), function, ask).ok_or_else(|| AskError::Function {
            family: self.family(),
            function: function.to_owned(),
        })?
    }
}

impl Module {
    /// How long an evaluation takes, `times` times over: from typed facts to a typed ruling, in a fresh instance each.
    ///
    /// # Errors
    /// As [`Module::ask`].
    pub fn time(
        &self,
        function: &str,
        facts: &Value,
        times: usize,
    ) -> Result<Vec<Duration>, AskError> {
        let time = Time {
            module: self,
            facts,
            times,
        };
        contract::visit(self.family(), function, time).ok_or_else(|| AskError::Function {
            family: self.family(),
            function: function.to_owned(),
        })?
    }
}

struct Time<'a> {
    module: &'a Module,
    facts: &'a Value,
    times: usize,
}

impl Visitor for Time<'_> {
    type Output = Result<Vec<Duration>, AskError>;

    fn visit<Q: Question>(self) -> Self::Output {
        let facts: Q = facts(self.facts)?;
        let one = |_| {
            let begun = Instant::now();
            let evaluation = self.module.evaluate(&facts);
            let taken = begun.elapsed();
            drop(evaluation);
            taken
        };
        Ok((0..self.times).map(one).collect())
    }
}

fn facts<Q: Question>(facts: &Value) -> Result<Q, AskError> {
    serde_path_to_error::deserialize(facts).map_err(|error| AskError::Facts {
        at: error.path().to_string(),
        message: error.inner().to_string(),
    })
}

struct Ask<'a> {
    module: &'a Module,
    facts: &'a Value,
}

impl Visitor for Ask<'_> {
    type Output = Result<Asked, AskError>;

    fn visit<Q: Question>(self) -> Self::Output {
        let facts: Q = facts(self.facts)?;
        let (evaluation, record) = self.module.evaluate_and_record(&facts, RecordMode::Active);
        Ok(Asked {
            record,
            detail: evaluation.detail,
        })
    }
}
