//! Values that depend on the input: terms over the facts, and what is known of them in a cube.

use crate::domain::{Cube, Domain, Range};
use crate::integer::{Binary, Unary, Width};
use crate::known::{self, Known};

/// A value of the interpreter: concrete where `term` is 0, else a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Value {
    pub(crate) bits: u64,
    pub(crate) term: u32,
}

impl Value {
    pub(crate) const fn concrete(bits: u64) -> Self {
        Self { bits, term: 0 }
    }

    const fn term(term: u32) -> Self {
        Self { bits: 0, term }
    }

    pub(crate) const fn is_concrete(self) -> bool {
        self.term == 0
    }
}

/// One byte of memory: concrete where `term` is 0, else the byte of a term at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Piece {
    pub(crate) term: u32,
    /// The byte, or which byte of the term.
    pub(crate) byte: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    Input(usize),
    Binary(Binary, Width, Value, Value),
    Unary(Unary, Width, Value),
    /// The first where the condition is not zero, else the second.
    Choice(u32, Value, Value),
    /// Eight bytes, beginning with the lowest.
    Bytes([Piece; 8]),
}

/// The terms of a run, and the cube that they are looked at in.
#[derive(Debug)]
pub(crate) struct Terms<'d> {
    pub(crate) domain: &'d Domain,
    pub(crate) nodes: Vec<Node>,
    /// Which facts a term depends on.
    support: Vec<u128>,
    cube: Cube,
    known: Vec<Known>,
    memo: Vec<(u64, Known)>,
    generation: u64,
}

impl<'d> Terms<'d> {
    pub(crate) fn new(domain: &'d Domain, cube: &[Range]) -> Self {
        let mut terms = Self {
            domain,
            // Term 0 is no term.
            nodes: vec![Node::Input(usize::MAX)],
            support: vec![0],
            cube: Vec::new(),
            known: Vec::new(),
            memo: vec![(0, Known::exactly(0))],
            generation: 1,
        };
        terms.begin(cube);
        terms
    }

    /// Begins anew in another cube.
    pub(crate) fn begin(&mut self, cube: &[Range]) {
        self.forget(1);
        self.cube = cube.to_vec();
        let facts = self.domain.facts.iter().zip(cube);
        self.known = facts.map(|(fact, range)| fact.kind.known(range)).collect();
        self.generation += 1;
    }

    pub(crate) fn range(&self, fact: usize) -> &Range {
        &self.cube[fact]
    }

    /// Looks at another part of the cube from now on.
    pub(crate) fn set_range(&mut self, fact: usize, range: Range) {
        self.known[fact] = self.domain.facts[fact].kind.known(&range);
        self.cube[fact] = range;
        self.generation += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Drops the terms that were made since there were so many.
    pub(crate) fn forget(&mut self, count: usize) {
        self.nodes.truncate(count);
        self.support.truncate(count);
        self.memo.truncate(count);
    }

    pub(crate) fn support(&self, term: u32) -> u128 {
        self.support[term as usize]
    }

    fn support_of(&self, value: Value) -> u128 {
        self.support[value.term as usize]
    }

    fn push(&mut self, node: Node) -> Value {
        let support = match &node {
            Node::Input(fact) => 1 << fact,
            Node::Binary(_, _, a, b) => self.support_of(*a) | self.support_of(*b),
            Node::Unary(_, _, a) => self.support_of(*a),
            Node::Choice(c, a, b) => self.support(*c) | self.support_of(*a) | self.support_of(*b),
            Node::Bytes(pieces) => pieces
                .iter()
                .fold(0, |all, piece| all | self.support(piece.term)),
        };
        let term = self.nodes.len() as u32;
        self.nodes.push(node);
        self.support.push(support);
        self.memo.push((0, Known::exactly(0)));
        // In this cube and in all that are cut from it, the value may already be plain.
        match self.known_of(term).value() {
            Some(value) => {
                self.forget(term as usize);
                Value::concrete(value)
            }
            None => Value::term(term),
        }
    }

    /// The value of a fact.
    pub(crate) fn input(&mut self, fact: usize) -> Value {
        self.push(Node::Input(fact))
    }

    pub(crate) fn choice(&mut self, condition: Value, a: Value, b: Value) -> Value {
        if condition.is_concrete() {
            return if condition.bits == 0 { b } else { a };
        }
        if a == b {
            return a;
        }
        self.push(Node::Choice(condition.term, a, b))
    }

    pub(crate) fn unary(&mut self, op: Unary, width: Width, a: Value) -> Value {
        if op == Unary::Wrap {
            let low = Value::concrete(u64::from(u32::MAX));
            return self.binary(Binary::And, Width::W64, a, low);
        }
        self.push(Node::Unary(op, width, a))
    }

    /// An operator that is not a division, or one that cannot trap.
    pub(crate) fn binary(&mut self, op: Binary, width: Width, a: Value, b: Value) -> Value {
        if let Some(same) = self.simplified(op, a, b) {
            return same;
        }
        self.push(Node::Binary(op, width, a, b))
    }

    /// What an operator leaves as it is, or only moves by whole bytes.
    fn simplified(&mut self, op: Binary, a: Value, b: Value) -> Option<Value> {
        if b.is_concrete() {
            match op {
                Binary::And => {
                    let open = !self.known(a).zeros;
                    if open & !b.bits == 0 {
                        return Some(a);
                    }
                    let whole_bytes = b
                        .bits
                        .to_le_bytes()
                        .iter()
                        .all(|byte| matches!(byte, 0 | 0xff));
                    if let (Node::Bytes(mut pieces), true) =
                        (self.nodes[a.term as usize], whole_bytes)
                    {
                        for (piece, keep) in pieces.iter_mut().zip(b.bits.to_le_bytes()) {
                            if keep == 0 {
                                *piece = Piece::default();
                            }
                        }
                        return Some(self.bytes(pieces));
                    }
                }
                Binary::ShrU if b.bits.is_multiple_of(8) => {
                    if let Node::Bytes(pieces) = self.nodes[a.term as usize] {
                        let mut moved = [Piece::default(); 8];
                        let by = (b.bits as usize % 64) / 8;
                        moved[..8 - by].copy_from_slice(&pieces[by..]);
                        return Some(self.bytes(moved));
                    }
                }
                Binary::Ne | Binary::GtU if b.bits == 0 && self.known(a).hi <= 1 => return Some(a),
                Binary::Add | Binary::Sub | Binary::Or | Binary::Xor | Binary::Shl
                    if b.bits == 0 =>
                {
                    return Some(a);
                }
                _ => {}
            }
        }
        (op == Binary::And && a.is_concrete() && !b.is_concrete())
            .then(|| self.simplified(op, b, a))
            .flatten()
    }

    /// The value of eight bytes.
    pub(crate) fn bytes(&mut self, pieces: [Piece; 8]) -> Value {
        let mut plain = [0; 8];
        let mut from = None;
        for (index, piece) in pieces.iter().enumerate() {
            if piece.term == 0 {
                plain[index] = piece.byte;
            } else if from.is_none() {
                from = Some((index, *piece));
            }
        }
        let Some((index, first)) = from else {
            return Value::concrete(u64::from_le_bytes(plain));
        };
        // The bytes of one term in their order are that term.
        if usize::from(first.byte) == index {
            let whole = self.pieces(Value::term(first.term));
            if whole == pieces {
                return Value::term(first.term);
            }
        }
        self.push(Node::Bytes(pieces))
    }

    /// The eight bytes of a value. Those that are known are plain.
    pub(crate) fn pieces(&mut self, value: Value) -> [Piece; 8] {
        let mut pieces = [Piece::default(); 8];
        if value.is_concrete() {
            for (piece, byte) in pieces.iter_mut().zip(value.bits.to_le_bytes()) {
                piece.byte = byte;
            }
            return pieces;
        }
        if let Node::Bytes(pieces) = self.nodes[value.term as usize] {
            return pieces;
        }
        let known = self.known_of(value.term);
        let fixed = (known.zeros | known.ones).to_le_bytes();
        let ones = known.ones.to_le_bytes();
        for (index, piece) in pieces.iter_mut().enumerate() {
            *piece = if fixed[index] == 0xff {
                Piece {
                    term: 0,
                    byte: ones[index],
                }
            } else {
                Piece {
                    term: value.term,
                    byte: index as u8,
                }
            };
        }
        pieces
    }

    /// What is known of a value in the cube.
    pub(crate) fn known(&mut self, value: Value) -> Known {
        if value.is_concrete() {
            Known::exactly(value.bits)
        } else {
            self.known_of(value.term)
        }
    }

    fn known_of(&mut self, term: u32) -> Known {
        let (generation, known) = self.memo[term as usize];
        if generation == self.generation {
            return known;
        }
        let known = match self.nodes[term as usize] {
            Node::Input(fact) => self.known[fact],
            Node::Binary(op, width, a, b) => {
                let (a, b) = (self.known(a), self.known(b));
                known::binary(op, width, a, b)
            }
            Node::Unary(op, width, a) => {
                let a = self.known(a);
                known::unary(op, width, a)
            }
            Node::Choice(condition, a, b) => {
                let condition = self.known_of(condition);
                if condition.lo > 0 {
                    self.known(a)
                } else if condition.hi == 0 {
                    self.known(b)
                } else {
                    let (a, b) = (self.known(a), self.known(b));
                    a.or(b)
                }
            }
            Node::Bytes(pieces) => self.known_bytes(&pieces),
        };
        self.memo[term as usize] = (self.generation, known);
        known
    }

    fn known_bytes(&mut self, pieces: &[Piece; 8]) -> Known {
        let (mut zeros, mut ones) = (0, 0);
        for (index, piece) in pieces.iter().enumerate() {
            let byte = if piece.term == 0 {
                Known::exactly(u64::from(piece.byte))
            } else {
                self.known_of(piece.term).byte(u32::from(piece.byte))
            };
            zeros |= (byte.zeros & 0xff) << (8 * index);
            ones |= (byte.ones & 0xff) << (8 * index);
        }
        Known::bits(zeros, ones)
    }
}
