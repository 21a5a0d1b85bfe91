//! The canonical ABI: facts into core values, and core values into a ruling as JSON.

use crate::machine::{Machine, Stop};
use crate::split::{self, Decision, truth};
use crate::term::{Node, Value};
use crate::types::{Type, align};

/// More core values than this are passed in memory.
pub(crate) const MOST_FLAT_PARAMS: usize = 16;

/// What a formula in a ruling begins with: a number that depends on numbers.
pub(crate) const FORMULA: &str = "= ";

/// Longer formulas are not written.
const MOST_FORMULA: usize = 4_000;

const INVALID: Stop = Stop::Trapped("invalid_answer");

/// One core value of the facts, and where it stands when they are passed in memory.
struct Placed {
    offset: u32,
    bytes: u32,
    value: Value,
    /// The value is there only where this is not zero.
    presence: Option<Value>,
}

struct Lowering<'a, 'm, 'd> {
    machine: &'a mut Machine<'m, 'd>,
    next: usize,
    placed: Vec<Placed>,
}

impl Lowering<'_, '_, '_> {
    fn place(&mut self, offset: u32, bytes: u32, presence: Option<Value>) -> Value {
        let value = self.machine.terms.input(self.next);
        self.next += 1;
        self.placed.push(Placed {
            offset,
            bytes,
            value,
            presence,
        });
        value
    }

    fn lower(&mut self, ty: &Type, offset: u32, presence: Option<Value>) {
        match ty {
            Type::Record(fields) => {
                let mut at = offset;
                for (_, ty) in fields {
                    at = align(at, ty.alignment());
                    self.lower(ty, at, presence);
                    at += ty.size();
                }
            }
            Type::Option(inner) => {
                let there = self.place(offset, 1, presence);
                let there = match presence {
                    Some(outer) => self.machine.terms.choice(outer, there, Value::default()),
                    None => there,
                };
                let payload = offset + align(1, inner.alignment());
                self.lower(inner, payload, Some(there));
            }
            // Texts and lists are no facts of a domain.
            other => {
                self.place(offset, other.size(), presence);
            }
        }
    }
}

/// The facts as core values.
pub(crate) fn flat(machine: &mut Machine<'_, '_>, ty: &Type) -> Vec<Value> {
    let placed = lowered(machine, ty);
    placed
        .into_iter()
        .map(|each| match each.presence {
            Some(presence) => machine.terms.choice(presence, each.value, Value::default()),
            None => each.value,
        })
        .collect()
}

fn lowered(machine: &mut Machine<'_, '_>, ty: &Type) -> Vec<Placed> {
    let mut lowering = Lowering {
        machine,
        next: 0,
        placed: Vec::new(),
    };
    lowering.lower(ty, 0, None);
    lowering.placed
}

/// The facts, written into memory at an address that the module gave.
pub(crate) fn write(machine: &mut Machine<'_, '_>, ty: &Type, at: u64) -> Result<(), Stop> {
    if !at.is_multiple_of(u64::from(ty.alignment())) {
        return Err(INVALID);
    }
    for each in lowered(machine, ty) {
        let (at, len) = (at + u64::from(each.offset), each.bytes as usize);
        let value = match each.presence {
            // What is absent is not written: there stays what was there.
            Some(presence) => {
                let before = machine.memory.load(&mut machine.terms, at, len);
                let before = before.map_err(|_| INVALID)?;
                machine.terms.choice(presence, each.value, before)
            }
            None => each.value,
        };
        let stored = machine.memory.store(&mut machine.terms, at, len, value);
        stored.map_err(|_| INVALID)?;
    }
    Ok(())
}

/// The answer of a function as JSON text, in the order of the contract.
pub(crate) fn lift(machine: &mut Machine<'_, '_>, ty: &Type) -> Result<String, Stop> {
    let result = machine.results().first().copied().unwrap_or_default();
    let mut lifting = Lifting {
        machine,
        json: String::new(),
    };
    if ty.flat() <= 1 {
        lifting.flat(ty, result)?;
    } else {
        let at = lifting.machine.plain(result, "the address of the answer")?;
        lifting.aligned(at, ty)?;
        lifting.stored(ty, at)?;
    }
    Ok(lifting.json)
}

struct Lifting<'a, 'm, 'd> {
    machine: &'a mut Machine<'m, 'd>,
    json: String,
}

impl Lifting<'_, '_, '_> {
    /// In bounds, and where such a value may begin.
    fn aligned(&self, at: u64, ty: &Type) -> Result<(), Stop> {
        let fits = at + u64::from(ty.size()) <= self.machine.memory.size() as u64;
        let aligned = at.is_multiple_of(u64::from(ty.alignment()));
        if fits && aligned {
            Ok(())
        } else {
            Err(INVALID)
        }
    }

    fn load(&mut self, at: u64, len: usize) -> Result<Value, Stop> {
        let machine = &mut *self.machine;
        machine
            .memory
            .load(&mut machine.terms, at, len)
            .map_err(|_| INVALID)
    }

    fn word(&mut self, at: u64, len: usize) -> Result<u64, Stop> {
        let value = self.load(at, len)?;
        self.machine.plain(value, "the answer")
    }

    fn stored(&mut self, ty: &Type, at: u64) -> Result<(), Stop> {
        match ty {
            Type::Record(fields) => {
                let mut place = at as u32;
                for (index, (name, ty)) in fields.iter().enumerate() {
                    self.json.push(if index == 0 { '{' } else { ',' });
                    self.json.push('"');
                    self.json.push_str(name);
                    self.json.push_str("\":");
                    place = at as u32 + align(place - at as u32, ty.alignment());
                    self.stored(ty, u64::from(place))?;
                    place += ty.size();
                }
                self.json
                    .push_str(if fields.is_empty() { "{}" } else { "}" });
                Ok(())
            }
            Type::Option(inner) => match self.word(at, 1)? {
                0 => {
                    self.json.push_str("null");
                    Ok(())
                }
                1 => self.stored(inner, at + u64::from(align(1, inner.alignment()))),
                _ => Err(INVALID),
            },
            Type::String => self.text(at),
            Type::List(item) => self.list(item, at),
            scalar => {
                let value = self.load(at, scalar.size() as usize)?;
                self.flat(scalar, value)
            }
        }
    }

    fn text(&mut self, at: u64) -> Result<(), Stop> {
        let (start, len) = (self.word(at, 4)?, self.word(at + 4, 4)?);
        if start + len > self.machine.memory.size() as u64 {
            return Err(INVALID);
        }
        let mut bytes = Vec::with_capacity(len as usize);
        for offset in 0..len {
            bytes.push(self.word(start + offset, 1)? as u8);
        }
        let text = String::from_utf8(bytes).map_err(|_| INVALID)?;
        self.json
            .push_str(&serde_json::Value::from(text).to_string());
        Ok(())
    }

    fn list(&mut self, item: &Type, at: u64) -> Result<(), Stop> {
        let (start, len) = (self.word(at, 4)?, self.word(at + 4, 4)?);
        let end = len
            .checked_mul(u64::from(item.size()))
            .map(|size| start + size);
        let fits = end.is_some_and(|end| end <= self.machine.memory.size() as u64);
        if !fits || !start.is_multiple_of(u64::from(item.alignment())) {
            return Err(INVALID);
        }
        self.json.push('[');
        for index in 0..len {
            if index > 0 {
                self.json.push(',');
            }
            self.stored(item, start + index * u64::from(item.size()))?;
        }
        self.json.push(']');
        Ok(())
    }

    /// A value that is one core value.
    fn flat(&mut self, ty: &Type, value: Value) -> Result<(), Stop> {
        match ty {
            Type::Bool => {
                let holds = self.machine.ask(value, &truth, "the answer")? != 0;
                self.json.push_str(if holds { "true" } else { "false" });
            }
            Type::Enum(words) => {
                let code = self.machine.plain(value, "the answer")? as usize;
                let word = words.get(code).ok_or(INVALID)?;
                self.json.push('"');
                self.json.push_str(word);
                self.json.push('"');
            }
            Type::Flags(words) => {
                let bits = self.machine.plain(value, "the answer")?;
                let named = crate::domain::flag_words(words, bits);
                self.json.push('[');
                for (index, word) in named.iter().enumerate() {
                    self.json.push_str(if index == 0 { "\"" } else { ",\"" });
                    self.json.push_str(word);
                    self.json.push('"');
                }
                self.json.push(']');
            }
            Type::Unsigned(_) => {
                let text = self.number(value)?;
                self.json.push_str(&text);
            }
            Type::Record(fields) => {
                // One core value: one field.
                for (name, ty) in fields {
                    self.json.push_str(&format!("{{\"{name}\":"));
                    self.flat(ty, value)?;
                    self.json.push('}');
                }
            }
            Type::String | Type::List(_) | Type::Option(_) => return Err(INVALID),
        }
        Ok(())
    }

    /// A number, or the formula that it is.
    fn number(&mut self, value: Value) -> Result<String, Stop> {
        if let Some(number) = self.machine.terms.known(value).value() {
            return Ok(number.to_string());
        }
        if let Some(cut) = self.undecided(value) {
            return Err(Stop::Cut(cut));
        }
        if !self.machine.terms.depends_on_numbers(value.term) {
            return Ok(self.machine.plain(value, "the answer")?.to_string());
        }
        let mut formula = String::from(FORMULA);
        self.machine.terms.write(value, &mut formula);
        if formula.len() > MOST_FORMULA {
            self.machine.plain(value, "a number of the answer")?;
        }
        Ok(serde_json::Value::from(formula).to_string())
    }

    /// A cut that decides a choice inside a number, so that formulas stay plain.
    fn undecided(&mut self, value: Value) -> Option<split::Cut> {
        if value.is_concrete() {
            return None;
        }
        let terms = &mut self.machine.terms;
        match terms.nodes[value.term as usize] {
            Node::Choice(condition, a, b) => {
                let condition = Value {
                    bits: 0,
                    term: condition,
                };
                match terms.decide(condition, &truth) {
                    Decision::Cut(cut) => Some(cut),
                    Decision::Is(0) => self.undecided(b),
                    Decision::Is(_) => self.undecided(a),
                    Decision::Stuck(_) => self.undecided(a).or_else(|| self.undecided(b)),
                }
            }
            Node::Binary(_, _, a, b) => self.undecided(a).or_else(|| self.undecided(b)),
            Node::Unary(_, _, a) => self.undecided(a),
            Node::Input(_) | Node::Bytes(_) => None,
        }
    }
}
