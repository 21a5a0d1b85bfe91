//! A policy as a native program: the same questions and answers as JSON, in the host's words.
//!
//! `gotong policy test` holds the module that is pinned against this, byte for byte. None of it is in
//! WebAssembly: there the host reads and writes the contract's own types.

mod json;
mod serve;

use alloc::string::String;

use crate::bindings::exports::gotong::policy;
use json::Json;

pub use json::NativeError;
pub use serve::{Answer, serve};

/// A JSON text: a policy crate, which is `no_std`, names it so.
pub type Text = String;

/// One function per family: the answer of `P` to a question, both as canonical JSON (RFC 8785).
macro_rules! family {
    ($(#[$doc:meta])* $family:ident $name:literal { $($function:literal $method:ident,)* }) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// When the family has no such function, or the facts are not those that it takes.
        pub fn $family<P: policy::$family::Guest>(function: &str, facts: &str) -> Result<String, NativeError> {
            match function {
                "describe" => json::text(&P::describe()),
                $($function => json::text(&P::$method(json::facts(facts)?)),)*
                _ => Err(NativeError::Function {
                    family: $name,
                    function: function.into(),
                    known: &[$($function),*],
                }),
            }
        }
    };
}

/// An enum: one of a closed set of words.
macro_rules! word {
    ($type:ty, $set:literal { $($case:ident $word:literal,)* }) => {
        impl Json for $type {
            fn from_json(value: &json::Value) -> Result<Self, json::Wrong> {
                match json::string(value)? {
                    $($word => Ok(Self::$case),)*
                    word => Err(json::Wrong::word(word, $set, &[$($word),*])),
                }
            }

            fn to_json(&self) -> Result<json::Value, json::Wrong> {
                Ok(match self { $(Self::$case => $word,)* }.into())
            }
        }
    };
}

/// Flags: an array of words, in the order of the contract.
macro_rules! words {
    ($type:ty, $set:literal { $($flag:ident $word:literal,)* }) => {
        impl Json for $type {
            fn from_json(value: &json::Value) -> Result<Self, json::Wrong> {
                json::array(value)?.iter().enumerate().try_fold(Self::empty(), |flags, (place, word)| {
                    match json::string(word).map_err(|wrong| wrong.item(place))? {
                        $($word => Ok(flags | Self::$flag),)*
                        word => Err(json::Wrong::word(word, $set, &[$($word),*]).item(place)),
                    }
                })
            }

            fn to_json(&self) -> Result<json::Value, json::Wrong> {
                let words = [$((Self::$flag, $word)),*];
                Ok(words.into_iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, word)| word).collect())
            }
        }
    };
}

/// A record: every field, and no other.
macro_rules! record {
    ($type:ty, $name:literal { $($field:ident $key:literal,)* }) => {
        impl Json for $type {
            fn from_json(value: &json::Value) -> Result<Self, json::Wrong> {
                let object = json::object(value, &[$($key),*])?;
                Ok(Self { $($field: json::field(object, $key)?,)* })
            }

            fn to_json(&self) -> Result<json::Value, json::Wrong> {
                let mut object = json::Object::new();
                // In the order of the keys, which canonical JSON asks for.
                $(object.insert($key.into(), self.$field.to_json().map_err(|wrong| wrong.field($key))?);)*
                Ok(object.into())
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/native.rs"));
