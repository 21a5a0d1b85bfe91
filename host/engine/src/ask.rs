//! A question as JSON, for tools that know its type only by name.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::contract::{self, Family};
use crate::module::Module;
use crate::question::{Question, Visitor};
use crate::record::{Record, RecordMode};
use crate::shape::{self, Shape};

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

/// Whether these are facts that a function takes.
///
/// # Errors
/// When the family has no such function, or it does not take them.
pub fn check_facts(family: Family, function: &str, facts: &Value) -> Result<(), AskError> {
    struct Check<'a>(&'a Value);
    impl Visitor for Check<'_> {
        type Output = Result<(), AskError>;

        fn visit<Q: Question>(self) -> Self::Output {
            typed::<Q>(self.0).map(drop)
        }
    }
    contract::visit(family, function, Check(facts)).ok_or_else(|| unknown(family, function))?
}

/// Whether a ruling of a function can be so: any part of it, with the fields and words that the contract has.
///
/// # Errors
/// When the family has no such function, or none of its rulings can be so.
pub fn check_ruling(family: Family, function: &str, part: &Value) -> Result<(), AskError> {
    let (_, ruling) = shape::of(family, function).ok_or_else(|| unknown(family, function))?;
    holds(&ruling, part, &mut String::new())
}

fn unknown(family: Family, function: &str) -> AskError {
    AskError::Function {
        family,
        function: function.to_owned(),
    }
}

fn holds(shape: &Shape, part: &Value, at: &mut String) -> Result<(), AskError> {
    let wrong = |at: &str, message: String| {
        Err(AskError::Facts {
            at: if at.is_empty() { "." } else { at }.to_owned(),
            message,
        })
    };
    let length = at.len();
    match (shape, part) {
        (Shape::Record(fields), Value::Object(part)) => {
            for (name, value) in part {
                let Some((_, shape)) = fields.iter().find(|(known, _)| known == name) else {
                    let known: Vec<_> = fields.iter().map(|(known, _)| known.as_str()).collect();
                    let known = known.join(", ");
                    return wrong(at, format!("unknown field `{name}`: expected {known}"));
                };
                if !at.is_empty() {
                    at.push('.');
                }
                at.push_str(name);
                holds(shape, value, at)?;
                at.truncate(length);
            }
        }
        (Shape::Option(_), Value::Null)
        | (Shape::Bool, Value::Bool(_))
        | (Shape::Text, Value::String(_)) => {}
        (Shape::Integer, Value::Number(number)) if !number.is_f64() => {}
        (Shape::Option(inner), part) => holds(inner, part, at)?,
        (Shape::List(item), Value::Array(parts)) => {
            for (place, part) in parts.iter().enumerate() {
                at.push_str(&format!("[{place}]"));
                holds(item, part, at)?;
                at.truncate(length);
            }
        }
        (Shape::Word(words), Value::String(word)) if words.contains(word) => {}
        (Shape::Words(words), Value::Array(parts)) => {
            let known = |part: &Value| words.iter().any(|word| part.as_str() == Some(word));
            if let Some(part) = parts.iter().find(|part| !known(part)) {
                let known = words.join(", ");
                return wrong(at, format!("`{part}` is none of {known}"));
            }
        }
        (Shape::Word(words), part) => {
            let known = words.join(", ");
            return wrong(at, format!("`{part}` is none of {known}"));
        }
        (shape, part) => return wrong(at, format!("`{part}` is no {}", noun(shape))),
    }
    Ok(())
}

fn noun(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "true or false",
        Shape::Integer => "integer",
        Shape::Text | Shape::Word(_) => "text",
        Shape::Words(_) | Shape::List(_) => "list",
        Shape::Option(inner) => noun(inner),
        Shape::Record(_) => "record",
    }
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
        contract::visit(self.family(), function, ask)
            .ok_or_else(|| unknown(self.family(), function))?
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
        contract::visit(self.family(), function, time)
            .ok_or_else(|| unknown(self.family(), function))?
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
        let facts: Q = typed(self.facts)?;
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

fn typed<Q: Question>(facts: &Value) -> Result<Q, AskError> {
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
        let facts: Q = typed(self.facts)?;
        let (evaluation, record) = self.module.evaluate_and_record(&facts, RecordMode::Active);
        Ok(Asked {
            record,
            detail: evaluation.detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_of_a_ruling_is_held_to_the_contract() {
        let plan = |part| check_ruling(Family::Gate, "plan", &part).map_err(|e| e.to_string());
        for part in [
            json!({}),
            json!({"effect": "allow", "terms": null}),
            json!({"terms": {"quorum": 3, "gate_type": "vote"}, "obligations": ["announce_result"]}),
        ] {
            assert_eq!(plan(part), Ok(()));
        }
        for (part, says) in [
            (
                json!({"efect": "allow"}),
                ".: unknown field `efect`: expected effect, reason",
            ),
            (
                json!({"effect": "alow"}),
                "effect: `\"alow\"` is none of allow, deny",
            ),
            (
                json!({"terms": {"quorum": "3"}}),
                "terms.quorum: `\"3\"` is no integer",
            ),
            (
                json!({"terms": {"quorum": 3.5}}),
                "terms.quorum: `3.5` is no integer",
            ),
            (
                json!({"obligations": ["sing"]}),
                "obligations[0]: `\"sing\"` is none of",
            ),
            (json!([]), ".: `[]` is no record"),
        ] {
            let error = plan(part).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
        let stages = json!([{"stage": "usul"}, {"stage": "usual"}]);
        let error = check_ruling(Family::Gate, "stages", &stages).unwrap_err();
        assert!(error.to_string().starts_with("[1].stage: "), "{error}");
        assert!(check_ruling(Family::Gate, "guess", &json!({})).is_err());
    }

    #[test]
    fn facts_are_held_to_the_contract() {
        let weigh = |facts| check_facts(Family::Gate, "weigh", &facts).map_err(|e| e.to_string());
        assert_eq!(weigh(json!({"influence_permille": 1000})), Ok(()));
        for (facts, says) in [
            (json!({"influence_permille": 1.5}), "influence_permille: "),
            (
                json!({"influence_permille": 1, "name": "x"}),
                "name: unknown field `name`",
            ),
            (json!({}), ".: missing field `influence_permille`"),
        ] {
            let error = weigh(facts).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
