//! The contract's types as JSON: words in snake_case, flags as arrays of words, records with every field.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

pub(super) type Value = serde_json::Value;
pub(super) type Object = serde_json::Map<String, Value>;

/// Integers beyond it have no exact canonical JSON.
const LIMIT: u64 = (1 << 53) - 1;

/// A question that cannot be answered, or an answer that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeError {
    /// The family has no such function.
    Function {
        /// The family.
        family: &'static str,
        /// What was asked.
        function: String,
        /// What could have been asked.
        known: &'static [&'static str],
    },
    /// The facts are not those that the function takes.
    Facts(String),
    /// The answer has no exact text.
    Answer(String),
}

impl fmt::Display for NativeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function {
                family,
                function,
                known,
            } => write!(
                f,
                "the family `{family}` has no function `{function}`: known are {}",
                known.join(", ")
            ),
            Self::Facts(message) => write!(f, "facts{message}"),
            Self::Answer(message) => write!(f, "answer{message}"),
        }
    }
}

impl core::error::Error for NativeError {}

/// A value that is not of the contract's type: where, and what is wrong.
#[derive(Debug)]
pub(super) struct Wrong {
    at: String,
    message: String,
}

impl Wrong {
    fn new(message: String) -> Self {
        Self {
            at: String::new(),
            message,
        }
    }

    pub(super) fn word(word: &str, set: &str, known: &[&str]) -> Self {
        Self::new(format!(
            "`{word}` is no {set}: expected one of {}",
            known.join(", ")
        ))
    }

    pub(super) fn field(self, name: &str) -> Self {
        Self {
            at: format!(".{name}{}", self.at),
            ..self
        }
    }

    pub(super) fn item(self, place: usize) -> Self {
        Self {
            at: format!("[{place}]{}", self.at),
            ..self
        }
    }

    fn expected(what: &str, value: &Value) -> Self {
        Self::new(format!("`{value}` is not {what}"))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// A type of the contract.
pub(super) trait Json: Sized {
    fn from_json(value: &Value) -> Result<Self, Wrong>;
    fn to_json(&self) -> Result<Value, Wrong>;
}

/// The facts in a text.
pub(super) fn facts<T: Json>(text: &str) -> Result<T, NativeError> {
    let value =
        serde_json::from_str(text).map_err(|error| NativeError::Facts(format!(": {error}")))?;
    T::from_json(&value).map_err(|wrong| NativeError::Facts(wrong.to_string()))
}

/// An answer as text.
pub(super) fn text<T: Json>(answer: &T) -> Result<String, NativeError> {
    answer
        .to_json()
        .map(|value| value.to_string())
        .map_err(|wrong| NativeError::Answer(wrong.to_string()))
}

pub(super) fn string(value: &Value) -> Result<&str, Wrong> {
    value
        .as_str()
        .ok_or_else(|| Wrong::expected("a string", value))
}

pub(super) fn array(value: &Value) -> Result<&Vec<Value>, Wrong> {
    value
        .as_array()
        .ok_or_else(|| Wrong::expected("an array", value))
}

pub(super) fn object<'a>(value: &'a Value, known: &[&str]) -> Result<&'a Object, Wrong> {
    let object = value
        .as_object()
        .ok_or_else(|| Wrong::expected("an object", value))?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(Wrong::new(format!(
            "unknown field `{unknown}`: expected {}",
            known.join(", ")
        ))),
        None => Ok(object),
    }
}

pub(super) fn field<T: Json>(object: &Object, key: &str) -> Result<T, Wrong> {
    match object.get(key) {
        Some(value) => T::from_json(value).map_err(|wrong| wrong.field(key)),
        // As the host has it: what is left out of an option is null.
        None => {
            T::from_json(&Value::Null).map_err(|_| Wrong::new(format!("missing field `{key}`")))
        }
    }
}

macro_rules! integers {
    ($($type:ident)*) => { $(
        impl Json for $type {
            fn from_json(value: &Value) -> Result<Self, Wrong> {
                let wrong = || Wrong::expected(concat!("an integer of the type ", stringify!($type)), value);
                let number = match (value.as_u64(), value.as_i64()) {
                    (Some(number), _) => $type::try_from(number).map_err(|_| wrong())?,
                    (None, Some(number)) => $type::try_from(number).map_err(|_| wrong())?,
                    (None, None) => return Err(wrong()),
                };
                exact(i128::from(number)).map(|()| number)
            }

            fn to_json(&self) -> Result<Value, Wrong> {
                exact(i128::from(*self)).map(|()| (*self).into())
            }
        }
    )* };
}

integers!(u8 u16 u32 u64 i8 i16 i32 i64);

fn exact(number: i128) -> Result<(), Wrong> {
    if number.unsigned_abs() > u128::from(LIMIT) {
        return Err(Wrong::new(format!("{number} is beyond 2^53 - 1")));
    }
    Ok(())
}

impl Json for bool {
    fn from_json(value: &Value) -> Result<Self, Wrong> {
        value
            .as_bool()
            .ok_or_else(|| Wrong::expected("true or false", value))
    }

    fn to_json(&self) -> Result<Value, Wrong> {
        Ok((*self).into())
    }
}

impl Json for String {
    fn from_json(value: &Value) -> Result<Self, Wrong> {
        string(value).map(Into::into)
    }

    fn to_json(&self) -> Result<Value, Wrong> {
        Ok(self.as_str().into())
    }
}

impl<T: Json> Json for Option<T> {
    fn from_json(value: &Value) -> Result<Self, Wrong> {
        if value.is_null() {
            return Ok(None);
        }
        T::from_json(value).map(Some)
    }

    fn to_json(&self) -> Result<Value, Wrong> {
        self.as_ref().map_or(Ok(Value::Null), Json::to_json)
    }
}

impl<T: Json> Json for Vec<T> {
    fn from_json(value: &Value) -> Result<Self, Wrong> {
        let items = array(value)?.iter().enumerate();
        items
            .map(|(place, item)| T::from_json(item).map_err(|wrong| wrong.item(place)))
            .collect()
    }

    fn to_json(&self) -> Result<Value, Wrong> {
        let items = self.iter().enumerate();
        items
            .map(|(place, item)| item.to_json().map_err(|wrong| wrong.item(place)))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array)
    }
}
