//! Terms as text: two numbers with the same formula are the same for every input.

use std::fmt::Write as _;

use crate::domain::Kind;
use crate::split::truth;
use crate::term::{Node, Terms, Value};

/// Where a formula is cut off; longer ones are not used.
const LONG: usize = 8_000;

impl Terms<'_> {
    /// Whether a term depends on a number that is open in the cube.
    pub(crate) fn depends_on_numbers(&self, term: u32) -> bool {
        let facts = self.domain.facts.iter().enumerate();
        let mut open = facts.filter(|(index, fact)| {
            matches!(fact.kind, Kind::Number(_)) && fact.kind.count(self.range(*index)) > 1
        });
        open.any(|(index, _)| self.support(term) >> index & 1 == 1)
    }

    /// Writes what a value is computed by.
    pub(crate) fn write(&mut self, value: Value, text: &mut String) {
        if let Some(number) = self.known(value).value() {
            let _ = write!(text, "{number}");
            return;
        }
        if text.len() > LONG {
            return;
        }
        // Writing to a String cannot fail.
        match self.nodes[value.term as usize] {
            Node::Input(fact) => text.push_str(&self.domain.facts[fact].path.join(".")),
            Node::Binary(op, width, a, b) => {
                let _ = write!(text, "({op:?}{} ", width.bits());
                self.write(a, text);
                text.push(' ');
                self.write(b, text);
                text.push(')');
            }
            Node::Unary(op, width, a) => {
                let _ = write!(text, "({op:?}{} ", width.bits());
                self.write(a, text);
                text.push(')');
            }
            Node::Choice(condition, a, b) => {
                let condition = Value {
                    bits: 0,
                    term: condition,
                };
                match truth(&self.known(condition)) {
                    Some(0) => self.write(b, text),
                    Some(_) => self.write(a, text),
                    None => {
                        text.push_str("(If ");
                        self.write(condition, text);
                        text.push(' ');
                        self.write(a, text);
                        text.push(' ');
                        self.write(b, text);
                        text.push(')');
                    }
                }
            }
            Node::Bytes(pieces) => {
                text.push_str("(Bytes");
                for piece in pieces {
                    if piece.term == 0 {
                        let _ = write!(text, " {}", piece.byte);
                    } else {
                        let _ = write!(text, " {}@", piece.byte);
                        let part = Value {
                            bits: 0,
                            term: piece.term,
                        };
                        self.write(part, text);
                    }
                }
                text.push(')');
            }
        }
    }
}
