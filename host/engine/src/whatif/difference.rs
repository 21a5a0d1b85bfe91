//! How two rulings on the same facts differ.

use serde::Serialize;
use serde_json::Value;

use super::evaluate::Ended;

/// What a difference means for the people concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The verdict itself: allowed before and denied now, applied before and rejected now.
    Flip,
    /// A ruling before, and none now: the candidate fails. The host denies then.
    Failure,
    /// No ruling before, and one now.
    Repair,
    /// The same verdict for another reason, by another rule, with other obligations or terms.
    Other,
}

/// One way in which rulings differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Kind {
    /// What it means.
    pub class: Class,
    /// The function that was asked.
    pub function: String,
    /// The field of the ruling that says what was decided; none where a ruling has no such field.
    pub verdict: Option<String>,
    /// What was decided, or how the evaluation failed.
    pub from: Option<String>,
    /// What would have been.
    pub to: Option<String>,
    /// The rule that decided.
    pub from_rule: Option<String>,
    /// The rule that would have.
    pub to_rule: Option<String>,
    /// The other fields of the ruling that differ; empty unless the class is `other`.
    pub fields: Vec<String>,
}

/// Every difference between two endings. A list is held against the other one by one.
pub(super) fn differences(
    function: &str,
    verdict: Option<&str>,
    recorded: &Ended,
    found: &Ended,
) -> Vec<Kind> {
    let between = Between { function, verdict };
    match (&recorded.value, &found.value) {
        (Some(Value::Array(a)), Some(Value::Array(b))) => between.lists(a, b),
        (Some(a), Some(b)) => between.rulings(a, b).into_iter().collect(),
        (Some(ruling), None) => {
            let mut kind = between.kind(Class::Failure, Some(ruling), None);
            kind.to = Some(found.word());
            vec![kind]
        }
        (None, Some(ruling)) => {
            let mut kind = between.kind(Class::Repair, None, Some(ruling));
            kind.from = Some(recorded.word());
            vec![kind]
        }
        (None, None) => {
            let mut kind = between.kind(Class::Other, None, None);
            (kind.from, kind.to) = (Some(recorded.word()), Some(found.word()));
            vec![kind]
        }
    }
}

struct Between<'a> {
    function: &'a str,
    verdict: Option<&'a str>,
}

impl Between<'_> {
    fn kind(&self, class: Class, from: Option<&Value>, to: Option<&Value>) -> Kind {
        let word = |ruling: Option<&Value>| {
            Some(self.word(ruling?)?.to_string().trim_matches('"').to_owned())
        };
        let rule = |ruling: Option<&Value>| Some(ruling?.get("rule")?.as_str()?.to_owned());
        Kind {
            class,
            function: self.function.to_owned(),
            verdict: self.verdict.map(str::to_owned),
            from: word(from),
            to: word(to),
            from_rule: rule(from),
            to_rule: rule(to),
            fields: Vec::new(),
        }
    }

    /// The word of a ruling's verdict.
    fn word<'v>(&self, ruling: &'v Value) -> Option<&'v Value> {
        ruling.get(self.verdict?)
    }

    fn rulings(&self, a: &Value, b: &Value) -> Option<Kind> {
        if a == b {
            return None;
        }
        if self.word(a) != self.word(b) {
            return Some(self.kind(Class::Flip, Some(a), Some(b)));
        }
        let mut kind = self.kind(Class::Other, Some(a), Some(b));
        unlike("", a, b, &mut kind.fields);
        Some(kind)
    }

    fn lists(&self, a: &[Value], b: &[Value]) -> Vec<Kind> {
        let other = |field: String| Kind {
            fields: vec![field],
            ..self.kind(Class::Other, None, None)
        };
        // A list of words is a set: what it lacks and what it gains.
        if a.iter().chain(b).all(Value::is_string) {
            let only = |sign: char, here: &[Value], there: &[Value]| {
                let gone = here.iter().filter(|word| !there.contains(word));
                gone.map(|word| other(format!("{sign}{}", word.as_str().unwrap_or_default())))
                    .collect::<Vec<_>>()
            };
            let mut kinds = only('-', a, b);
            kinds.extend(only('+', b, a));
            if kinds.is_empty() {
                kinds.push(other("order".to_owned()));
            }
            return kinds;
        }
        let pairs = a.iter().zip(b);
        let mut kinds: Vec<Kind> = pairs.filter_map(|(a, b)| self.rulings(a, b)).collect();
        if a.len() != b.len() {
            kinds.push(other("length".to_owned()));
        }
        kinds
    }
}

/// The paths at which two values differ: into records, not into lists.
fn unlike(path: &str, a: &Value, b: &Value, fields: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let mut names: Vec<&String> = x.keys().chain(y.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let (x, y) = (x.get(name), y.get(name));
                if x != y {
                    let dot = if path.is_empty() { "" } else { "." };
                    let (x, y) = (x.unwrap_or(&Value::Null), y.unwrap_or(&Value::Null));
                    unlike(&format!("{path}{dot}{name}"), x, y, fields);
                }
            }
        }
        _ => fields.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{Outcome, TrapCode};
    use serde_json::json;

    fn ruled(value: Value) -> Ended {
        Ended {
            outcome: Outcome::Ruled,
            value: Some(value),
            lacking: false,
        }
    }

    fn between(a: Value, b: Value) -> Vec<Kind> {
        differences("plan", Some("effect"), &ruled(a), &ruled(b))
    }

    fn rule(kind: &Kind) -> (Option<&str>, Option<&str>) {
        (kind.from_rule.as_deref(), kind.to_rule.as_deref())
    }

    #[test]
    fn a_flip_names_both_verdicts_and_both_rules() {
        let kinds = between(
            json!({"effect": "allow", "reason": "a", "rule": "seed"}),
            json!({"effect": "deny", "reason": "b", "rule": "members"}),
        );
        let [flip] = &kinds[..] else {
            panic!("{kinds:?}")
        };
        assert_eq!(flip.class, Class::Flip);
        assert_eq!(
            (flip.from.as_deref(), flip.to.as_deref()),
            (Some("allow"), Some("deny"))
        );
        assert_eq!(rule(flip), (Some("seed"), Some("members")));
        assert!(flip.fields.is_empty());
    }

    #[test]
    fn another_change_names_its_fields() {
        let with = |hours: u32| json!({"effect": "allow", "rule": "seed", "obligations": [hours], "terms": {"risk": "low", "window_hours": hours}});
        let kinds = between(with(24), with(48));
        assert_eq!(kinds[0].class, Class::Other);
        assert_eq!(kinds[0].fields, ["obligations", "terms.window_hours"]);
        let none = json!({"effect": "allow", "rule": "seed", "obligations": [24], "terms": null});
        assert_eq!(between(with(24), none)[0].fields, ["terms"]);
    }

    #[test]
    fn a_list_is_compared_one_by_one_and_words_as_a_set() {
        let [a, b] = ["allow", "deny"].map(|effect| json!({"effect": effect, "rule": "r"}));
        let kinds = between(json!([a, a, b]), json!([a, b, b]));
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].class, Class::Flip);
        let kinds = between(json!([a]), json!([a, b]));
        assert_eq!(kinds[0].fields, ["length"]);
        let kinds = between(json!(["read", "vote"]), json!(["read", "task", "edit"]));
        let fields: Vec<_> = kinds.iter().flat_map(|kind| &kind.fields).collect();
        assert_eq!(fields, ["-vote", "+task", "+edit"]);
        assert_eq!(
            between(json!(["a", "b"]), json!(["b", "a"]))[0].fields,
            ["order"]
        );
    }

    #[test]
    fn a_failure_is_neither_a_flip_nor_another_ruling() {
        let trapped = Ended {
            outcome: Outcome::Trapped {
                trap_code: TrapCode::IntegerOverflow,
            },
            value: None,
            lacking: false,
        };
        let ruling = ruled(json!({"effect": "allow", "rule": "seed"}));
        let failure = &differences("plan", Some("effect"), &ruling, &trapped)[0];
        assert_eq!(failure.class, Class::Failure);
        assert_eq!(failure.to.as_deref(), Some("trapped (integer_overflow)"));
        assert_eq!(rule(failure), (Some("seed"), None));
        let repair = &differences("plan", Some("effect"), &trapped, &ruling)[0];
        assert_eq!(
            (repair.class, repair.to.as_deref()),
            (Class::Repair, Some("allow"))
        );
    }
}
