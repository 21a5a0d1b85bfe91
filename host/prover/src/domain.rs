//! All the facts that a question can be asked with, and sets of them.
//!
//! A *cube* is a set of inputs with one range for each fact. Cubes are cut along one fact at a time, so
//! that the pieces are disjoint and together are the whole: their counts add up to its count exactly.

use serde_json::{Map, Value};

use crate::count::Count;
use crate::error::ProveError;
use crate::known::Known;
use crate::types::Type;

/// The host asks with no larger integer: canonical JSON could not say it exactly.
const MOST_EXACT: u64 = (1 << 53) - 1;

/// What a fact can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Words(Vec<String>),
    /// Any of these words.
    Flags(Vec<String>),
    /// `false` or `true`.
    Bool,
    /// From zero to a most.
    Number(u64),
    /// Whether an optional fact is there.
    Presence,
}

/// One fact: a leaf of the record that is asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Where it is in the record.
    pub path: Vec<String>,
    /// What it can be.
    pub kind: Kind,
    /// The fact of [`Kind::Presence`] that says whether it is there at all.
    pub(crate) within: Option<usize>,
}

/// A set of values of one fact, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Range {
    /// The words whose bits are set. For a truth value bit 0 is `false`, bit 1 is `true`.
    Words(u64),
    /// Flags that are known to be clear and set; the others are open.
    Flags {
        /// These are clear.
        clear: u64,
        /// These are set.
        set: u64,
    },
    /// From and to, both in it.
    Number(u64, u64),
}

impl Kind {
    /// Every value there is.
    pub(crate) fn whole(&self) -> Range {
        match self {
            Self::Words(words) => Range::Words(u64::MAX >> (64 - words.len())),
            Self::Flags(_) => Range::Flags { clear: 0, set: 0 },
            Self::Bool | Self::Presence => Range::Words(0b11),
            Self::Number(most) => Range::Number(0, *most),
        }
    }

    /// One value alone.
    pub(crate) fn only(&self, value: u64) -> Range {
        match self {
            Self::Words(_) | Self::Bool | Self::Presence => Range::Words(1 << (value & 63)),
            Self::Flags(_) => Range::Flags {
                clear: self.flag_mask() & !value,
                set: value,
            },
            Self::Number(_) => Range::Number(value, value),
        }
    }

    fn flags(&self) -> u32 {
        match self {
            Self::Flags(words) => words.len() as u32,
            _ => 0,
        }
    }

    /// All bits that a flag may have.
    pub(crate) fn flag_mask(&self) -> u64 {
        (1_u64 << self.flags()) - 1
    }

    pub(crate) fn known(&self, range: &Range) -> Known {
        match range {
            Range::Words(words) => {
                let (mut left, mut known) = (*words, None::<Known>);
                while left != 0 {
                    let each = Known::exactly(u64::from(left.trailing_zeros()));
                    known = Some(known.map_or(each, |known| known.or(each)));
                    left &= left - 1;
                }
                known.unwrap_or(Known::exactly(0))
            }
            Range::Flags { clear, set } => Known::bits(clear | !self.flag_mask(), *set),
            Range::Number(lo, hi) => Known::between(*lo, *hi),
        }
    }

    pub(crate) fn count(&self, range: &Range) -> u128 {
        match range {
            Range::Words(words) => u128::from(words.count_ones()),
            Range::Flags { clear, set } => 1 << (self.flags() - (clear | set).count_ones()),
            Range::Number(lo, hi) => u128::from(hi - lo) + 1,
        }
    }
}

impl Range {
    /// What is in both.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Words(a), Self::Words(b)) => (a & b != 0).then_some(Self::Words(a & b)),
            (
                Self::Flags { clear, set },
                Self::Flags {
                    clear: clear2,
                    set: set2,
                },
            ) => {
                let (clear, set) = (clear | clear2, set | set2);
                (clear & set == 0).then_some(Self::Flags { clear, set })
            }
            (Self::Number(lo, hi), Self::Number(lo2, hi2)) => {
                let (lo, hi) = (*lo.max(lo2), *hi.min(hi2));
                (lo <= hi).then_some(Self::Number(lo, hi))
            }
            _ => None,
        }
    }

    /// Both together, where that is a range.
    pub(crate) fn union(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Words(a), Self::Words(b)) => Some(Self::Words(a | b)),
            (
                Self::Flags { clear, set },
                Self::Flags {
                    clear: clear2,
                    set: set2,
                },
            ) => {
                let differ = clear ^ clear2;
                let one_flag = differ.is_power_of_two() && differ == set ^ set2;
                one_flag.then_some(Self::Flags {
                    clear: clear & clear2,
                    set: set & set2,
                })
            }
            (Self::Number(lo, hi), Self::Number(lo2, hi2)) => {
                if hi.checked_add(1) == Some(*lo2) {
                    Some(Self::Number(*lo, *hi2))
                } else if hi2.checked_add(1) == Some(*lo) {
                    Some(Self::Number(*lo2, *hi))
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    /// The least value in it: the first word, only the flags that are known to be set, the smallest number.
    pub(crate) fn least(&self) -> u64 {
        match self {
            Self::Words(words) => u64::from(words.trailing_zeros()),
            Self::Flags { set, .. } => *set,
            Self::Number(lo, _) => *lo,
        }
    }

    pub(crate) fn admits(&self, value: u64) -> bool {
        match self {
            Self::Words(words) => value < 64 && words >> value & 1 == 1,
            Self::Flags { clear, set } => value & clear == 0 && value & set == *set,
            Self::Number(lo, hi) => (*lo..=*hi).contains(&value),
        }
    }
}

/// A set of inputs: one range for each fact of the domain, in its order.
pub type Cube = Vec<Range>;

/// All inputs of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The facts, in the order of the contract.
    pub facts: Vec<Fact>,
}

impl Domain {
    pub(crate) fn of(function: &str, ty: &Type) -> Result<Self, ProveError> {
        let mut domain = Self { facts: Vec::new() };
        domain.gather(function, ty, &mut Vec::new(), None)?;
        let fits = domain.facts.len() <= 128 && domain.checked_count().is_some();
        fits.then_some(domain).ok_or_else(|| ProveError::TooLarge {
            function: function.to_owned(),
        })
    }

    fn gather(
        &mut self,
        function: &str,
        ty: &Type,
        path: &mut Vec<String>,
        within: Option<usize>,
    ) -> Result<(), ProveError> {
        let endless = |what| {
            Err(ProveError::Endless {
                function: function.to_owned(),
                field: path.join("."),
                what,
            })
        };
        let kind = match ty {
            Type::Bool => Kind::Bool,
            Type::Unsigned(bytes) => Kind::Number((u64::MAX >> (64 - 8 * bytes)).min(MOST_EXACT)),
            Type::Enum(words) => Kind::Words(words.clone()),
            Type::Flags(words) => Kind::Flags(words.clone()),
            Type::String => return endless("a text"),
            Type::List(_) => return endless("a list"),
            Type::Option(inner) => {
                self.push(path, Kind::Presence, within);
                let presence = self.facts.len() - 1;
                return self.gather(function, inner, path, Some(presence));
            }
            Type::Record(fields) => {
                for (name, ty) in fields {
                    path.push(name.clone());
                    self.gather(function, ty, path, within)?;
                    path.pop();
                }
                return Ok(());
            }
        };
        self.push(path, kind, within);
        Ok(())
    }

    fn push(&mut self, path: &[String], kind: Kind, within: Option<usize>) {
        self.facts.push(Fact {
            path: path.to_vec(),
            kind,
            within,
        });
    }

    /// The set of all inputs.
    pub fn whole(&self) -> Cube {
        self.facts.iter().map(|fact| fact.kind.whole()).collect()
    }

    fn checked_count(&self) -> Option<Count> {
        let whole = self.whole();
        // An absent fact adds one value to those of what it would hold: this bounds the count from above.
        let mut facts = self.facts.iter().zip(&whole);
        facts.try_fold(Count::ONE, |count, (fact, range)| {
            count.times(fact.kind.count(range))
        })
    }

    /// How many inputs are in a cube. What an absent fact would hold is not counted.
    pub fn count(&self, cube: &[Range]) -> Count {
        self.count_within(cube, None)
    }

    fn count_within(&self, cube: &[Range], within: Option<usize>) -> Count {
        let mut count = Count::ONE;
        for (index, (fact, range)) in self.facts.iter().zip(cube).enumerate() {
            if fact.within != within {
                continue;
            }
            let product = match (&fact.kind, range) {
                (Kind::Presence, Range::Words(0b01)) => Some(count),
                (Kind::Presence, Range::Words(words)) => {
                    let absent = Count::from(u128::from(words & 1));
                    count.product(absent + self.count_within(cube, Some(index)))
                }
                (kind, range) => count.times(kind.count(range)),
            };
            // The whole domain fits, and so does every part of it.
            count = product.unwrap_or_default();
        }
        count
    }

    /// The inputs that are in both cubes, if there are any.
    pub fn intersection(&self, a: &[Range], b: &[Range]) -> Option<Cube> {
        a.iter().zip(b).map(|(a, b)| a.and(b)).collect()
    }

    /// The smallest input of a cube, as the JSON facts a module is asked with.
    pub fn smallest(&self, cube: &[Range]) -> Value {
        let values: Vec<u64> = cube.iter().map(Range::least).collect();
        self.json(&values)
    }

    /// An input as JSON: one value for each fact.
    pub fn json(&self, values: &[u64]) -> Value {
        let mut facts = Value::Object(Map::new());
        for (index, (fact, value)) in self.facts.iter().zip(values).enumerate() {
            if self.absent(index, values) {
                continue;
            }
            let word = match &fact.kind {
                Kind::Words(words) => words.get(*value as usize).cloned().into(),
                Kind::Flags(words) => flag_words(words, *value).into(),
                Kind::Bool => Value::Bool(*value == 1),
                Kind::Number(_) => Value::from(*value),
                Kind::Presence if *value == 0 => Value::Null,
                Kind::Presence => continue,
            };
            place(&mut facts, &fact.path, word);
        }
        facts
    }

    fn absent(&self, index: usize, values: &[u64]) -> bool {
        let mut within = self.facts[index].within;
        while let Some(presence) = within {
            if values[presence] == 0 {
                return true;
            }
            within = self.facts[presence].within;
        }
        false
    }

    /// What a cube says beyond the whole, fact by fact; `every input` for the whole.
    pub fn words(&self, cube: &[Range]) -> String {
        let said: Vec<String> = self
            .facts
            .iter()
            .zip(cube)
            .filter(|(fact, range)| fact.kind.whole() != **range)
            .flat_map(|(fact, range)| fact.words(range))
            .collect();
        if said.is_empty() {
            "every input".to_owned()
        } else {
            said.join(", ")
        }
    }
}

/// The words of the flags that are set.
pub(crate) fn flag_words(words: &[String], value: u64) -> Vec<String> {
    let named = words.iter().enumerate();
    named
        .filter(|(bit, _)| value >> bit & 1 == 1)
        .map(|(_, word)| word.clone())
        .collect()
}

fn place(into: &mut Value, path: &[String], value: Value) {
    match path {
        [] => *into = value,
        [name, rest @ ..] => {
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            if let Value::Object(map) = into {
                place(map.entry(name.clone()).or_insert(Value::Null), rest, value);
            }
        }
    }
}

impl Fact {
    /// The name as JSON has it: the last of the path.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    fn words(&self, range: &Range) -> Vec<String> {
        let name = self.name();
        match (&self.kind, range) {
            (Kind::Words(words), Range::Words(set)) => {
                let picked = |set| flag_words(words, set);
                let missing = picked(!set);
                if missing.len() < picked(*set).len() && missing.len() < 4 {
                    vec![format!("{name} is not {}", missing.join(" or "))]
                } else {
                    vec![format!("{name}={}", picked(*set).join("|"))]
                }
            }
            (Kind::Flags(words), Range::Flags { clear, set }) => {
                if clear | set == self.kind.flag_mask() {
                    let words = flag_words(words, *set);
                    return vec![match &words[..] {
                        [] => format!("{name} is empty"),
                        _ => format!("{name} is exactly {}", words.join(" ")),
                    }];
                }
                let mut said = Vec::new();
                if *set != 0 {
                    said.push(format!("{name} has {}", flag_words(words, *set).join(" ")));
                }
                if *clear != 0 {
                    said.push(format!(
                        "{name} has no {}",
                        flag_words(words, *clear).join(", no ")
                    ));
                }
                said
            }
            (Kind::Bool, Range::Words(set)) => vec![format!("{name}={}", *set == 0b10)],
            (Kind::Presence, Range::Words(set)) => {
                vec![format!(
                    "{name} is {}",
                    if *set == 0b10 { "there" } else { "absent" }
                )]
            }
            (Kind::Number(most), Range::Number(lo, hi)) => vec![if lo == hi {
                format!("{name}={lo}")
            } else if *hi == *most {
                format!("{name} >= {lo}")
            } else if *lo == 0 {
                format!("{name} <= {hi}")
            } else {
                format!("{name} is {lo} to {hi}")
            }],
            _ => Vec::new(),
        }
    }
}
