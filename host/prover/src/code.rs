//! The code of a core module, decoded for the interpreter.
//!
//! Structured control is resolved to jumps; which operators cost fuel is kept as the engine counts it.
//! What is not integer code is decoded too, and refused only where it is reached.

use std::collections::HashMap;

use wasmparser::{
    BlockType, DataKind, ElementItems, ElementKind, ExternalKind, FuncType, FuncValidator,
    FuncValidatorAllocations, FunctionBody, MemArg, Operator, Parser, Payload, ValidPayload,
    Validator, ValidatorResources,
};

use crate::error::ProveError;
use crate::integer::{Binary, Unary, Width};

/// One operator.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Unreachable,
    /// The head of a loop: where the engine looks at the fuel.
    LoopHead,
    Jump(u32),
    /// The jump over an `else`, which costs nothing.
    Skip(u32),
    JumpIf(u32),
    /// Of an `if`: jumps to the `else` when the condition is zero.
    JumpUnless(u32),
    Table {
        first: u32,
        len: u32,
    },
    Return,
    Call(u32),
    CallIndirect(u32),
    Drop,
    Select,
    LocalGet(u32),
    LocalSet(u32),
    LocalTee(u32),
    GlobalGet(u32),
    GlobalSet(u32),
    Load {
        offset: u32,
        bytes: u8,
        extend: Option<(Unary, Width)>,
    },
    Store {
        offset: u32,
        bytes: u8,
    },
    MemorySize,
    MemoryGrow,
    MemoryCopy,
    MemoryFill,
    Const(u64),
    Binary(Binary, Width),
    Unary(Unary, Width),
    Unsupported(u32),
}

/// Where a jump leads: to `pc`, with the `keep` topmost values moved down to `height` above the frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Target {
    pub(crate) pc: u32,
    pub(crate) keep: u32,
    pub(crate) height: u32,
}

/// One function.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) start: u32,
    pub(crate) params: u32,
    /// Parameters and locals together.
    pub(crate) locals: u32,
    pub(crate) results: u32,
    pub(crate) ty: u32,
}

/// A core module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) ops: Vec<Op>,
    pub(crate) targets: Vec<Target>,
    pub(crate) functions: Vec<Code>,
    pub(crate) unsupported: Vec<String>,
    pub(crate) types: Vec<FuncType>,
    pub(crate) exports: HashMap<String, u32>,
    pub(crate) globals: Vec<u64>,
    pub(crate) table: Vec<Option<u32>>,
    pub(crate) memory: Vec<u8>,
    pub(crate) most_memory: usize,
}

const PAGE: usize = 65_536;

fn unreadable(error: wasmparser::BinaryReaderError) -> ProveError {
    ProveError::not_a_module(error.message())
}

fn wiring(message: &str) -> ProveError {
    ProveError::Wiring(message.to_owned())
}

impl Module {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ProveError> {
        let mut module = Self::default();
        let mut validator = Validator::new();
        let mut allocations = FuncValidatorAllocations::default();
        let mut declared = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(unreadable)?;
            if let ValidPayload::Func(function, body) =
                validator.payload(&payload).map_err(unreadable)?
            {
                let ty = declared.get(module.functions.len()).copied();
                let ty: u32 = ty.ok_or_else(|| wiring("a body without a function"))?;
                let mut check = function.into_validator(allocations);
                module.function(ty, &body, &mut check)?;
                allocations = check.into_allocations();
                continue;
            }
            match payload {
                Payload::FunctionSection(section) => {
                    for ty in section {
                        declared.push(ty.map_err(unreadable)?);
                    }
                }
                other => module.section(other)?,
            }
        }
        Ok(module)
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), ProveError> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty.map_err(unreadable)?);
                }
            }
            Payload::ImportSection(section) if section.count() > 0 => {
                return Err(wiring("the core module has imports"));
            }
            Payload::StartSection { .. } => return Err(wiring("a start function")),
            Payload::TableSection(section) => {
                for table in section {
                    let table = table.map_err(unreadable)?;
                    if !self.table.is_empty()
                        || !matches!(table.init, wasmparser::TableInit::RefNull)
                    {
                        return Err(wiring("more than one table, or a filled one"));
                    }
                    self.table = vec![None; table.ty.initial as usize];
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(unreadable)?;
                    let Some(most) = memory.maximum else {
                        return Err(wiring("a memory without a maximum"));
                    };
                    if !self.memory.is_empty() || memory.page_size_log2.is_some_and(|log| log != 16)
                    {
                        return Err(wiring("more than one memory, or one with other pages"));
                    }
                    // The load-time check allows sixteen pages.
                    if most > 16 {
                        return Err(wiring("a memory of more than 1 MiB"));
                    }
                    self.memory = vec![0; memory.initial as usize * PAGE];
                    self.most_memory = most as usize * PAGE;
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global.map_err(unreadable)?;
                    let value = self.constant(&global.init_expr)?;
                    self.globals.push(value);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(unreadable)?;
                    if export.kind == ExternalKind::Func {
                        self.exports.insert(export.name.to_owned(), export.index);
                    }
                }
            }
            Payload::ElementSection(section) => self.elements(section)?,
            Payload::DataSection(section) => {
                for data in section {
                    let data = data.map_err(unreadable)?;
                    let DataKind::Active { offset_expr, .. } = data.kind else {
                        return Err(wiring("a passive data segment"));
                    };
                    let at = self.constant(&offset_expr)? as usize;
                    self.memory
                        .get_mut(at..)
                        .and_then(|memory| memory.get_mut(..data.data.len()))
                        .ok_or_else(|| wiring("a data segment outside the memory"))?
                        .copy_from_slice(data.data);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn elements(
        &mut self,
        section: wasmparser::ElementSectionReader<'_>,
    ) -> Result<(), ProveError> {
        for element in section {
            let element = element.map_err(unreadable)?;
            let (ElementKind::Active { offset_expr, .. }, ElementItems::Functions(functions)) =
                (element.kind, element.items)
            else {
                return Err(wiring("a table that is filled in another way"));
            };
            let at = self.constant(&offset_expr)? as usize;
            for (place, function) in functions.into_iter().enumerate() {
                *self
                    .table
                    .get_mut(at + place)
                    .ok_or_else(|| wiring("an element outside the table"))? =
                    Some(function.map_err(unreadable)?);
            }
        }
        Ok(())
    }

    fn constant(&self, expression: &wasmparser::ConstExpr<'_>) -> Result<u64, ProveError> {
        let mut reader = expression.get_operators_reader();
        let value = match reader.read().map_err(unreadable)? {
            Operator::I32Const { value } => u64::from(value as u32),
            Operator::I64Const { value } => value as u64,
            // Never looked at: what would use it is refused.
            Operator::F32Const { .. } | Operator::F64Const { .. } | Operator::V128Const { .. } => 0,
            _ => return Err(wiring("a computed constant")),
        };
        match reader.read().map_err(unreadable)? {
            Operator::End => Ok(value),
            _ => Err(wiring("a computed constant")),
        }
    }

    fn function(
        &mut self,
        ty: u32,
        body: &FunctionBody<'_>,
        check: &mut FuncValidator<ValidatorResources>,
    ) -> Result<(), ProveError> {
        let signature = &self.types[ty as usize];
        let (params, results) = (
            signature.params().len() as u32,
            signature.results().len() as u32,
        );
        let mut locals = params;
        let mut reader = body.get_binary_reader();
        check.read_locals(&mut reader).map_err(unreadable)?;
        for local in body.get_locals_reader().map_err(unreadable)? {
            locals += local.map_err(unreadable)?.0;
        }
        let start = self.ops.len() as u32;
        let mut blocks = Blocks {
            open: vec![Block::new(results, 0)],
            locals,
        };
        let mut operators = body.get_operators_reader().map_err(unreadable)?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset().map_err(unreadable)?;
            let height = check.operand_stack_height();
            self.operator(&mut blocks, &operator, height);
            check.op(offset, &operator).map_err(unreadable)?;
        }
        self.functions.push(Code {
            start,
            params,
            locals,
            results,
            ty,
        });
        Ok(())
    }

    fn arity(&self, block: BlockType) -> (u32, u32) {
        match block {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(index) => {
                let ty = &self.types[index as usize];
                (ty.params().len() as u32, ty.results().len() as u32)
            }
        }
    }

    fn target(&mut self, blocks: &mut Blocks, depth: u32) -> u32 {
        let index = self.targets.len() as u32;
        let position = blocks.open.len() - 1 - depth as usize;
        let block = &mut blocks.open[position];
        self.targets.push(Target {
            pc: block.head.unwrap_or_default(),
            keep: block.arity,
            height: blocks.locals + block.height,
        });
        if block.head.is_none() {
            block.jumps.push(index);
        }
        index
    }

    fn operator(&mut self, blocks: &mut Blocks, operator: &Operator<'_>, height: u32) {
        match operator {
            Operator::Nop => {}
            Operator::Block { blockty } => {
                let (params, results) = self.arity(*blockty);
                blocks
                    .open
                    .push(Block::new(results, height.saturating_sub(params)));
            }
            Operator::Loop { blockty } => {
                let (params, _) = self.arity(*blockty);
                let mut block = Block::new(params, height.saturating_sub(params));
                block.head = Some(self.ops.len() as u32);
                self.ops.push(Op::LoopHead);
                blocks.open.push(block);
            }
            Operator::If { blockty } => {
                let (params, results) = self.arity(*blockty);
                let mut block = Block::new(results, height.saturating_sub(params + 1));
                // Only the place matters: both arms find the stack as it is.
                let index = self.targets.len() as u32;
                self.targets.push(Target::default());
                block.otherwise = Some(index);
                blocks.open.push(block);
                self.ops.push(Op::JumpUnless(index));
            }
            Operator::Else => {
                let skip = self.targets.len() as u32;
                self.targets.push(Target::default());
                self.ops.push(Op::Skip(skip));
                let here = self.ops.len() as u32;
                if let Some(block) = blocks.open.last_mut() {
                    block.skips.push(skip);
                    if let Some(otherwise) = block.otherwise.take() {
                        self.targets[otherwise as usize].pc = here;
                    }
                }
            }
            Operator::End => {
                let here = self.ops.len() as u32;
                if let Some(block) = blocks.open.pop() {
                    let otherwise = block.otherwise;
                    for jump in block.jumps.into_iter().chain(block.skips).chain(otherwise) {
                        self.targets[jump as usize].pc = here;
                    }
                }
                if blocks.open.is_empty() {
                    self.ops.push(Op::Return);
                }
            }
            Operator::Br { relative_depth } => {
                let target = self.target(blocks, *relative_depth);
                self.ops.push(Op::Jump(target));
            }
            Operator::BrIf { relative_depth } => {
                let target = self.target(blocks, *relative_depth);
                self.ops.push(Op::JumpIf(target));
            }
            Operator::BrTable { targets } => {
                let first = self.targets.len() as u32;
                // The validator has read them before.
                for depth in targets.targets().flatten() {
                    self.target(blocks, depth);
                }
                self.target(blocks, targets.default());
                let len = self.targets.len() as u32 - first;
                self.ops.push(Op::Table { first, len });
            }
            other => {
                let op = simple(other).unwrap_or_else(|| {
                    self.unsupported.push(name(other));
                    Op::Unsupported(self.unsupported.len() as u32 - 1)
                });
                self.ops.push(op);
            }
        }
    }
}

/// The open blocks of a function, the function itself outermost.
struct Blocks {
    open: Vec<Block>,
    locals: u32,
}

struct Block {
    /// Where a loop begins; for all others a jump leads to the end.
    head: Option<u32>,
    arity: u32,
    height: u32,
    jumps: Vec<u32>,
    skips: Vec<u32>,
    otherwise: Option<u32>,
}

impl Block {
    fn new(arity: u32, height: u32) -> Self {
        Self {
            head: None,
            arity,
            height,
            jumps: Vec::new(),
            skips: Vec::new(),
            otherwise: None,
        }
    }
}

/// The name of an operator, as the parser has it.
fn name(operator: &Operator<'_>) -> String {
    let text = format!("{operator:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn load(memory: &MemArg, bytes: u8, extend: Option<(Unary, Width)>) -> Op {
    Op::Load {
        offset: memory.offset as u32,
        bytes,
        extend,
    }
}

fn store(memory: &MemArg, bytes: u8) -> Op {
    Op::Store {
        offset: memory.offset as u32,
        bytes,
    }
}

/// The operators that are no control flow.
fn simple(operator: &Operator<'_>) -> Option<Op> {
    use Width::{W32, W64};
    if let Some((op, width)) = arithmetic(operator) {
        return Some(Op::Binary(op, width));
    }
    Some(match operator {
        Operator::Unreachable => Op::Unreachable,
        Operator::Return => Op::Return,
        Operator::Call { function_index } => Op::Call(*function_index),
        Operator::CallIndirect { type_index, .. } => Op::CallIndirect(*type_index),
        Operator::Drop => Op::Drop,
        Operator::Select => Op::Select,
        Operator::TypedSelect { .. } => Op::Select,
        Operator::LocalGet { local_index } => Op::LocalGet(*local_index),
        Operator::LocalSet { local_index } => Op::LocalSet(*local_index),
        Operator::LocalTee { local_index } => Op::LocalTee(*local_index),
        Operator::GlobalGet { global_index } => Op::GlobalGet(*global_index),
        Operator::GlobalSet { global_index } => Op::GlobalSet(*global_index),
        Operator::I32Load { memarg } | Operator::I64Load32U { memarg } => load(memarg, 4, None),
        Operator::I64Load { memarg } => load(memarg, 8, None),
        Operator::I32Load8U { memarg } | Operator::I64Load8U { memarg } => load(memarg, 1, None),
        Operator::I32Load16U { memarg } | Operator::I64Load16U { memarg } => load(memarg, 2, None),
        Operator::I32Load8S { memarg } => load(memarg, 1, Some((Unary::Extend8S, W32))),
        Operator::I32Load16S { memarg } => load(memarg, 2, Some((Unary::Extend16S, W32))),
        Operator::I64Load8S { memarg } => load(memarg, 1, Some((Unary::Extend8S, W64))),
        Operator::I64Load16S { memarg } => load(memarg, 2, Some((Unary::Extend16S, W64))),
        Operator::I64Load32S { memarg } => load(memarg, 4, Some((Unary::Extend32S, W64))),
        Operator::I32Store { memarg } | Operator::I64Store32 { memarg } => store(memarg, 4),
        Operator::I64Store { memarg } => store(memarg, 8),
        Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => store(memarg, 1),
        Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => store(memarg, 2),
        Operator::MemorySize { .. } => Op::MemorySize,
        Operator::MemoryGrow { .. } => Op::MemoryGrow,
        Operator::MemoryCopy { .. } => Op::MemoryCopy,
        Operator::MemoryFill { .. } => Op::MemoryFill,
        Operator::I32Const { value } => Op::Const(u64::from(*value as u32)),
        Operator::I64Const { value } => Op::Const(*value as u64),
        Operator::I32Eqz => Op::Unary(Unary::Eqz, W32),
        Operator::I64Eqz => Op::Unary(Unary::Eqz, W64),
        Operator::I32Clz => Op::Unary(Unary::Clz, W32),
        Operator::I64Clz => Op::Unary(Unary::Clz, W64),
        Operator::I32Ctz => Op::Unary(Unary::Ctz, W32),
        Operator::I64Ctz => Op::Unary(Unary::Ctz, W64),
        Operator::I32Popcnt => Op::Unary(Unary::Popcnt, W32),
        Operator::I64Popcnt => Op::Unary(Unary::Popcnt, W64),
        Operator::I32Extend8S => Op::Unary(Unary::Extend8S, W32),
        Operator::I32Extend16S => Op::Unary(Unary::Extend16S, W32),
        Operator::I64Extend8S => Op::Unary(Unary::Extend8S, W64),
        Operator::I64Extend16S => Op::Unary(Unary::Extend16S, W64),
        Operator::I64Extend32S | Operator::I64ExtendI32S => Op::Unary(Unary::Extend32S, W64),
        // A 32-bit value is held zero-extended: this one leaves it as it is.
        Operator::I64ExtendI32U | Operator::I32WrapI64 => Op::Unary(Unary::Wrap, W64),
        _ => return None,
    })
}

macro_rules! arithmetic {
    ($operator:expr; $($small:ident $large:ident $op:ident;)*) => {
        match $operator {
            $(Operator::$small => Some((Binary::$op, Width::W32)), Operator::$large => Some((Binary::$op, Width::W64)),)*
            _ => None,
        }
    };
}

fn arithmetic(operator: &Operator<'_>) -> Option<(Binary, Width)> {
    arithmetic! { operator;
        I32Add I64Add Add; I32Sub I64Sub Sub; I32Mul I64Mul Mul;
        I32DivS I64DivS DivS; I32DivU I64DivU DivU; I32RemS I64RemS RemS; I32RemU I64RemU RemU;
        I32And I64And And; I32Or I64Or Or; I32Xor I64Xor Xor;
        I32Shl I64Shl Shl; I32ShrS I64ShrS ShrS; I32ShrU I64ShrU ShrU;
        I32Rotl I64Rotl Rotl; I32Rotr I64Rotr Rotr;
        I32Eq I64Eq Eq; I32Ne I64Ne Ne;
        I32LtS I64LtS LtS; I32LtU I64LtU LtU; I32GtS I64GtS GtS; I32GtU I64GtU GtU;
        I32LeS I64LeS LeS; I32LeU I64LeU LeU; I32GeS I64GeS GeS; I32GeU I64GeU GeU;
    }
}
