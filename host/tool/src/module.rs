//! A pinned module as a command line names it, and what its lock is told afterwards.

use std::str::FromStr;

use cap_std::fs::Dir;
use gotong_engine::signature;

/// `NAME@VERSION`
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A text that names no module.
#[derive(Debug, thiserror::Error)]
#[error("expected NAME@VERSION, such as `gate@1.2.0`")]
pub(crate) struct NamedError;

impl FromStr for Named {
    type Err = NamedError;

    fn from_str(text: &str) -> Result<Self, NamedError> {
        match text.split_once('@') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() => Ok(Self {
                name: name.to_owned(),
                version: version.to_owned(),
            }),
            _ => Err(NamedError),
        }
    }
}

/// What became of the modules that a change displaced, as the end of a line.
pub(crate) fn displaced(retired: &[String], scoped: &[String]) -> String {
    let mut text = String::new();
    if !retired.is_empty() {
        text += &format!("; retired: {}", retired.join(", "));
    }
    if !scoped.is_empty() {
        text += &format!("; only where an override names it: {}", scoped.join(", "));
    }
    text
}

/// The lock was changed: a signature that is there fits no more.
pub(crate) fn tell_unsigned(dir: &Dir) {
    if signature::is_signed(dir) {
        complain!(
            "{} fits no more: sign the lock again with `gotong policy sign --key FILE`",
            signature::FILE
        );
    }
}
