//! The domain's words, made from the WIT files by `build.rs`: one module per interface, and
//! [`Family`] for the worlds. Every word is written `kebab-case` in WIT and `snake_case` in JSON.

pub(crate) mod macros;
#[cfg(feature = "openapi")]
pub(crate) mod schema;

use serde::{Deserialize, Deserializer, Serializer};

/// A word that is none of a closed set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {set}: expected one of {}", expected.join(", "))]
pub struct UnknownWordError {
    /// The set's name.
    pub set: &'static str,
    /// What was given.
    pub word: String,
    /// What would have been known.
    pub expected: Vec<&'static str>,
}

/// Integers beyond 2^53 have no exact canonical JSON; they are refused instead of rounded.
pub(crate) mod exact {
    use super::{Deserialize, Deserializer, Serializer};

    const LIMIT: i128 = (1 << 53) - 1;

    pub(crate) fn serialize<S: Serializer, N: Copy + Into<i128>>(
        value: &N,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let value: i128 = (*value).into();
        match i64::try_from(value) {
            Ok(narrow) if value.abs() <= LIMIT => serializer.serialize_i64(narrow),
            _ => Err(serde::ser::Error::custom(format_args!(
                "{value} is beyond 2^53 - 1"
            ))),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, N>(deserializer: D) -> Result<N, D::Error>
    where
        N: Copy + Into<i128> + Deserialize<'de>,
    {
        let value = N::deserialize(deserializer)?;
        if value.into().abs() > LIMIT {
            return Err(serde::de::Error::custom("an integer beyond 2^53 - 1"));
        }
        Ok(value)
    }
}

include!(concat!(env!("OUT_DIR"), "/contract.rs"));
