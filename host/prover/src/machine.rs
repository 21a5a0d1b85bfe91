//! The interpreter: core WebAssembly over values that may depend on the input.
//!
//! It runs as any interpreter does while values are plain. Where a plain value is needed and it depends on
//! the input, it stops *before* the operator and says which cut of the cube would decide it; the same
//! state then goes on in each part.

use crate::code::{Module, Op, Target};
use crate::integer::{self, Binary, Undefined, Width};
use crate::memory::{Memory, OutOfBounds};
use crate::split::{Asked, Cut, Decision, exactly, truth};
use crate::term::{Terms, Value};

/// Calls nested deeper than this are not followed: the engine's own stack ends somewhere near.
pub(crate) const MOST_FRAMES: usize = 1_000;

/// Why a run has stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The called function has returned.
    Returned,
    /// The cube must be cut.
    Cut(Cut),
    /// It trapped, with the code as the engine names it.
    Trapped(&'static str),
    /// It burnt its fuel.
    OutOfFuel,
    /// It needs a value that no cut decides.
    Stuck {
        /// The numbers it depends on.
        facts: u128,
        /// What needs the value.
        operator: &'static str,
    },
    /// It has come to an operator that is not followed.
    Unsupported(u32),
    /// Calls are nested too deep.
    TooDeep,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The caller's.
    pc: u32,
    base: u32,
    results: u32,
    code: u32,
}

/// What is taken back when a run goes on in another part of the cube; memory has its own trail.
#[derive(Debug)]
pub(crate) struct Snapshot {
    stack: Vec<Value>,
    frames: Vec<Frame>,
    globals: Vec<Value>,
    position: Position,
    terms: usize,
    mark: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    pc: u32,
    base: u32,
    code: u32,
    results: u32,
    fuel: u64,
}

/// A core module instance in the middle of a run.
#[derive(Debug)]
pub(crate) struct Machine<'m, 'd> {
    module: &'m Module,
    pub(crate) terms: Terms<'d>,
    pub(crate) memory: Memory,
    stack: Vec<Value>,
    frames: Vec<Frame>,
    globals: Vec<Value>,
    at: Position,
    budget: u64,
}

impl<'m, 'd> Machine<'m, 'd> {
    pub(crate) fn new(module: &'m Module, terms: Terms<'d>, budget: u64) -> Self {
        Self {
            module,
            terms,
            memory: Memory::new(&module.memory, module.most_memory),
            stack: Vec::new(),
            frames: Vec::new(),
            globals: Vec::new(),
            at: Position::default(),
            budget,
        }
    }

    /// A fresh instance, its memory as the module declares it.
    pub(crate) fn reset(&mut self) {
        self.memory.undo(0);
        self.stack.clear();
        self.frames.clear();
        let globals = self.module.globals.iter();
        self.globals = globals.map(|bits| Value::concrete(*bits)).collect();
        self.at = Position::default();
    }

    pub(crate) fn fuel(&self) -> u64 {
        self.at.fuel
    }

    /// The index of the core function that is running.
    pub(crate) fn running(&self) -> u32 {
        self.at.code
    }

    /// What the called function returned.
    pub(crate) fn results(&self) -> &[Value] {
        &self.stack
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            stack: self.stack.clone(),
            frames: self.frames.clone(),
            globals: self.globals.clone(),
            position: self.at,
            terms: self.terms.count(),
            mark: self.memory.mark(),
        }
    }

    pub(crate) fn restore(&mut self, to: &Snapshot) {
        self.memory.undo(to.mark);
        self.terms.forget(to.terms);
        self.stack.clone_from(&to.stack);
        self.frames.clone_from(&to.frames);
        self.globals.clone_from(&to.globals);
        self.at = to.position;
    }

    /// Whether the called function has returned.
    pub(crate) fn is_done(&self) -> bool {
        self.frames.is_empty()
    }

    /// Begins the call of a function.
    pub(crate) fn call(&mut self, function: u32, arguments: &[Value]) -> Result<(), Stop> {
        self.stack.clear();
        self.frames.clear();
        self.stack.extend_from_slice(arguments);
        self.enter(function)
    }

    fn enter(&mut self, function: u32) -> Result<(), Stop> {
        let code = &self.module.functions[function as usize];
        if self.frames.len() >= MOST_FRAMES {
            return Err(Stop::TooDeep);
        }
        self.frames.push(Frame {
            pc: self.at.pc,
            base: self.at.base,
            results: self.at.results,
            code: self.at.code,
        });
        self.at.base = self.stack.len() as u32 - code.params;
        self.stack.resize(
            self.at.base as usize + code.locals as usize,
            Value::default(),
        );
        self.at.pc = code.start;
        self.at.results = code.results;
        self.at.code = function;
        // As the engine counts: it looks at the fuel at each entry, then takes one for it.
        self.check_fuel()?;
        self.at.fuel += 1;
        Ok(())
    }

    fn check_fuel(&self) -> Result<(), Stop> {
        if self.at.fuel >= self.budget {
            Err(Stop::OutOfFuel)
        } else {
            Ok(())
        }
    }

    /// What an operator on many bytes costs: one for each, and the engine looks before it begins.
    fn burn(&mut self, bytes: u64) -> Result<(), Stop> {
        self.at.fuel += bytes;
        self.check_fuel()
    }

    fn leave(&mut self) -> bool {
        let kept = self.stack.len() - self.at.results as usize;
        self.stack.copy_within(kept.., self.at.base as usize);
        self.stack
            .truncate((self.at.base + self.at.results) as usize);
        if let Some(frame) = self.frames.pop() {
            self.at.pc = frame.pc;
            self.at.base = frame.base;
            self.at.results = frame.results;
            self.at.code = frame.code;
        }
        !self.frames.is_empty()
    }

    fn pop(&mut self) -> Value {
        // The module is valid: the stack is as high as each operator expects.
        self.stack.pop().unwrap_or_default()
    }

    fn peek(&self, depth: usize) -> Value {
        self.stack[self.stack.len() - 1 - depth]
    }

    fn jump(&mut self, target: Target) {
        let height = (self.at.base + target.height) as usize;
        let kept = self.stack.len() - target.keep as usize;
        if kept > height {
            self.stack.copy_within(kept.., height);
            self.stack.truncate(height + target.keep as usize);
        }
        self.at.pc = target.pc;
    }

    /// The plain answer to what is asked about a value.
    pub(crate) fn ask(
        &mut self,
        value: Value,
        asked: Asked<'_>,
        operator: &'static str,
    ) -> Result<u64, Stop> {
        match self.terms.decide(value, asked) {
            Decision::Is(answer) => Ok(answer),
            Decision::Cut(cut) => Err(Stop::Cut(cut)),
            Decision::Stuck(facts) => Err(Stop::Stuck { facts, operator }),
        }
    }

    /// The plain value.
    pub(crate) fn plain(&mut self, value: Value, operator: &'static str) -> Result<u64, Stop> {
        if value.is_concrete() {
            Ok(value.bits)
        } else {
            self.ask(value, &exactly, operator)
        }
    }

    fn holds(&mut self, value: Value, operator: &'static str) -> Result<bool, Stop> {
        if value.is_concrete() {
            Ok(value.bits != 0)
        } else {
            Ok(self.ask(value, &truth, operator)? != 0)
        }
    }

    /// Runs until it stops.
    pub(crate) fn run(&mut self) -> Stop {
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return Stop::Returned,
                Err(stop) => return stop,
            }
        }
    }

    /// One operator. Nothing is changed when it stops for a cut.
    fn step(&mut self) -> Result<bool, Stop> {
        let op = self.module.ops[self.at.pc as usize];
        let mut cost = 1;
        match op {
            Op::LocalGet(index) => {
                let value = self.stack[(self.at.base + index) as usize];
                self.stack.push(value);
            }
            Op::LocalSet(index) => {
                let value = self.pop();
                self.stack[(self.at.base + index) as usize] = value;
            }
            Op::LocalTee(index) => {
                let value = self.peek(0);
                self.stack[(self.at.base + index) as usize] = value;
            }
            Op::Const(bits) => self.stack.push(Value::concrete(bits)),
            Op::Binary(op, width) => self.binary(op, width)?,
            Op::Unary(op, width) => {
                let value = self.pop();
                let result = if value.is_concrete() {
                    Value::concrete(integer::unary(op, width, value.bits))
                } else {
                    self.terms.unary(op, width, value)
                };
                self.stack.push(result);
            }
            Op::Load { .. } | Op::Store { .. } => self.access(op)?,
            Op::Jump(target) => {
                self.jump_costing(target, 1);
                return Ok(true);
            }
            Op::Skip(target) => {
                self.at.pc = self.module.targets[target as usize].pc;
                return Ok(true);
            }
            Op::JumpIf(target) => {
                let holds = self.holds(self.peek(0), "br_if")?;
                self.pop();
                if holds {
                    self.jump_costing(target, 1);
                    return Ok(true);
                }
            }
            Op::JumpUnless(target) => {
                let holds = self.holds(self.peek(0), "if")?;
                self.pop();
                if !holds {
                    self.at.pc = self.module.targets[target as usize].pc;
                    self.at.fuel += 1;
                    return Ok(true);
                }
            }
            Op::Table { first, len } => {
                let chosen = self.table(first, len)?;
                self.pop();
                self.jump_costing(first + chosen, 1);
                return Ok(true);
            }
            Op::LoopHead => {
                self.check_fuel()?;
                cost = 0;
            }
            Op::Return => return Ok(self.leave()),
            Op::Call(function) => {
                self.at.pc += 1;
                self.at.fuel += 1;
                self.enter(function)?;
                return Ok(true);
            }
            Op::CallIndirect(ty) => {
                let function = self.indirect(ty)?;
                self.pop();
                self.at.pc += 1;
                self.at.fuel += 1;
                self.enter(function)?;
                return Ok(true);
            }
            Op::Select => self.select(),
            Op::Drop => {
                self.pop();
                cost = 0;
            }
            Op::GlobalGet(index) => {
                let value = self.globals[index as usize];
                self.stack.push(value);
            }
            Op::GlobalSet(index) => {
                let value = self.pop();
                self.globals[index as usize] = value;
            }
            Op::MemorySize | Op::MemoryGrow | Op::MemoryCopy | Op::MemoryFill => {
                self.whole_memory(op)?
            }
            Op::Unreachable => return Err(Stop::Trapped("unreachable_code_reached")),
            Op::Unsupported(index) => return Err(Stop::Unsupported(index)),
        }
        self.at.pc += 1;
        self.at.fuel += cost;
        Ok(true)
    }

    fn jump_costing(&mut self, target: u32, cost: u64) {
        self.at.fuel += cost;
        self.jump(self.module.targets[target as usize]);
    }

    fn binary(&mut self, op: Binary, width: Width) -> Result<(), Stop> {
        let (a, b) = (self.peek(1), self.peek(0));
        let result = if a.is_concrete() && b.is_concrete() {
            Value::concrete(integer::binary(op, width, a.bits, b.bits).map_err(undefined)?)
        } else if op.divides() {
            self.division(op, width, a, b)?
        } else {
            self.terms.binary(op, width, a, b)
        };
        self.pop();
        self.pop();
        self.stack.push(result);
        Ok(())
    }

    /// A division whose operands depend on the input: whether it traps is decided first.
    fn division(&mut self, op: Binary, width: Width, a: Value, b: Value) -> Result<Value, Stop> {
        if !self.holds(b, "a division")? {
            return Err(undefined(Undefined::DivisionByZero));
        }
        if matches!(op, Binary::DivS | Binary::RemS) {
            let (a, b) = (self.plain(a, "a division")?, self.plain(b, "a division")?);
            let result = integer::binary(op, width, a, b).map_err(undefined)?;
            return Ok(Value::concrete(result));
        }
        Ok(self.terms.binary(op, width, a, b))
    }

    fn access(&mut self, op: Op) -> Result<(), Stop> {
        match op {
            Op::Load {
                offset,
                bytes,
                extend,
            } => {
                let at = self.plain(self.peek(0), "the address of a load")? + u64::from(offset);
                let loaded = self.memory.load(&mut self.terms, at, usize::from(bytes));
                let mut value = loaded.map_err(out_of_bounds)?;
                if let Some((op, width)) = extend {
                    value = if value.is_concrete() {
                        Value::concrete(integer::unary(op, width, value.bits))
                    } else {
                        self.terms.unary(op, width, value)
                    };
                }
                self.pop();
                self.stack.push(value);
            }
            Op::Store { offset, bytes } => {
                let at = self.plain(self.peek(1), "the address of a store")? + u64::from(offset);
                let value = self.peek(0);
                self.memory
                    .store(&mut self.terms, at, usize::from(bytes), value)
                    .map_err(out_of_bounds)?;
                self.pop();
                self.pop();
            }
            _ => {}
        }
        Ok(())
    }

    /// Which entry of a jump table is taken.
    fn table(&mut self, first: u32, len: u32) -> Result<u32, Stop> {
        let index = self.peek(0);
        let last = u64::from(len - 1);
        if index.is_concrete() {
            return Ok(index.bits.min(last) as u32);
        }
        let targets = &self.module.targets[first as usize..(first + len) as usize];
        // Entries that lead to one place are one answer: the first of them.
        let entry = |index: u64| {
            let chosen = targets[index.min(last) as usize];
            let same = |other: &Target| (other.pc, other.height) == (chosen.pc, chosen.height);
            targets.iter().position(same).map(|place| place as u64)
        };
        let asked = |known: &crate::known::Known| {
            let (lo, hi) = (known.lo.min(last), known.hi.min(last));
            let answer = entry(lo);
            (lo..=hi)
                .all(|index| entry(index) == answer)
                .then_some(answer)?
        };
        Ok(self.ask(index, &asked, "br_table")? as u32)
    }

    fn indirect(&mut self, ty: u32) -> Result<u32, Stop> {
        let index = self.plain(self.peek(0), "call_indirect")?;
        let module = self.module;
        let element = module
            .table
            .get(index as usize)
            .ok_or(Stop::Trapped("table_out_of_bounds"))?;
        let function = element.ok_or(Stop::Trapped("indirect_call_to_null"))?;
        let found = &module.types[module.functions[function as usize].ty as usize];
        if *found == module.types[ty as usize] {
            Ok(function)
        } else {
            Err(Stop::Trapped("bad_signature"))
        }
    }

    fn select(&mut self) {
        let condition = self.pop();
        let b = self.pop();
        let a = self.pop();
        let known = truth(&self.terms.known(condition));
        let value = match known {
            Some(0) => b,
            Some(_) => a,
            None => self.terms.choice(condition, a, b),
        };
        self.stack.push(value);
    }

    fn whole_memory(&mut self, op: Op) -> Result<(), Stop> {
        const PAGE: u64 = 65_536;
        match op {
            Op::MemorySize => {
                let pages = self.memory.size() as u64 / PAGE;
                self.stack.push(Value::concrete(pages));
            }
            Op::MemoryGrow => {
                let pages = self.plain(self.peek(0), "memory.grow")?;
                self.pop();
                let old = self.memory.grow((pages * PAGE) as usize);
                let answer = old.map_or(u64::from(u32::MAX), |old| old as u64 / PAGE);
                self.stack.push(Value::concrete(answer));
            }
            Op::MemoryCopy => {
                let len = self.plain(self.peek(0), "memory.copy")?;
                let from = self.plain(self.peek(1), "memory.copy")?;
                let to = self.plain(self.peek(2), "memory.copy")?;
                self.burn(len)?;
                self.memory
                    .copy(&mut self.terms, to, from, len)
                    .map_err(out_of_bounds)?;
                self.stack.truncate(self.stack.len() - 3);
            }
            _ => {
                let len = self.plain(self.peek(0), "memory.fill")?;
                let value = self.peek(1);
                let to = self.plain(self.peek(2), "memory.fill")?;
                self.burn(len)?;
                self.memory
                    .fill(&mut self.terms, to, value, len)
                    .map_err(out_of_bounds)?;
                self.stack.truncate(self.stack.len() - 3);
            }
        }
        Ok(())
    }
}

fn out_of_bounds(_: OutOfBounds) -> Stop {
    Stop::Trapped("memory_out_of_bounds")
}

fn undefined(undefined: Undefined) -> Stop {
    Stop::Trapped(match undefined {
        Undefined::DivisionByZero => "integer_division_by_zero",
        Undefined::Overflow => "integer_overflow",
    })
}
