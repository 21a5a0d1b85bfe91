//! What a module rules over the whole domain of a question: a tree of cuts with a ruling at each leaf.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::abi::FORMULA;
use crate::change;
use crate::count::Count;
use crate::domain::{Cube, Domain, Range};

/// How a question ends: the same for every input of a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The ruling, as JSON text in the order of the contract.
    Ruled(String),
    /// The module fails, with this trap code.
    Trapped(&'static str),
    /// The module burns its fuel.
    FuelExhausted,
}

impl Outcome {
    /// The ruling as JSON.
    pub fn ruling(&self) -> Option<Value> {
        match self {
            Self::Ruled(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// In a few words: effect, rule and reason, and what else is not empty.
    pub fn in_words(&self) -> String {
        change::label(self)
    }

    /// Whether the outcome of one input is this one, where a formula stands for any number.
    pub fn admits(&self, one: &Self) -> bool {
        match (self.ruling(), one.ruling()) {
            (Some(ruling), Some(one)) => admits(&ruling, &one),
            _ => self == one,
        }
    }

    /// Whether a number of the ruling is a formula of the facts' numbers.
    pub fn has_formula(&self) -> bool {
        matches!(self, Self::Ruled(text) if text.contains(&format!("\"{FORMULA}")))
    }
}

fn admits(ruling: &Value, one: &Value) -> bool {
    match (ruling, one) {
        (Value::String(text), Value::Number(_)) => text.starts_with(FORMULA),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|other| admits(value, other)))
        }
        (a, b) => a == b,
    }
}

/// A tree of cuts.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// The index of an outcome.
    Leaf(u32),
    /// Along one fact; the ranges are disjoint and together are what the fact may be here.
    Cut {
        fact: usize,
        parts: Vec<(Range, Node)>,
    },
}

/// Every ruling of one question, over all its inputs.
#[derive(Clone, Debug)]
pub struct Rulings {
    /// The question.
    pub function: String,
    /// All its inputs.
    pub domain: Arc<Domain>,
    /// The distinct outcomes.
    pub outcomes: Vec<Outcome>,
    /// How often the interpreter came to an end.
    pub cases: usize,
    /// The dearest input costs so much fuel.
    pub most_fuel: u64,
    pub(crate) root: Node,
}

impl Rulings {
    /// How many inputs there are.
    pub fn inputs(&self) -> Count {
        self.domain.count(&self.domain.whole())
    }

    /// Visits every cube with its outcome.
    pub fn visit(&self, visitor: &mut dyn FnMut(&Cube, &Outcome)) {
        let mut cube = self.domain.whole();
        self.root.visit(&mut cube, &mut |cube, leaf| {
            visitor(cube, &self.outcomes[leaf as usize]);
        });
    }

    /// How many cubes there are, and the sum of their inputs.
    pub fn covered(&self) -> (usize, Count) {
        let (mut cubes, mut inputs) = (0, Count::ZERO);
        self.visit(&mut |cube, _| {
            cubes += 1;
            inputs += self.domain.count(cube);
        });
        (cubes, inputs)
    }

    /// The outcome of one input, given as one value for each fact, and the cube it is in.
    pub fn find(&self, values: &[u64]) -> Option<(Cube, &Outcome)> {
        let mut cube = self.domain.whole();
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return Some((cube, &self.outcomes[*leaf as usize])),
                Node::Cut { fact, parts } => {
                    let value = *values.get(*fact)?;
                    let (range, part) = parts.iter().find(|(range, _)| range.admits(value))?;
                    cube[*fact] = range.clone();
                    node = part;
                }
            }
        }
    }
}

impl Node {
    pub(crate) fn visit(&self, cube: &mut Cube, visitor: &mut dyn FnMut(&Cube, u32)) {
        match self {
            Self::Leaf(leaf) => visitor(cube, *leaf),
            Self::Cut { fact, parts } => {
                for (range, part) in parts {
                    let whole = std::mem::replace(&mut cube[*fact], range.clone());
                    part.visit(cube, visitor);
                    cube[*fact] = whole;
                }
            }
        }
    }

    /// Only what is inside a cube, which starts as the whole.
    pub(crate) fn visit_within(&self, cube: &mut Cube, visitor: &mut dyn FnMut(&Cube, u32)) {
        match self {
            Self::Leaf(leaf) => visitor(cube, *leaf),
            Self::Cut { fact, parts } => {
                for (range, part) in parts {
                    if let Some(inside) = cube[*fact].and(range) {
                        let whole = std::mem::replace(&mut cube[*fact], inside);
                        part.visit_within(cube, visitor);
                        cube[*fact] = whole;
                    }
                }
            }
        }
    }

    /// A cut that cuts nothing apart is none.
    pub(crate) fn cut(fact: usize, parts: Vec<(Range, Self)>) -> Self {
        let mut leaves = parts.iter().map(|(_, part)| match part {
            Self::Leaf(leaf) => Some(*leaf),
            Self::Cut { .. } => None,
        });
        let first = leaves.next().flatten();
        match first {
            Some(leaf) if leaves.all(|other| other == Some(leaf)) => Self::Leaf(leaf),
            _ => Self::Cut { fact, parts },
        }
    }

    pub(crate) fn renumber(&mut self, numbers: &[u32]) {
        match self {
            Self::Leaf(leaf) => *leaf = numbers[*leaf as usize],
            Self::Cut { parts, .. } => {
                for (_, part) in parts {
                    part.renumber(numbers);
                }
            }
        }
    }
}

/// Gives every distinct outcome one number.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    numbers: HashMap<Outcome, u32>,
    list: Vec<Outcome>,
}

impl Outcomes {
    pub(crate) fn number(&mut self, outcome: Outcome) -> u32 {
        if let Some(number) = self.numbers.get(&outcome) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(outcome.clone());
        self.numbers.insert(outcome, number);
        number
    }

    pub(crate) fn at(&self, number: u32) -> Outcome {
        self.list[number as usize].clone()
    }

    pub(crate) fn into_list(self) -> Vec<Outcome> {
        self.list
    }
}
