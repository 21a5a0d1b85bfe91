//! Facts drawn from the contract: for tools that compare two answers to many questions.
//!
//! Every word is as likely as another of its set; numbers stand around the edges that a module compares with. Facts
//! that somebody was asked can be given as a beginning: then most of them stay as they are.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use wasmparser::{Operator, Parser, Payload};

use crate::contract::Family;
use crate::shape::{self, Shape};

/// What the facts of one function look like.
#[derive(Clone, Debug)]
pub struct Draw {
    facts: Shape,
    /// Numbers that the modules compare with, and their neighbours.
    edges: Vec<u64>,
}

/// The most items of a list.
const ITEMS: u64 = 3;

impl Draw {
    /// Facts of a function; `None` when the family has none of that name. `modules` are those that will be asked:
    /// the numbers in their code are where their rules change their mind.
    pub fn new(family: Family, function: &str, modules: &[&[u8]]) -> Option<Self> {
        let (facts, _) = shape::of(family, function)?;
        let mut edges = BTreeSet::new();
        for number in modules.iter().flat_map(|bytes| constants(bytes)) {
            edges.extend([number.saturating_sub(1), number, number + 1]);
        }
        Some(Self {
            facts,
            edges: edges.into_iter().collect(),
        })
    }

    /// One set of facts. `choose` gives numbers at random; always 0 gives the plainest facts there are.
    pub fn facts(&self, like: Option<&Value>, choose: &mut dyn FnMut() -> u64) -> Value {
        Chooser {
            edges: &self.edges,
            choose,
        }
        .value(&self.facts, like)
    }
}

/// The same numbers for the same seed, on any machine (SplitMix64).
pub fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

struct Chooser<'a> {
    edges: &'a [u64],
    choose: &'a mut dyn FnMut() -> u64,
}

impl Chooser<'_> {
    fn below(&mut self, bound: u64) -> u64 {
        (self.choose)() % bound.max(1)
    }

    fn value(&mut self, shape: &Shape, like: Option<&Value>) -> Value {
        match shape {
            Shape::Record(fields) => self.record(fields, like),
            _ if like.is_some() && self.below(4) != 0 => like.cloned().unwrap_or_default(),
            Shape::Bool => (self.below(2) == 1).into(),
            Shape::Integer => self.integer().into(),
            // No facts hold free text: there is nothing in it for a rule.
            Shape::Text => String::new().into(),
            Shape::Word(words) => {
                let place = self.below(words.len() as u64);
                usize::try_from(place)
                    .ok()
                    .and_then(|place| words.get(place))
                    .cloned()
                    .into()
            }
            Shape::Words(words) => self.words(words),
            Shape::Option(inner) => match self.below(3) {
                0 => Value::Null,
                _ => self.value(inner, None),
            },
            Shape::List(item) => {
                let items = self.below(ITEMS + 1);
                (0..items).map(|_| self.value(item, None)).collect()
            }
        }
    }

    /// Fields of one type often hold the same: a step stays on its track.
    fn record(&mut self, fields: &[(String, Shape)], like: Option<&Value>) -> Value {
        let mut object = Map::new();
        for (place, (name, shape)) in fields.iter().enumerate() {
            let before = fields[..place]
                .iter()
                .find(|(_, other)| other == shape && matches!(shape, Shape::Word(_)))
                .and_then(|(name, _)| object.get(name).cloned());
            let like = like.and_then(|like| like.get(name));
            let value = match before {
                Some(same) if like.is_none() && self.below(2) == 1 => same,
                _ => self.value(shape, like),
            };
            object.insert(name.clone(), value);
        }
        object.into()
    }

    fn words(&mut self, words: &[String]) -> Value {
        // None, one, or any number of them: rules ask for one more often than for four.
        let chosen = match self.below(4) {
            0 => 0,
            1 | 2 => 1 << self.below(words.len() as u64),
            _ => (self.choose)(),
        };
        let words = words.iter().enumerate();
        words
            .filter(|(place, _)| chosen >> (place % 64) & 1 == 1)
            .map(|(_, word)| Value::from(word.as_str()))
            .collect()
    }

    /// Within an u32, which is what the contract counts in.
    fn integer(&mut self) -> u64 {
        match self.below(8) {
            0..=3 if !self.edges.is_empty() => {
                let place = self.below(self.edges.len() as u64);
                let place = usize::try_from(place).unwrap_or_default();
                self.edges.get(place).copied().unwrap_or_default()
            }
            7 => u64::from(u32::MAX) - self.below(2) * self.below(1 << 32),
            _ => self.below(12),
        }
    }
}

/// The numbers in a module's code that facts could be compared with.
fn constants(component: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(component).flatten() {
        let Payload::CodeSectionEntry(body) = payload else {
            continue;
        };
        let Ok(operators) = body.get_operators_reader() else {
            continue;
        };
        for operator in operators.into_iter().flatten() {
            // A compiler writes `from <= x` as `x + (-from)` too.
            let number = match operator {
                Operator::I32Const { value } => u64::from(value.unsigned_abs()),
                Operator::I64Const { value } => value.unsigned_abs(),
                _ => continue,
            };
            // Larger ones are masks, or addresses at best.
            if number < u64::from(i32::MAX.unsigned_abs()) {
                found.push(number);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plainest_facts_come_of_zeros_and_all_facts_are_facts() {
        for family in Family::ALL {
            for function in family.functions() {
                let draw = Draw::new(*family, function, &[]).unwrap();
                let plainest = draw.facts(None, &mut || 0);
                let asked = |facts: Value| {
                    crate::contract::visit(*family, function, Parse(facts.clone()))
                        .unwrap()
                        .unwrap_or_else(|error| panic!("{family}.{function}: {facts}: {error}"));
                };
                asked(plainest.clone());
                let mut choose = numbers(7);
                for _ in 0..200 {
                    asked(draw.facts(None, &mut choose));
                    asked(draw.facts(Some(&plainest), &mut choose));
                }
            }
        }
        assert!(Draw::new(Family::Gate, "guess", &[]).is_none());
    }

    struct Parse(Value);

    impl crate::question::Visitor for Parse {
        type Output = Result<(), String>;

        fn visit<Q: crate::question::Question>(self) -> Self::Output {
            serde_json::from_value::<Q>(self.0)
                .map(drop)
                .map_err(|error| error.to_string())
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_facts() {
        let draw = Draw::new(Family::Gate, "plan", &[]).unwrap();
        let of = |seed| draw.facts(None, &mut numbers(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn a_module_s_thresholds_are_among_the_edges() {
        let module = include_bytes!("../../../policies/pinned/gate@1.0.1.wasm");
        let draw = Draw::new(Family::Gate, "plan", &[module]).unwrap();
        for threshold in [720, 721, 168] {
            assert!(draw.edges.contains(&threshold), "{threshold}");
        }
    }
}
