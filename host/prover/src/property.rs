//! Stated properties, held against every input of a whole domain.

use std::ops::Range as Span;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::change;
use crate::compare::smallest;
use crate::condition;
use crate::count::Count;
use crate::domain::{Cube, Domain};
use crate::error::ProveError;
use crate::expectation::{Expectation, Held};
use crate::module::Module;
use crate::tidy::tidy;
use crate::tree::{Outcome, Rulings};

/// A file of properties that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PropertyError {
    /// Where, from 1.
    pub line: usize,
    /// What, and how to fix it.
    pub message: String,
}

/// Something wrong at a place of the file.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) span: Span<usize>,
    pub(crate) message: String,
}

pub(crate) fn wrong<T>(span: Span<usize>, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong {
        span,
        message: message.into(),
    })
}

/// One stated property.
#[derive(Clone, Debug)]
pub struct Property {
    /// What it says, for people.
    pub name: String,
    /// The function it is about.
    pub function: String,
    /// The inputs it is about: disjoint cubes.
    pub when: Vec<Cube>,
    pub(crate) then: Vec<Expectation>,
}

/// The properties of a file.
#[derive(Clone, Debug)]
pub struct Properties {
    /// In the order of the file.
    pub list: Vec<Property>,
}

/// How a property fared.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The property's name.
    pub name: String,
    /// The function it is about.
    pub function: String,
    /// How many inputs it is about.
    pub inputs: Count,
    /// The inputs it does not hold for.
    pub violation: Option<Violation>,
}

/// Inputs that a property does not hold for.
#[derive(Clone, Debug)]
pub struct Violation {
    /// How many.
    pub inputs: Count,
    /// Disjoint cubes that together are these inputs, the largest first.
    pub cubes: Vec<Cube>,
    /// The smallest of them, as JSON facts.
    pub example: Value,
    /// What the module rules there, in a few words.
    pub ruling: String,
}

impl Properties {
    /// Reads a file of properties for a module's family.
    ///
    /// # Errors
    /// Where the file says something that the family does not have, or says it in the wrong way.
    pub fn read(text: &str, module: &Module) -> Result<Self, PropertyError> {
        let located = |wrong: Wrong| PropertyError {
            line: 1 + text[..wrong.span.start.min(text.len())]
                .matches('\n')
                .count(),
            message: wrong.message,
        };
        let table = DeTable::parse(text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join(" ");
            located(Wrong {
                span: error.span().unwrap_or(0..0),
                message,
            })
        })?;
        read(table.get_ref(), module).map_err(located)
    }
}

fn read(table: &DeTable<'_>, module: &Module) -> Result<Properties, Wrong> {
    let mut list: Vec<Property> = Vec::new();
    for (key, value) in table {
        if key.get_ref() != "property" {
            return wrong(
                key.span(),
                format!(
                    "`{}` is not known: properties stand under `[[property]]`",
                    key.get_ref()
                ),
            );
        }
        let DeValue::Array(entries) = value.get_ref() else {
            return wrong(value.span(), "`property` must be written `[[property]]`");
        };
        for entry in entries {
            let property = one(entry, module)?;
            if list.iter().any(|other| other.name == property.name) {
                return wrong(
                    entry.span(),
                    format!("there are two properties `{}`", property.name),
                );
            }
            list.push(property);
        }
    }
    if list.is_empty() {
        return wrong(
            0..0,
            "there is no `[[property]]`, so that nothing would be proved",
        );
    }
    Ok(Properties { list })
}

fn one(entry: &Spanned<DeValue<'_>>, module: &Module) -> Result<Property, Wrong> {
    let DeValue::Table(table) = entry.get_ref() else {
        return wrong(entry.span(), "a property must be a table");
    };
    for key in table.keys() {
        if !matches!(
            key.get_ref().as_ref(),
            "name" | "function" | "when" | "then"
        ) {
            return wrong(
                key.span(),
                format!(
                    "`{}` is not known: a property has `name`, `function`, `when` and `then`",
                    key.get_ref()
                ),
            );
        }
    }
    let text = |name: &str| match table.get(name) {
        None => Ok(None),
        Some(value) => match value.get_ref() {
            DeValue::String(text) if !text.is_empty() => Ok(Some(text.as_ref())),
            _ => wrong(value.span(), format!("`{name}` must be a text")),
        },
    };
    let Some(name) = text("name")? else {
        return wrong(entry.span(), "a property needs a `name`");
    };
    // The family's first question is what it is for.
    let function = match text("function")? {
        Some(function) => module.function(function).or_else(|error| {
            let span = table.get("function").map_or(entry.span(), Spanned::span);
            wrong(span, error.to_string())
        })?,
        None => match module.functions.first() {
            Some(first) => first,
            None => return wrong(entry.span(), "the family has no question"),
        },
    };
    let domain = match &function.domain {
        Ok(domain) => domain,
        Err(error) => return wrong(entry.span(), error.to_string()),
    };
    let when = match table.get("when") {
        None => vec![domain.whole()],
        Some(when) => condition::read(when, domain)?,
    };
    let Some(then) = table.get("then") else {
        return wrong(entry.span(), format!("`{name}` needs a `then`"));
    };
    Ok(Property {
        name: name.to_owned(),
        function: function.name.clone(),
        when,
        then: Expectation::read_any(then, &function.ruling)?,
    })
}

impl Property {
    /// Whether the outcome of one input, which the property is about, is as expected.
    pub fn is_met_by(&self, outcome: &Outcome) -> bool {
        Expectation::any(&self.then, outcome.ruling().as_ref()) == Held::Yes
    }

    /// Holds the property against the rulings of its function.
    ///
    /// # Errors
    /// When it asks for a number that the module computes from numbers of the facts.
    pub fn hold(&self, rulings: &Rulings) -> Result<Verdict, ProveError> {
        let domain: &Domain = &rulings.domain;
        let held: Vec<Held> = rulings
            .outcomes
            .iter()
            .map(|outcome| Expectation::any(&self.then, outcome.ruling().as_ref()))
            .collect();
        let (mut inputs, mut violating, mut unknown) = (Count::ZERO, Vec::new(), false);
        for cube in &self.when {
            rulings
                .root
                .visit_within(&mut cube.clone(), &mut |cube, leaf| {
                    inputs += domain.count(cube);
                    match held[leaf as usize] {
                        Held::Yes => {}
                        Held::No => violating.push((leaf, cube.clone())),
                        Held::Unknown => unknown = true,
                    }
                });
        }
        if violating.is_empty() && unknown {
            return Err(ProveError::Formula {
                function: self.function.clone(),
                property: self.name.clone(),
            });
        }
        let violation = (!violating.is_empty()).then(|| {
            let cubes: Vec<Cube> = violating.iter().map(|(_, cube)| cube.clone()).collect();
            let least = smallest(&cubes).to_vec();
            let leaf = violating
                .iter()
                .find(|(_, cube)| *cube == least)
                .map(|(leaf, _)| *leaf);
            let ruling = leaf.map(|leaf| change::label(&rulings.outcomes[leaf as usize]));
            let (cubes, count) = tidy(domain, cubes);
            Violation {
                inputs: count,
                cubes,
                example: domain.smallest(&least),
                ruling: ruling.unwrap_or_default(),
            }
        });
        Ok(Verdict {
            name: self.name.clone(),
            function: self.function.clone(),
            inputs,
            violation,
        })
    }
}
