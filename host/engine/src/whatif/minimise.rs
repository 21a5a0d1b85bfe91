//! Making facts plainer while a difference stays.
//!
//! What comes out is generated: nobody was ever asked it. It shows which facts a difference hangs on.

use serde_json::{Map, Value};

use crate::shape::Shape;

/// Rounds over all fields; a field may be plain only once another is.
const ROUNDS: usize = 6;

/// Makes `facts` as plain as may be: every field takes its plainest value that `keeps` allows. Words and flags
/// have the contract's order, the first is the plainest; numbers are plain near zero, lists when short.
pub(super) fn minimise(
    shape: &Shape,
    facts: &Value,
    mut keeps: impl FnMut(&Value) -> bool,
) -> Value {
    let mut plainest = facts.clone();
    for _ in 0..ROUNDS {
        let plainer = plainer(shape, &plainest, &mut |value| keeps(&value));
        if plainer == plainest {
            break;
        }
        plainest = plainer;
    }
    plainest
}

/// `keeps` says whether the whole still differs with a value in this place.
fn plainer(shape: &Shape, value: &Value, keeps: &mut dyn FnMut(Value) -> bool) -> Value {
    match (shape, value) {
        (Shape::Bool, Value::Bool(true)) if keeps(Value::Bool(false)) => Value::Bool(false),
        (Shape::Integer, Value::Number(number)) => match number.as_i64() {
            Some(number) => integer(number, keeps),
            None => value.clone(),
        },
        (Shape::Word(words), Value::String(word)) => words
            .iter()
            .take_while(|each| *each != word)
            .map(|each| Value::from(each.as_str()))
            .find(|each| keeps(each.clone()))
            .unwrap_or_else(|| value.clone()),
        (Shape::Option(_), Value::Null) => Value::Null,
        (Shape::Option(_), _) if keeps(Value::Null) => Value::Null,
        (Shape::Option(inner), some) => plainer(inner, some, keeps),
        (Shape::Words(_), Value::Array(items)) => shorter(items, keeps).into(),
        (Shape::List(inner), Value::Array(items)) => {
            let mut items = shorter(items, keeps);
            for place in 0..items.len() {
                let mut with = items.clone();
                items[place] = plainer(inner, &items[place], &mut |value| {
                    with[place] = value;
                    keeps(with.clone().into())
                });
            }
            items.into()
        }
        (Shape::Record(fields), Value::Object(record)) => fields_of(fields, record, keeps).into(),
        _ => value.clone(),
    }
}

fn fields_of(
    fields: &[(String, Shape)],
    record: &Map<String, Value>,
    keeps: &mut dyn FnMut(Value) -> bool,
) -> Map<String, Value> {
    let mut record = record.clone();
    for (name, shape) in fields {
        let Some(value) = record.get(name) else {
            continue;
        };
        let mut with = record.clone();
        let value = plainer(shape, value, &mut |value| {
            with.insert(name.clone(), value);
            keeps(with.clone().into())
        });
        record.insert(name.clone(), value);
    }
    record
}

/// The number nearest to zero that a search by halves finds.
fn integer(number: i64, keeps: &mut dyn FnMut(Value) -> bool) -> Value {
    if number == 0 || keeps(0.into()) {
        return 0.into();
    }
    // `fails` does not keep the difference, `kept` does; both on the same side of zero.
    let (mut fails, mut kept) = (0_i64, number);
    while kept.abs_diff(fails) > 1 {
        let middle = fails + (kept - fails) / 2;
        if keeps(middle.into()) {
            kept = middle;
        } else {
            fails = middle;
        }
    }
    kept.into()
}

/// Without the elements that the difference does not need.
fn shorter(items: &[Value], keeps: &mut dyn FnMut(Value) -> bool) -> Vec<Value> {
    if items.is_empty() || keeps(Value::Array(Vec::new())) {
        return Vec::new();
    }
    let mut items = items.to_vec();
    let mut place = items.len();
    while place > 0 {
        place -= 1;
        let mut without = items.clone();
        without.remove(place);
        if keeps(without.clone().into()) {
            items = without;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_the_difference_does_not_hang_on_becomes_plain() {
        let item = Shape::Record(vec![("age".into(), Shape::Integer)]);
        let shape = Shape::Record(vec![
            ("urgent".into(), Shape::Bool),
            ("votes".into(), Shape::Integer),
            (
                "stage".into(),
                Shape::Word(words(&["seed", "talk", "plan"])),
            ),
            ("hours".into(), Shape::Option(Box::new(Shape::Integer))),
            (
                "who".into(),
                Shape::Words(words(&["author", "pic", "saksi"])),
            ),
            ("items".into(), Shape::List(Box::new(item))),
        ]);
        let facts = json!({
            "urgent": true, "votes": 1_234_567, "stage": "plan", "hours": 99,
            "who": ["author", "saksi"], "items": [{"age": 3}, {"age": 70}, {"age": 80}],
        });
        let keeps = |facts: &Value| {
            let old = |item: &Value| item["age"].as_i64() > Some(64);
            facts["votes"].as_i64() >= Some(17)
                && facts["stage"] != "seed"
                && facts["hours"].as_i64() > Some(5)
                && facts["who"].as_array().unwrap().contains(&"saksi".into())
                && facts["items"].as_array().unwrap().iter().any(old)
        };
        let plainest = json!({
            "urgent": false, "votes": 17, "stage": "talk", "hours": 6, "who": ["saksi"], "items": [{"age": 65}],
        });
        assert_eq!(minimise(&shape, &facts, keeps), plainest);
        assert_eq!(minimise(&shape, &facts, |_| false), facts);
    }
}
