//! What becomes of a ruling between two modules.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::abi::FORMULA;
use crate::tree::Outcome;

/// How the second module's ruling differs from the first's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// More is allowed, or more is shown.
    Gains,
    /// Less is allowed, or less is shown.
    Loses,
    /// Some is gained and some is lost.
    Both,
    /// The same effect, but the host must do something else, or on other terms.
    Terms,
    /// The same in all that has an effect; another reason or rule is given.
    Reason,
    /// One of them fails where the other rules, or they fail differently.
    Failure,
    /// A number is computed by another formula: whether it ever differs is not known.
    Formula,
}

impl Change {
    /// One word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gains => "gains",
            Self::Loses => "loses",
            Self::Both => "both",
            Self::Terms => "terms",
            Self::Reason => "reason",
            Self::Failure => "failure",
            Self::Formula => "formula",
        }
    }
}

/// A difference between two outcomes: what it is, and each side in a few words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Difference {
    pub(crate) change: Change,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What a ruling grants: words, as far as it has an effect, something visible or a list.
fn grants(ruling: &Value) -> Option<BTreeSet<String>> {
    let words = |value: &Value| -> BTreeSet<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    match ruling {
        Value::Array(items) if items.iter().all(Value::is_string) => Some(words(ruling)),
        Value::Object(fields) => {
            if let Some(effect) = fields.get("effect").and_then(Value::as_str) {
                let allowed = (effect == "allow").then(|| "allow".to_owned());
                return matches!(effect, "allow" | "deny").then(|| allowed.into_iter().collect());
            }
            let visible = fields.get("visible")?.as_bool()?;
            let shown = fields.get("fields").map(words).unwrap_or_default();
            let mut granted: BTreeSet<String> = if visible { shown } else { BTreeSet::new() };
            if visible {
                granted.insert("visible".to_owned());
            }
            Some(granted)
        }
        _ => None,
    }
}

/// A ruling without what only explains it.
fn without_reason(ruling: &Value) -> Value {
    let mut rest = ruling.clone();
    if let Value::Object(fields) = &mut rest {
        fields.remove("reason");
        fields.remove("rule");
    }
    rest
}

pub(crate) fn difference(a: &Outcome, b: &Outcome) -> Option<Difference> {
    if a == b {
        return None;
    }
    let (Some(x), Some(y)) = (a.ruling(), b.ruling()) else {
        return Some(Difference {
            change: Change::Failure,
            from: label(a),
            to: label(b),
        });
    };
    let (without_x, without_y) = (without_reason(&x), without_reason(&y));
    let (had, has) = (grants(&x), grants(&y));
    if let (Value::Array(_), Some(had), Some(has)) = (&x, &had, &has)
        && had != has
    {
        let list = |words: Vec<&String>| {
            let words: Vec<&str> = words.into_iter().map(String::as_str).collect();
            if words.is_empty() {
                "nothing".to_owned()
            } else {
                words.join(" ")
            }
        };
        let (lost, gained) = (
            had.difference(has).collect::<Vec<_>>(),
            has.difference(had).collect::<Vec<_>>(),
        );
        return Some(Difference {
            change: change_of(gained.is_empty(), lost.is_empty()),
            from: format!("loses {}", list(lost)),
            to: format!("gains {}", list(gained)),
        });
    }
    let change = match (had, has) {
        (Some(had), Some(has)) if had != has => change_of(has.is_subset(&had), had.is_subset(&has)),
        _ if without_x == without_y => Change::Reason,
        _ if a.has_formula() || b.has_formula() => Change::Formula,
        _ => Change::Terms,
    };
    let (mut from, mut to) = (vec![heading(&x)], vec![heading(&y)]);
    differing("", &without_x, &without_y, &mut from, &mut to);
    Some(Difference {
        change,
        from: joined(&from),
        to: joined(&to),
    })
}

/// The parts that differ, by their names.
fn differing(name: &str, a: &Value, b: &Value, from: &mut Vec<String>, to: &mut Vec<String>) {
    if a == b || matches!(name, "effect" | "outcome" | "visible") {
        return;
    }
    if let (Value::Object(x), Value::Object(y)) = (a, b) {
        for (field, value) in x {
            let path = if name.is_empty() {
                field.clone()
            } else {
                format!("{name}.{field}")
            };
            differing(&path, value, y.get(field).unwrap_or(&Value::Null), from, to);
        }
        return;
    }
    from.push(format!("{name}={}", short(a)));
    to.push(format!("{name}={}", short(b)));
}

/// A value, or the beginning of a long formula.
fn short(value: &Value) -> String {
    const LONG: usize = 60;
    match value.as_str() {
        Some(text) if text.starts_with(FORMULA) && text.len() > LONG => {
            let cut: String = text.chars().skip(FORMULA.len()).take(LONG).collect();
            format!("{cut}…")
        }
        Some(text) => text.trim_start_matches(FORMULA).to_owned(),
        None => value.to_string(),
    }
}

fn joined(words: &[String]) -> String {
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

const fn change_of(gains_nothing: bool, loses_nothing: bool) -> Change {
    match (gains_nothing, loses_nothing) {
        (true, false) => Change::Loses,
        (false, true) => Change::Gains,
        (true, true) => Change::Terms,
        (false, false) => Change::Both,
    }
}

/// What a ruling is first of all: its effect, and the rule and reason it names.
fn heading(ruling: &Value) -> String {
    let Value::Object(fields) = ruling else {
        return String::new();
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let mut words = Vec::new();
    if let Some(effect) = text("effect").or(text("outcome")) {
        words.push(effect.to_owned());
    } else if let Some(visible) = fields.get("visible").and_then(Value::as_bool) {
        words.push(if visible { "visible" } else { "hidden" }.to_owned());
    }
    if let (Some(rule), Some(reason)) = (text("rule"), text("reason")) {
        words.push(format!("{rule}.{reason}"));
    }
    words.join(" ")
}

/// An outcome in a few words: effect, rule and reason, and what else is not empty.
pub(crate) fn label(outcome: &Outcome) -> String {
    let ruling = match outcome {
        Outcome::Trapped(code) => return format!("trapped ({code})"),
        Outcome::FuelExhausted => return "fuel exhausted".to_owned(),
        Outcome::Ruled(_) => outcome.ruling().unwrap_or_default(),
    };
    let mut words = vec![heading(&ruling)];
    match &ruling {
        Value::Object(fields) => {
            for (name, value) in fields {
                let told = matches!(
                    name.as_str(),
                    "effect" | "outcome" | "visible" | "rule" | "reason"
                );
                let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
                if !told && !empty {
                    words.push(format!("{name}={}", short(value)));
                }
            }
        }
        other => words.push(other.to_string()),
    }
    joined(&words)
}
