//! Where to cut a cube so that a value is decided in the pieces.
//!
//! Any cut is sound: the pieces are disjoint and together are the cube. Which one is made decides only how
//! many cases there are. A cut is looked for that decides the value at once in at least one piece; where
//! there is none, one that decides a part of what the value is made of.

use crate::domain::{Kind, Range};
use crate::known::Known;
use crate::term::{Node, Terms, Value};

/// A number with no more values than this is cut into all of them.
const FEW: u64 = 256;

/// What a value comes to.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The same for every input of the cube.
    Is(u64),
    /// It depends: cut the cube.
    Cut(Cut),
    /// It depends on numbers in a way that no cut decides.
    Stuck(u128),
}

/// A cut along one fact. The parts are disjoint and together are the fact's range in the cube.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) fact: usize,
    pub(crate) parts: Vec<Range>,
}

/// What about a value is asked: its answer, if it is the same for all that the value may be.
pub(crate) type Asked<'a> = &'a dyn Fn(&Known) -> Option<u64>;

/// The value itself.
pub(crate) fn exactly(known: &Known) -> Option<u64> {
    known.value()
}

/// 0 for zero, 1 for all else.
pub(crate) fn truth(known: &Known) -> Option<u64> {
    if known.lo > 0 {
        Some(1)
    } else if known.hi == 0 {
        Some(0)
    } else {
        None
    }
}

/// A cut, and how much of the cube it decides, in permille.
type Candidate = (u32, Cut);

impl Terms<'_> {
    /// What a value comes to in the cube.
    pub(crate) fn decide(&mut self, value: Value, asked: Asked<'_>) -> Decision {
        if let Some(answer) = asked(&self.known(value)) {
            return Decision::Is(answer);
        }
        self.cut(value.term, u64::MAX, asked)
            .unwrap_or_else(|| Decision::Stuck(self.numbers(value.term)))
    }

    /// The open numbers that a term depends on.
    fn numbers(&self, term: u32) -> u128 {
        let facts = self.domain.facts.iter().enumerate();
        facts
            .filter(|(index, fact)| {
                matches!(fact.kind, Kind::Number(_)) && self.support(term) >> index & 1 == 1
            })
            .fold(0, |all, (index, _)| all | 1 << index)
    }

    fn cut(&mut self, term: u32, mask: u64, asked: Asked<'_>) -> Option<Decision> {
        let mut wanted = vec![0; self.domain.facts.len()];
        self.demand(Value { bits: 0, term }, mask, &mut wanted);
        let mut best: Option<Candidate> = None;
        for (fact, wanted) in wanted.iter().enumerate() {
            if *wanted == 0 {
                continue;
            }
            let found = match self.range(fact).clone() {
                Range::Words(words) => self.cut_words(term, fact, words, asked),
                Range::Flags { clear, set } => {
                    self.cut_flags(term, fact, (clear, set), *wanted, asked)
                }
                Range::Number(lo, hi) => self.cut_number(term, fact, (lo, hi), asked),
            };
            match found {
                Some(Ok(candidate)) if best.as_ref().is_none_or(|best| best.0 < candidate.0) => {
                    best = Some(candidate);
                }
                Some(Err(answer)) => return Some(Decision::Is(answer)),
                _ => {}
            }
        }
        match best {
            Some((_, cut)) => Some(Decision::Cut(cut)),
            None => self.cut_inside(term, mask),
        }
    }

    /// No single cut decides the term: decide a part of it.
    fn cut_inside(&mut self, term: u32, mask: u64) -> Option<Decision> {
        let node = self.nodes[term as usize];
        if let Node::Input(fact) = node {
            return self.cut_input(fact, mask).map(Decision::Cut);
        }
        for (part, mask) in self.parts(&node, mask).into_iter().flatten() {
            if part.is_concrete() || mask == 0 || self.known(part).value().is_some() {
                continue;
            }
            // A condition is asked for its truth, everything else for its value.
            let asked: Asked<'_> = match node {
                Node::Choice(condition, ..) if condition == part.term => &truth,
                _ => &exactly,
            };
            if asked(&self.known(part)).is_some() {
                continue;
            }
            match self.cut(part.term, mask, asked) {
                // It is decided as a whole, though not from what is known of its parts: that does not help here.
                Some(Decision::Is(_)) | None => {}
                cut => return cut,
            }
        }
        // Whatever is left open in it, value by value.
        let open = (0..self.domain.facts.len()).filter(|fact| self.support(term) >> fact & 1 == 1);
        open.collect::<Vec<_>>()
            .into_iter()
            .find_map(|fact| self.cut_input(fact, u64::MAX))
            .map(Decision::Cut)
    }

    /// A fact into its values, or one flag of it.
    fn cut_input(&self, fact: usize, mask: u64) -> Option<Cut> {
        if let Some(presence) = self.undecided_presence(fact) {
            return self.cut_input(presence, 1);
        }
        let parts = match *self.range(fact) {
            Range::Words(words) if words.count_ones() > 1 => (0..64)
                .filter(|bit| words >> bit & 1 == 1)
                .map(|bit| Range::Words(1 << bit))
                .collect(),
            Range::Flags { clear, set } => {
                let open = self.domain.facts[fact].kind.flag_mask() & !(clear | set);
                let bit = lowest(open & mask)?;
                flag_parts(clear, set, bit).to_vec()
            }
            Range::Number(lo, hi) if lo < hi && hi - lo < FEW => {
                (lo..=hi).map(|value| Range::Number(value, value)).collect()
            }
            _ => return None,
        };
        Some(Cut { fact, parts })
    }

    /// Whether it is there must be known before what it is.
    fn undecided_presence(&self, fact: usize) -> Option<usize> {
        let presence = self.domain.facts[fact].within?;
        (*self.range(presence) == Range::Words(0b11)).then_some(presence)
    }

    /// The answer in a part of the cube.
    fn answer_in(&mut self, term: u32, fact: usize, part: Range, asked: Asked<'_>) -> Option<u64> {
        let whole = self.range(fact).clone();
        self.set_range(fact, part);
        let answer = asked(&self.known(Value { bits: 0, term }));
        self.set_range(fact, whole);
        answer
    }

    /// Words that give the same answer stay together. `Err`: all of them give the same.
    fn cut_words(
        &mut self,
        term: u32,
        fact: usize,
        words: u64,
        asked: Asked<'_>,
    ) -> Option<Result<Candidate, u64>> {
        if words.count_ones() < 2 {
            return None;
        }
        let mut groups: Vec<(Option<u64>, u64)> = Vec::new();
        for bit in (0..64).filter(|bit| words >> bit & 1 == 1) {
            let answer = self.answer_in(term, fact, Range::Words(1 << bit), asked);
            match groups.iter_mut().find(|(other, _)| *other == answer) {
                Some((_, group)) => *group |= 1 << bit,
                None => groups.push((answer, 1 << bit)),
            }
        }
        match groups[..] {
            [(Some(answer), _)] => return Some(Err(answer)),
            [(None, _)] => return None,
            _ => {}
        }
        let decided = groups.iter().filter(|(answer, _)| answer.is_some());
        let decided: u32 = decided.map(|(_, group)| group.count_ones()).sum();
        let parts = groups
            .iter()
            .map(|(_, group)| Range::Words(*group))
            .collect();
        Some(Ok((
            decided * 1000 / words.count_ones(),
            Cut { fact, parts },
        )))
    }

    fn cut_flags(
        &mut self,
        term: u32,
        fact: usize,
        (clear, set): (u64, u64),
        wanted: u64,
        asked: Asked<'_>,
    ) -> Option<Result<Candidate, u64>> {
        let mut best: Option<Candidate> = None;
        let mut open = self.domain.facts[fact].kind.flag_mask() & !(clear | set) & wanted;
        while let Some(bit) = lowest(open) {
            open &= !bit;
            let parts = flag_parts(clear, set, bit);
            let answers = parts
                .clone()
                .map(|part| self.answer_in(term, fact, part, asked));
            let decided = match answers {
                [Some(a), Some(b)] if a == b => return Some(Err(a)),
                [Some(_), Some(_)] => 1000,
                [None, None] => continue,
                _ => 500,
            };
            if best.as_ref().is_none_or(|best| best.0 < decided) {
                let parts = parts.to_vec();
                best = Some((decided, Cut { fact, parts }));
            }
        }
        best.map(Ok)
    }

    fn cut_number(
        &mut self,
        term: u32,
        fact: usize,
        (lo, hi): (u64, u64),
        asked: Asked<'_>,
    ) -> Option<Result<Candidate, u64>> {
        if lo == hi || self.undecided_presence(fact).is_some() {
            return None;
        }
        let mut points = Vec::new();
        self.constants(term, fact, &mut points);
        let flip = self.flip(term, fact, (lo, hi), asked);
        points.extend(flip);
        points.retain(|point| lo < *point && *point <= hi);
        points.sort_unstable();
        points.dedup();
        let mut best: Option<Candidate> = None;
        for point in points {
            let parts = [Range::Number(lo, point - 1), Range::Number(point, hi)];
            let answers = parts
                .clone()
                .map(|part| self.answer_in(term, fact, part, asked));
            let decided = match answers {
                [Some(a), Some(b)] if a == b => return Some(Err(a)),
                [Some(_), Some(_)] => 1000,
                // Constants come to an end. Flips might not: those of `x % 2` are as many as there are numbers.
                [None, None] => continue,
                _ if Some(point) == flip => continue,
                _ => 500,
            };
            if best.as_ref().is_none_or(|best| best.0 < decided) {
                let parts = parts.to_vec();
                best = Some((decided, Cut { fact, parts }));
            }
        }
        best.map(Ok)
    }

    /// A number at which the answer changes, by bisection, where the ends differ.
    fn flip(&mut self, term: u32, fact: usize, ends: (u64, u64), asked: Asked<'_>) -> Option<u64> {
        let mut answer = |value| self.answer_in(term, fact, Range::Number(value, value), asked);
        let (mut lo, mut hi) = ends;
        let below = answer(lo)?;
        if answer(hi)? == below {
            return None;
        }
        while hi - lo > 1 {
            let middle = lo + (hi - lo) / 2;
            if answer(middle)? == below {
                lo = middle;
            } else {
                hi = middle;
            }
        }
        Some(hi)
    }

    /// The numbers at which comparisons with constants change, as far as they can be told.
    fn constants(&self, term: u32, fact: usize, points: &mut Vec<u64>) {
        if self.support(term) >> fact & 1 == 0 {
            return;
        }
        match &self.nodes[term as usize] {
            Node::Input(_) => {}
            Node::Binary(op, _, a, b) => {
                for (one, other) in [(a, b), (b, a)] {
                    if op.compares() && other.is_concrete() {
                        let edges = vec![other.bits, other.bits.wrapping_add(1)];
                        self.solve(one.term, fact, edges, points);
                    }
                    self.constants(one.term, fact, points);
                }
            }
            Node::Unary(op, _, a) => {
                if *op == crate::integer::Unary::Eqz {
                    self.solve(a.term, fact, vec![1], points);
                }
                self.constants(a.term, fact, points);
            }
            Node::Choice(condition, a, b) => {
                self.constants(*condition, fact, points);
                self.constants(a.term, fact, points);
                self.constants(b.term, fact, points);
            }
            Node::Bytes(pieces) => {
                for piece in pieces {
                    self.constants(piece.term, fact, points);
                }
            }
        }
    }

    /// For which numbers a term takes one of these values, or wraps around. A guess that is wrong only
    /// makes a cut that is not taken.
    fn solve(&self, term: u32, fact: usize, edges: Vec<u64>, points: &mut Vec<u64>) {
        use crate::integer::Binary;
        if self.support(term) >> fact & 1 == 0 {
            return;
        }
        match &self.nodes[term as usize] {
            Node::Input(_) => points.extend(edges),
            Node::Binary(op, width, a, b) if b.is_concrete() => {
                let (k, mask) = (b.bits, width.mask());
                let mut before: Vec<u64> = edges
                    .iter()
                    .map(|edge| match op {
                        Binary::Add => edge.wrapping_sub(k) & mask,
                        Binary::Sub => edge.wrapping_add(k) & mask,
                        Binary::Mul => edge.div_ceil(k.max(1)),
                        Binary::DivU => edge.saturating_mul(k),
                        Binary::Shl => edge >> (k & 63),
                        Binary::ShrU => edge.wrapping_shl(k as u32) & mask,
                        _ => *edge,
                    })
                    .collect();
                match op {
                    Binary::Add => before.push(0_u64.wrapping_sub(k) & mask),
                    Binary::Sub => before.push(k),
                    _ => {}
                }
                self.solve(a.term, fact, before, points);
            }
            Node::Choice(_, a, b) => {
                self.solve(a.term, fact, edges.clone(), points);
                self.solve(b.term, fact, edges, points);
            }
            _ => points.extend(edges),
        }
    }

    /// Which bits of which facts a value may depend on in the cube, gathered into `wanted`.
    fn demand(&mut self, value: Value, mask: u64, wanted: &mut [u64]) {
        if value.is_concrete() || mask == 0 || self.known(value).value().is_some() {
            return;
        }
        let node = self.nodes[value.term as usize];
        if let Node::Input(fact) = node {
            wanted[fact] |= mask;
            return;
        }
        for (part, mask) in self.parts(&node, mask).into_iter().flatten() {
            self.demand(part, mask, wanted);
        }
    }

    /// What a node is made of, and which bits of that matter if those of `mask` matter of the node.
    fn parts(&mut self, node: &Node, mask: u64) -> [Option<(Value, u64)>; 8] {
        use crate::integer::{Binary, Unary};
        let mut parts = [None; 8];
        match *node {
            Node::Input(_) => {}
            Node::Binary(op, width, a, b) => {
                let amount = b
                    .is_concrete()
                    .then_some(b.bits & u64::from(width.bits() - 1));
                let (for_a, for_b) = match (op, amount) {
                    (Binary::And, _) => (mask & !self.known(b).zeros, mask & !self.known(a).zeros),
                    (Binary::Or, _) => (mask & !self.known(b).ones, mask & !self.known(a).ones),
                    (Binary::Xor, _) => (mask, mask),
                    (Binary::Shl, Some(by)) => (mask >> by, 0),
                    (Binary::ShrU, Some(by)) => (mask << by & width.mask(), 0),
                    (op, _) if op.compares() && mask & 1 == 0 => (0, 0),
                    _ => (u64::MAX, u64::MAX),
                };
                parts[0] = Some((a, for_a));
                parts[1] = Some((b, for_b));
            }
            Node::Unary(op, _, a) => {
                let low = match op {
                    Unary::Extend8S => 0xff,
                    Unary::Extend16S => 0xffff,
                    Unary::Extend32S | Unary::Wrap => u64::from(u32::MAX),
                    _ => u64::MAX,
                };
                parts[0] = Some((a, low));
            }
            Node::Choice(condition, a, b) => {
                let condition = Value {
                    bits: 0,
                    term: condition,
                };
                let known = truth(&self.known(condition));
                parts[0] = Some((condition, u64::MAX));
                parts[1] = (known != Some(0)).then_some((a, mask));
                parts[2] = (known != Some(1)).then_some((b, mask));
            }
            Node::Bytes(pieces) => {
                for (index, piece) in pieces.iter().enumerate() {
                    let part = Value {
                        bits: 0,
                        term: piece.term,
                    };
                    let byte = mask >> (8 * index) & 0xff;
                    parts[index] = Some((part, byte << (8 * piece.byte.min(7))));
                }
            }
        }
        parts
    }
}

const fn lowest(bits: u64) -> Option<u64> {
    if bits == 0 {
        None
    } else {
        Some(bits & bits.wrapping_neg())
    }
}

fn flag_parts(clear: u64, set: u64, bit: u64) -> [Range; 2] {
    [
        Range::Flags {
            clear: clear | bit,
            set,
        },
        Range::Flags {
            clear,
            set: set | bit,
        },
    ]
}
