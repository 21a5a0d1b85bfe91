//! Scopes: places in the nation-to-RT tree, and which module decides for one.

use std::fmt;

use crate::contract::Family;

const LEVELS: usize = 7;
const LEVEL_BYTES: usize = 64;

/// The same as a regular expression, for those who write forms and documents.
pub const SCOPE_PATTERN: &str = "^[a-z0-9_-]{1,64}(/[a-z0-9_-]{1,64}){0,6}$";

/// Whether a text is a scope: 1 to 7 levels joined by `/`, `id/jabar/depok/cimanggis/tugu/rw03/rt05`, each of 1 to
/// 64 lower-case letters, digits, `-` and `_`.
pub fn is_scope(path: &str) -> bool {
    let is_level = |level: &str| {
        (1..=LEVEL_BYTES).contains(&level.len())
            && level.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            })
    };
    let mut levels = path.split('/');
    levels.by_ref().take(LEVELS).all(is_level) && levels.next().is_none()
}

/// A scope and the scopes it lies in, the nearest first.
pub(crate) fn with_ancestors(scope: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(scope), |inner| {
        inner.rsplit_once('/').map(|(outer, _)| outer)
    })
}

/// In this scope and everything below it another module decides for a family. The nearest override of a place wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Override {
    /// The scope.
    pub scope: String,
    /// The family.
    pub family: Family,
    /// The name of the module that decides.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Override {
    /// `name@version` of the module.
    pub fn module(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    pub(crate) fn names(&self, name: &str, version: &str) -> bool {
        self.name == name && self.version == version
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} by {}", self.scope, self.family, self.module())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_at_most_seven_levels() {
        assert!(is_scope("id") && is_scope("id/jabar/depok/cimanggis/tugu/rw03/rt05"));
        for wrong in [
            "",
            "/",
            "id/",
            "id//x",
            "ID",
            "a/b/c/d/e/f/g/h",
            "id/rt 05",
            "id/../x",
        ] {
            assert!(!is_scope(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_scope_lies_in_its_ancestors() {
        let all: Vec<_> = with_ancestors("id/jabar/depok").collect();
        assert_eq!(all, ["id/jabar/depok", "id/jabar", "id"]);
    }
}
