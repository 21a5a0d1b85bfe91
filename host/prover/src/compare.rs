//! Two modules over one whole domain: where they rule alike, and every input where they do not.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::change::{Change, difference};
use crate::count::Count;
use crate::domain::{Cube, Domain, Range};
use crate::error::ProveError;
use crate::explore::evaluate;
use crate::module::Module;
use crate::tidy::tidy;
use crate::tree::{Node, Rulings};

/// What the second module is, set beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same rulings for every input.
    Equivalent,
    /// The same in all that has an effect; other reasons or rules are given for some inputs.
    EquivalentInEffect,
    /// It allows only what the first allows, and denies more.
    Stricter,
    /// It denies only what the first denies, and allows more.
    Looser,
    /// Neither.
    Different,
    /// They are alike but for numbers whose formulas are not the same text.
    Undecided,
}

impl Relation {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::EquivalentInEffect => "equivalent in effect",
            Self::Stricter => "stricter",
            Self::Looser => "looser",
            Self::Different => "different",
            Self::Undecided => "undecided",
        }
    }

    /// What two functions are together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        use Relation::{Different, Equivalent, EquivalentInEffect, Undecided};
        match (self, other) {
            (a, b) if a == b => a,
            (Different, _) | (_, Different) => Different,
            (Undecided, _) | (_, Undecided) => Undecided,
            (Equivalent | EquivalentInEffect, other) | (other, Equivalent | EquivalentInEffect) => {
                if other == Equivalent {
                    EquivalentInEffect
                } else {
                    other
                }
            }
            _ => Different,
        }
    }

    fn of(changes: impl Iterator<Item = Change>) -> Self {
        changes.fold(Self::Equivalent, |relation, change| {
            relation.and(match change {
                Change::Gains => Self::Looser,
                Change::Loses => Self::Stricter,
                Change::Reason => Self::EquivalentInEffect,
                Change::Formula => Self::Undecided,
                Change::Both | Change::Terms | Change::Failure => Self::Different,
            })
        })
    }
}

/// All inputs with one difference.
#[derive(Clone, Debug)]
pub struct Group {
    /// What becomes of the ruling.
    pub change: Change,
    /// The first module's ruling in a few words.
    pub from: String,
    /// The second's.
    pub to: String,
    /// How many inputs.
    pub inputs: Count,
    /// A number is computed by another formula, and may be the same for some of these inputs.
    pub at_most: bool,
    /// Disjoint cubes that together are these inputs, the largest first.
    pub cubes: Vec<Cube>,
    /// The smallest input, as JSON facts.
    pub example: Value,
}

/// One function of two modules.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The function.
    pub function: String,
    /// How many inputs it has.
    pub inputs: Count,
    /// Of how many it was held against each other; equal to `inputs`.
    pub compared: Count,
    /// In how many cubes.
    pub cubes: usize,
    /// What the second is beside the first.
    pub relation: Relation,
    /// Every difference.
    pub groups: Vec<Group>,
}

/// Compares what two modules rule on one question.
///
/// # Errors
/// When the two are asked with different facts.
pub fn compare(a: &Rulings, b: &Rulings) -> Result<Comparison, ProveError> {
    if a.domain != b.domain {
        return Err(ProveError::Families {
            a: a.function.clone(),
            b: format!("{} with other facts", b.function),
        });
    }
    let mut walk = Walk {
        domain: &a.domain,
        alike: alike(a, b),
        differing: HashMap::new(),
        compared: Count::ZERO,
        cubes: 0,
    };
    walk.both(&a.root, &b.root, &mut a.domain.whole());
    let mut groups: BTreeMap<_, Vec<Cube>> = BTreeMap::new();
    for ((x, y), cubes) in walk.differing {
        if let Some(difference) = difference(&a.outcomes[x as usize], &b.outcomes[y as usize]) {
            groups.entry(difference).or_default().extend(cubes);
        }
    }
    let groups: Vec<Group> = groups
        .into_iter()
        .map(|(difference, cubes)| {
            let (cubes, inputs) = tidy(&a.domain, cubes);
            Group {
                change: difference.change,
                from: difference.from,
                to: difference.to,
                inputs,
                at_most: difference.change == Change::Formula,
                example: a.domain.smallest(smallest(&cubes)),
                cubes,
            }
        })
        .collect();
    Ok(Comparison {
        function: a.function.clone(),
        inputs: a.inputs(),
        compared: walk.compared,
        cubes: walk.cubes,
        relation: Relation::of(groups.iter().map(|group| group.change)),
        groups,
    })
}

impl Comparison {
    /// Looks at some inputs of the groups that differ in a formula: where the numbers differ for one of them,
    /// the two modules are different. `b` and `a` are the modules that were compared.
    ///
    /// # Errors
    /// When a module cannot be followed, which it was before.
    pub fn settle(&mut self, a: &Module, b: &Module) -> Result<(), ProveError> {
        let (first, second) = (a.function(&self.function)?, b.function(&self.function)?);
        let Ok(domain) = &first.domain else {
            return Ok(());
        };
        for group in self
            .groups
            .iter_mut()
            .filter(|group| group.change == Change::Formula)
        {
            for values in group.cubes.iter().take(64).flat_map(|cube| points(cube)) {
                let ruled = evaluate(a, first, &values)?.outcome;
                if ruled != evaluate(b, second, &values)?.outcome {
                    group.change = Change::Terms;
                    group.example = domain.json(&values);
                    break;
                }
            }
        }
        self.relation = Relation::of(self.groups.iter().map(|group| group.change));
        Ok(())
    }
}

/// The smallest input of a cube, the largest numbers, and numbers in between.
fn points(cube: &[Range]) -> Vec<Vec<u64>> {
    let shares: [u32; 4] = [0, 64, 4, 32];
    let point = |share: u32| {
        let value = |range: &Range| match range {
            Range::Number(lo, hi) if share > 0 => {
                lo + (hi - lo).checked_shr(64 - share).unwrap_or(0)
            }
            other => other.least(),
        };
        cube.iter().map(value).collect()
    };
    shares.into_iter().map(point).collect()
}

/// For each outcome of the first, which outcome of the second is the same.
fn alike(a: &Rulings, b: &Rulings) -> Vec<Option<u32>> {
    let numbers: HashMap<_, _> = b.outcomes.iter().zip(0..).collect();
    let found = a
        .outcomes
        .iter()
        .map(|outcome| numbers.get(outcome).copied());
    found.collect()
}

struct Walk<'a> {
    domain: &'a Domain,
    alike: Vec<Option<u32>>,
    differing: HashMap<(u32, u32), Vec<Cube>>,
    compared: Count,
    cubes: usize,
}

impl Walk<'_> {
    fn both(&mut self, a: &Node, b: &Node, cube: &mut Cube) {
        let (a, b) = (inside(a, cube), inside(b, cube));
        match (a, b) {
            (Node::Leaf(x), Node::Leaf(y)) => {
                self.compared += self.domain.count(cube);
                self.cubes += 1;
                if self.alike[*x as usize] != Some(*y) {
                    self.differing
                        .entry((*x, *y))
                        .or_default()
                        .push(cube.clone());
                }
            }
            (Node::Cut { fact, parts }, _) => {
                self.each(*fact, parts, cube, &mut |walk, part, cube| {
                    walk.both(part, b, cube)
                });
            }
            (_, Node::Cut { fact, parts }) => {
                self.each(*fact, parts, cube, &mut |walk, part, cube| {
                    walk.both(a, part, cube)
                });
            }
        }
    }

    fn each(
        &mut self,
        fact: usize,
        parts: &[(Range, Node)],
        cube: &mut Cube,
        go_on: &mut dyn FnMut(&mut Self, &Node, &mut Cube),
    ) {
        for (range, part) in parts {
            if let Some(inside) = cube[fact].and(range) {
                let whole = std::mem::replace(&mut cube[fact], inside);
                go_on(self, part, cube);
                cube[fact] = whole;
            }
        }
    }
}

/// The node that a cube is in, past every cut that has only one part of it.
fn inside<'n>(mut node: &'n Node, cube: &[Range]) -> &'n Node {
    while let Node::Cut { fact, parts } = node {
        let mut within = parts
            .iter()
            .filter(|(range, _)| cube[*fact].and(range).is_some());
        match (within.next(), within.next()) {
            (Some((_, part)), None) => node = part,
            _ => break,
        }
    }
    node
}

/// The cube with the smallest input: the fewest things said in it.
pub(crate) fn smallest(cubes: &[Cube]) -> &[Range] {
    let weight = |cube: &Cube| {
        let values: Vec<u64> = cube.iter().map(Range::least).collect();
        let said: u32 = cube
            .iter()
            .zip(&values)
            .map(|(range, value)| match range {
                Range::Flags { .. } => value.count_ones(),
                _ => u32::from(*value != 0),
            })
            .sum();
        (said, values)
    };
    cubes
        .iter()
        .min_by_key(|cube| weight(cube))
        .map_or(&[], Vec::as_slice)
}
