//! The custom section `gotong:policy`: what a module says about itself.

use serde::{Deserialize, Serialize};
use wasm_encoder::{ComponentSection, CustomSection};

use crate::contract::Family;

/// The name of the custom section.
pub(crate) const SECTION: &str = "gotong:policy";

/// What a module says about itself. In the section as canonical JSON (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The module's name, `a-z`, `0-9` and `-`.
    pub name: String,
    /// Its version, `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// The family it answers for.
    pub family: Family,
    /// The digest of the sources it was built from.
    pub source: String,
    /// The compiler that built it.
    pub toolchain: String,
}

impl Metadata {
    /// The component with this section at its end.
    pub(crate) fn append_to(&self, mut component: Vec<u8>) -> Result<Vec<u8>, serde_json::Error> {
        let data = serde_json_canonicalizer::to_vec(self)?;
        CustomSection {
            name: SECTION.into(),
            data: data.into(),
        }
        .append_to_component(&mut component);
        Ok(component)
    }
}

/// Whether `text` can be a module's name: it becomes a file name.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && text.starts_with(|first: char| first.is_ascii_lowercase())
}

/// `MAJOR.MINOR.PATCH` as numbers, which is also the order of versions.
pub(crate) fn version(text: &str) -> Option<[u64; 3]> {
    let mut parts = text.split('.').map(|part| {
        let plain = part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'));
        if plain {
            part.parse::<u64>().ok()
        } else {
            None
        }
    });
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_are_strict() {
        assert!(is_name("role-matrix") && is_name("moderation-rw03"));
        for wrong in ["", "-a", "3a", "a/b", "..", "Role", "a_b"] {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert_eq!(version("1.20.3"), Some([1, 20, 3]));
        for wrong in ["1.2", "1.2.3.4", "01.2.3", "1.2.3-rc1", "1..3", "+1.2.3"] {
            assert_eq!(version(wrong), None, "{wrong}");
        }
    }
}
