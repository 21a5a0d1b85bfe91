//! What a case expects, held against what was found: field by field, for whatever part of the ruling it names.

use serde_json::Value;

/// A field that is not as expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unlike {
    /// The field, as `terms.quorum` or `[2].stage`.
    pub(crate) at: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// The fields of `found` that are not as `expected` says. A record may be named in part, a list is named whole.
pub(crate) fn unlike(expected: &Value, found: &Value) -> Vec<Unlike> {
    let mut all = Vec::new();
    compare(expected, found, &mut String::new(), &mut all);
    all
}

fn compare(expected: &Value, found: &Value, at: &mut String, all: &mut Vec<Unlike>) {
    let length = at.len();
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                if !at.is_empty() {
                    at.push('.');
                }
                at.push_str(key);
                compare(value, found.get(key).unwrap_or(&Value::Null), at, all);
                at.truncate(length);
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
                at.push_str(&format!("[{place}]"));
                compare(expected, found, at, all);
                at.truncate(length);
            }
        }
        (expected, found) if expected != found => all.push(Unlike {
            at: if at.is_empty() {
                "ruling".into()
            } else {
                at.clone()
            },
            expected: expected.to_string(),
            found: found.to_string(),
        }),
        _ => {}
    }
}

/// Every ruling in an answer, with the rule that it names: also those in a list, and inside others.
pub(crate) fn rulings_of<'a>(answer: &'a Value, each: &mut impl FnMut(&'a str, &'a Value)) {
    match answer {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(rule) if key == "rule" => each(rule, answer),
                    inner => rulings_of(inner, each),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| rulings_of(item, each)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_named_fields_are_compared() {
        let found =
            json!({"effect": "allow", "terms": {"quorum": 3, "risk": "low"}, "obligations": []});
        let unlike = |expected| unlike(&expected, &found);
        assert_eq!(
            unlike(json!({"effect": "allow", "terms": {"quorum": 3}})),
            vec![]
        );
        let wrong = unlike(json!({"effect": "deny", "terms": {"quorum": 4}, "obligations": ["a"]}));
        let fields: Vec<_> = wrong
            .iter()
            .map(|each| (&*each.at, &*each.expected, &*each.found))
            .collect();
        assert_eq!(
            fields,
            [
                ("effect", "\"deny\"", "\"allow\""),
                ("obligations", "[\"a\"]", "[]"),
                ("terms.quorum", "4", "3")
            ]
        );
        assert_eq!(unlike(json!({"terms": null})).len(), 1);
    }

    #[test]
    fn lists_are_compared_item_by_item() {
        let found = json!([{"rule": "a", "x": 1}, {"rule": "b", "y": [{"rule": "c"}]}]);
        assert_eq!(
            unlike(&json!([{"rule": "a"}, {"rule": "b"}]), &found),
            vec![]
        );
        assert_eq!(unlike(&json!([{"rule": "a"}]), &found)[0].at, "ruling");
        assert_eq!(
            unlike(&json!([{}, {"rule": "a"}]), &found)[0].at,
            "[1].rule"
        );
        let mut rules = Vec::new();
        rulings_of(&found, &mut |rule, _| rules.push(rule.to_owned()));
        assert_eq!(rules, ["a", "b", "c"]);
    }
}
