//! The case files of a policy.

use gotong_engine::Family;
use serde::Deserialize;
use serde_json::Value;

use crate::modules::workspace;

/// One question, and what of its answer must be so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) input: Value,
    pub(crate) expect: Value,
}

/// Every case of a family's policy, file by file.
pub(crate) fn of(family: Family) -> Vec<Case> {
    let folder = workspace().join(format!("policies/{family}/cases"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: std::path::PathBuf| -> Vec<Case> {
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.into_iter().flat_map(read).collect()
}

/// Where an answer is not as expected. Fields that are not named may be anything.
pub(crate) fn unlike(expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().find_map(|(key, expected)| {
                let found = found.get(key).unwrap_or(&Value::Null);
                unlike(expected, found).map(|unlike| format!(".{key}{unlike}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .find_map(|(expected, found)| unlike(expected, found)),
        _ if expected == found => None,
        _ => Some(format!(": expected {expected}, found {found}")),
    }
}

/// Rule and reason of every ruling in an answer.
pub(crate) fn rulings(output: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = match output {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    all.iter().filter_map(|ruling| {
        let word = |key: &str| ruling.get(key).and_then(Value::as_str);
        Some((word("rule")?, word("reason")?))
    })
}
