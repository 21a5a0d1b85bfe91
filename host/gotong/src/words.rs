//! Text that people write, with its limits in its type: a value that exists is within them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Why a text is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("has {found} characters, {least} to {most} are allowed")]
    Length {
        found: usize,
        least: usize,
        most: usize,
    },
    #[error("holds a control character or nothing but spaces")]
    Unreadable,
    #[error("is not a scope: 1 to 7 levels like `id/jabar/depok`, each of a-z 0-9 _ -")]
    Scope,
}

/// What a text is in the API's document.
fn text(least: usize, most: usize, lines: bool) -> RefOr<Schema> {
    let controls = if lines {
        r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
    } else {
        r"\u0000-\u001f\u007f-\u009f"
    };
    let pattern = if least > 0 {
        format!(r"^[^{controls}]*[^\s{controls}][^{controls}]*$")
    } else {
        format!("^[^{controls}]*$")
    };
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(least))
        .max_length(Some(most))
        .pattern(Some(pattern))
        .into()
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $least:literal..=$most:literal, lines $lines:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                let found = text.chars().count();
                if !($least..=$most).contains(&found) {
                    return Err(TextError::Length { found, least: $least, most: $most });
                }
                let unfit = |c: char| c.is_control() && !($lines && matches!(c, '\n' | '\r' | '\t'));
                if text.chars().any(unfit) || ($least > 0 && text.trim().is_empty()) {
                    return Err(TextError::Unreadable);
                }
                Ok(Self(text))
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                text($least, $most, $lines)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )+};
}

texts! {
    /// A seed's title.
    Title: 1..=200, lines false;
    /// A seed's text, a statement.
    Text: 0..=2_000, lines true;
    /// Why somebody objects or challenges.
    Reason: 1..=2_000, lines true;
    /// A user's id, as the token issuer gives it.
    UserId: 1..=128, lines false;
    /// A witness' name.
    WitnessName: 1..=255, lines false;
    /// An id of ours in a body or path: too short or long, it cannot be one.
    Id: 1..=64, lines false;
}

/// A place in the nation-to-RT tree, `id/jabar/depok/cimanggis/tugu/rw03/rt05`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeId(String);

impl TryFrom<String> for ScopeId {
    type Error = TextError;

    fn try_from(path: String) -> Result<Self, TextError> {
        if !gotong_engine::is_scope(&path) {
            return Err(TextError::Scope);
        }
        Ok(Self(path))
    }
}

impl PartialSchema for ScopeId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(gotong_engine::SCOPE_PATTERN))
            .into()
    }
}

impl ToSchema for ScopeId {
    fn name() -> Cow<'static, str> {
        "ScopeId".into()
    }
}

impl From<ScopeId> for String {
    fn from(scope: ScopeId) -> Self {
        scope.0
    }
}

impl ScopeId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_1_to_200_characters_and_one_line() {
        assert!(Title::try_from("é".repeat(200)).is_ok());
        for bad in [
            String::new(),
            "x".repeat(201),
            "two\nlines".into(),
            "   ".into(),
        ] {
            assert!(Title::try_from(bad).is_err());
        }
    }
}
