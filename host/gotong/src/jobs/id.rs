//! A job's id, as people name it: what is none is refused before anything is looked up or kept.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The longest id; a gate's timer has about 60 characters.
const LONGEST: usize = 128;

/// The id of a job, as in `timer:019aac41-…:1763827800000`: 1 to 128 characters of A-Z a-z 0-9 _ : . -
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(String);

/// Why a text is no job's id.
#[derive(Debug, thiserror::Error)]
#[error("is not a job's id: 1 to {LONGEST} characters of A-Z a-z 0-9 _ : . -")]
pub struct JobIdError;

impl TryFrom<String> for JobId {
    type Error = JobIdError;

    fn try_from(id: String) -> Result<Self, JobIdError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte);
        match (1..=LONGEST).contains(&id.len()) && id.bytes().all(fits) {
            true => Ok(Self(id)),
            false => Err(JobIdError),
        }
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl JobId {
    /// The id as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialSchema for JobId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(LONGEST))
            .pattern(Some("^[A-Za-z0-9_:.-]*$"))
            .into()
    }
}

impl ToSchema for JobId {
    fn name() -> Cow<'static, str> {
        "JobId".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain() {
        let timer = "timer:0190f3d0-0000-7000-8000-000000000000:1763827800000";
        for good in [timer, "a", &"x".repeat(LONGEST)] {
            assert!(JobId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let long = "x".repeat(LONGEST + 1);
        for bad in [
            "",
            &long,
            "a b",
            "a\0",
            "a\u{202e}b",
            "a/b",
            "é",
            "a\n",
            "a%20",
        ] {
            assert!(JobId::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
