//! Why settings cannot be read, without what they hold: any value may be a secret, and so may the line it stands on.

use figment::error::{Kind, OneOf};

/// What the TOML parser's own words begin with. Behind the position it shows the line.
const NOT_TOML: &str = "TOML parse error at ";

/// What cannot be read, and where.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableError(String);

impl From<figment::Error> for UnreadableError {
    fn from(error: figment::Error) -> Self {
        let each: Vec<String> = error.into_iter().map(|error| words(&error)).collect();
        Self(each.join("; "))
    }
}

fn words(error: &figment::Error) -> String {
    let why = match &error.kind {
        Kind::Message(text) => match text.strip_prefix(NOT_TOML) {
            Some(rest) => format!("it is not TOML at {}", first_line(rest)),
            // The host's own words for a value of its own, or the system's for a file.
            None => first_line(text).to_owned(),
        },
        Kind::InvalidType(_, expected)
        | Kind::InvalidValue(_, expected)
        | Kind::InvalidLength(_, expected) => format!("expected {expected}"),
        Kind::UnknownVariant(_, expected) => format!("expected {}", OneOf(expected)),
        Kind::UnknownField(name, _) => format!("there is no setting `{name}`"),
        Kind::MissingField(name) => format!("`{name}` is missing"),
        Kind::DuplicateField(name) => format!("`{name}` stands there twice"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "a number out of range".to_owned(),
        Kind::Unsupported(_) | Kind::UnsupportedKey(..) => "a value that no setting is".to_owned(),
    };
    let metadata = error.metadata.as_ref();
    let place = metadata.map(|metadata| match &metadata.source {
        Some(source) => source.to_string(),
        None => metadata.name.to_string(),
    });
    let key = match (&error.profile, metadata) {
        (Some(profile), Some(metadata)) if !error.path.is_empty() => {
            Some(metadata.interpolate(profile, &error.path))
        }
        _ => None,
    };
    match (key, place) {
        (Some(key), Some(place)) => format!("`{key}` in {place}: {why}"),
        (None, Some(place)) => format!("{place}: {why}"),
        (_, None) => why,
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
