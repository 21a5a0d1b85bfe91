//! The `then` of a property: what the ruling must be.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use crate::abi::FORMULA;
use crate::condition::{bounds, one_of, only_key, set, unknown};
use crate::domain::flag_words;
use crate::property::{Wrong, wrong};
use crate::types::Type;

type Given<'a> = Spanned<DeValue<'a>>;

/// What is expected of a ruling, or of a part of it.
#[derive(Clone, Debug)]
pub(crate) enum Expectation {
    Bool(bool),
    /// One of these words.
    Words(Vec<String>),
    /// One of these texts; or, if not, none of them.
    Texts(Vec<String>, bool),
    Number(u64, u64),
    /// These words are in the list, those are not, and it may hold only these.
    Set {
        has: Vec<String>,
        lacks: Vec<String>,
        only: Option<Vec<String>>,
        any: Option<Vec<String>>,
    },
    Absent,
    Present,
    Fields(Vec<(String, Expectation)>),
}

/// Whether a ruling is as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Yes,
    No,
    /// It depends on a number that is a formula.
    Unknown,
}

impl Expectation {
    /// One table, or a list of tables of which one must hold.
    pub(crate) fn read_any(then: &Given<'_>, ruling: &Type) -> Result<Vec<Self>, Wrong> {
        match then.get_ref() {
            DeValue::Array(list) if !list.is_empty() => list
                .iter()
                .map(|each| Self::read("then", each, ruling))
                .collect(),
            DeValue::Table(_) => Ok(vec![Self::read("then", then, ruling)?]),
            _ => wrong(
                then.span(),
                "`then` must be a table, or a list of tables of which one must hold",
            ),
        }
    }

    fn read(name: &str, value: &Given<'_>, ty: &Type) -> Result<Self, Wrong> {
        Ok(match ty {
            Type::Bool => match value.get_ref() {
                DeValue::Boolean(holds) => Self::Bool(*holds),
                _ => return wrong(value.span(), format!("`{name}` must be true or false")),
            },
            Type::Enum(words) => Self::Words(flag_words(words, one_of(words, value)?)),
            Type::String => match value.get_ref() {
                DeValue::Table(table) => {
                    Self::Texts(texts(only_key(table, value, &["not"])?)?, true)
                }
                _ => Self::Texts(texts(value)?, false),
            },
            Type::Unsigned(bytes) => {
                let (lo, hi) = bounds(name, value, u64::MAX >> (64 - 8 * bytes))?;
                Self::Number(lo, hi)
            }
            Type::Flags(words) => set_of(name, value, words)?,
            Type::List(item) => match &**item {
                Type::Enum(words) => set_of(name, value, words)?,
                _ => {
                    return wrong(
                        value.span(),
                        format!("`{name}` is a list of records, which cannot be asked for"),
                    );
                }
            },
            Type::Option(inner) => match value.get_ref() {
                DeValue::String(word) if word == "none" => Self::Absent,
                DeValue::String(word) if word == "some" => Self::Present,
                _ => Self::read(name, value, inner)?,
            },
            Type::Record(fields) => {
                let DeValue::Table(table) = value.get_ref() else {
                    return wrong(value.span(), format!("`{name}` must be a table"));
                };
                let mut expected = Vec::new();
                for (key, value) in table {
                    let found = fields.iter().find(|(field, _)| field == key.get_ref());
                    let Some((field, ty)) = found else {
                        let names: Vec<&str> =
                            fields.iter().map(|(field, _)| field.as_str()).collect();
                        return unknown(key, key.get_ref(), &names.join(", "));
                    };
                    expected.push((field.clone(), Self::read(field, value, ty)?));
                }
                if expected.is_empty() {
                    return wrong(
                        value.span(),
                        format!("`{name}` is empty, so that nothing would be proved"),
                    );
                }
                Self::Fields(expected)
            }
        })
    }

    /// Whether one of several expectations is met. A module that fails meets none.
    pub(crate) fn any(expected: &[Self], ruling: Option<&Value>) -> Held {
        let Some(ruling) = ruling else {
            return Held::No;
        };
        let mut held = Held::No;
        for each in expected {
            match each.holds(ruling) {
                Held::Yes => return Held::Yes,
                Held::Unknown => held = Held::Unknown,
                Held::No => {}
            }
        }
        held
    }

    fn holds(&self, value: &Value) -> Held {
        let yes = |holds: bool| if holds { Held::Yes } else { Held::No };
        let text = || value.as_str().unwrap_or_default();
        match self {
            Self::Bool(expected) => yes(value.as_bool() == Some(*expected)),
            Self::Words(words) => yes(words.iter().any(|word| word == text())),
            Self::Texts(texts, not) => yes(texts.iter().any(|other| other == text()) != *not),
            Self::Number(lo, hi) => match value.as_u64() {
                Some(number) => yes((*lo..=*hi).contains(&number)),
                None if value.as_str().is_some_and(|text| text.starts_with(FORMULA)) => {
                    Held::Unknown
                }
                None => Held::No,
            },
            Self::Set {
                has,
                lacks,
                only,
                any,
            } => {
                let held: Vec<&str> = value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let is_held = |word: &String| held.contains(&word.as_str());
                let within = |only: &Vec<String>| {
                    held.iter()
                        .all(|word| only.iter().any(|other| other == word))
                };
                yes(has.iter().all(is_held)
                    && !lacks.iter().any(is_held)
                    && only.as_ref().is_none_or(within)
                    && any.as_ref().is_none_or(|any| any.iter().any(is_held)))
            }
            Self::Absent => yes(value.is_null()),
            Self::Present => yes(!value.is_null()),
            Self::Fields(fields) => {
                let mut held = Held::Yes;
                for (name, expected) in fields {
                    match value
                        .get(name)
                        .map_or(Held::No, |value| expected.holds(value))
                    {
                        Held::No => return Held::No,
                        Held::Unknown => held = Held::Unknown,
                        Held::Yes => {}
                    }
                }
                held
            }
        }
    }
}

fn texts(value: &Given<'_>) -> Result<Vec<String>, Wrong> {
    let text = |value: &Given<'_>| match value.get_ref() {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        _ => wrong(value.span(), "expected a text"),
    };
    match value.get_ref() {
        DeValue::Array(list) if !list.is_empty() => list.iter().map(text).collect(),
        _ => Ok(vec![text(value)?]),
    }
}

fn set_of(name: &str, value: &Given<'_>, words: &[String]) -> Result<Expectation, Wrong> {
    let DeValue::Table(table) = value.get_ref() else {
        return wrong(
            value.span(),
            format!("`{name}` is a set: write `{{ has = […] }}`, `lacks`, `only`, `is` or `any`"),
        );
    };
    if table.is_empty() {
        return wrong(value.span(), format!("`{name}` asks for nothing"));
    }
    let (mut has, mut lacks, mut only, mut any) = (Vec::new(), Vec::new(), None, None);
    for (key, list) in table {
        let listed = flag_words(words, set(words, list)?);
        match key.get_ref().as_ref() {
            "has" => has.extend(listed),
            "lacks" => lacks.extend(listed),
            "only" => only = Some(listed),
            "is" => {
                has.extend(listed.clone());
                only = Some(listed);
            }
            "any" if !listed.is_empty() => any = Some(listed),
            "any" => return wrong(list.span(), "`any` of no words is never so"),
            other => return unknown(key, other, "has, lacks, only, is, any"),
        }
    }
    Ok(Expectation::Set {
        has,
        lacks,
        only,
        any,
    })
}
