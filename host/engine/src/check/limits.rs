//! What a module may use: validity, proposals, one memory, one table, and bounds on its code.

use wasmparser::{
    ComponentExternalKind, Encoding, FunctionBody, MemoryType, Parser, Payload, TableType,
    Validator, WasmFeatures,
};

use super::{CheckError, Rule};
use crate::engine::{MAX_MEMORY, MAX_TABLE, PROPOSALS};
use crate::metadata::SECTION;

/// The largest module, in bytes.
pub const MAX_SIZE: usize = 1 << 20;
/// The most functions a module may have.
const MAX_FUNCTIONS: u32 = 10_000;
/// The most locals a function may have.
const MAX_LOCALS: u32 = 1_000;
/// The most parameters, or results, a function may have.
const MAX_PARAMS: usize = 64;

const PAGE: u64 = 65_536;

/// What the walk through a module found.
#[derive(Default)]
pub(super) struct Structure {
    modules: u32,
    instances: u32,
    memories: Vec<(MemoryType, u64)>,
    tables: u32,
    pub(super) functions: u32,
    pub(super) section: Option<Vec<u8>>,
}

pub(super) struct Memory {
    pub(super) initial: u64,
    pub(super) maximum: u64,
}

/// Valid at all, with every proposal there is.
pub(super) fn valid(bytes: &[u8]) -> Result<(), CheckError> {
    validate(bytes, WasmFeatures::all(), Rule::IsValid)
}

/// Valid with the proposals a policy may use.
pub(super) fn proposals(bytes: &[u8]) -> Result<(), CheckError> {
    // The engine reads modules with its own version of the parser; names are what the two share.
    let allowed = PROPOSALS
        .iter_names()
        .filter_map(|(name, _)| WasmFeatures::from_name(name))
        .collect();
    validate(bytes, allowed, Rule::Proposals)
}

fn validate(bytes: &[u8], features: WasmFeatures, rule: Rule) -> Result<(), CheckError> {
    match Validator::new_with_features(features).validate_all(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(CheckError::at(rule, error.offset(), error.message())),
    }
}

/// Walks through the component and all that is nested in it.
pub(super) fn structure(bytes: &[u8]) -> Result<Structure, CheckError> {
    let mut structure = Structure::default();
    // Custom sections of the outermost component only: a nested one cannot speak for the whole.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload
            .map_err(|error| CheckError::at(Rule::IsValid, error.offset(), error.message()))?;
        match payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if encoding == Encoding::Module {
                    structure.modules += 1;
                }
            }
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 1 && section.name() == SECTION => {
                if structure.section.replace(section.data().to_vec()).is_some() {
                    return Err(CheckError::at(
                        Rule::Section,
                        section.data_offset(),
                        "there are two sections `gotong:policy`",
                    ));
                }
            }
            other => structure.read(other)?,
        }
    }
    if structure.modules != 1 || structure.instances != 1 {
        let found = format!(
            "it holds {} core modules, instantiated {} times",
            structure.modules, structure.instances
        );
        return Err(CheckError::new(Rule::OneModule, found));
    }
    Ok(structure)
}

impl Structure {
    fn read(&mut self, payload: Payload<'_>) -> Result<(), CheckError> {
        let unreadable = |error: wasmparser::BinaryReaderError| {
            CheckError::at(Rule::IsValid, error.offset(), error.message())
        };
        match payload {
            Payload::StartSection { range, .. } => {
                return Err(CheckError::at(
                    Rule::NoStart,
                    range.start,
                    "the core module has a start function",
                ));
            }
            Payload::ComponentStartSection { range, .. } => {
                return Err(CheckError::at(
                    Rule::NoStart,
                    range.start,
                    "the component has a start function",
                ));
            }
            Payload::ImportSection(section) => {
                if let Some(import) = section.into_imports_with_offsets().next() {
                    let (offset, import) = import.map_err(unreadable)?;
                    let found = format!(
                        "the core module imports `{}` `{}`",
                        import.module, import.name
                    );
                    return Err(CheckError::at(Rule::NoImports, offset, found));
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(unreadable)?;
                    if export.kind == ComponentExternalKind::Module {
                        return Err(CheckError::new(
                            Rule::World,
                            format!("it exports the module `{}`", export.name.name),
                        ));
                    }
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    if matches!(
                        instance.map_err(unreadable)?,
                        wasmparser::Instance::Instantiate { .. }
                    ) {
                        self.instances += 1;
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.into_iter_with_offsets() {
                    let (offset, memory) = memory.map_err(unreadable)?;
                    self.memory(memory, offset)?;
                }
            }
            Payload::TableSection(section) => {
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table.map_err(unreadable)?;
                    self.table(&table.ty, offset)?;
                }
            }
            Payload::TypeSection(section) => {
                for group in section.into_iter_with_offsets() {
                    let (offset, group) = group.map_err(unreadable)?;
                    for ty in group.into_types() {
                        params(&ty, offset)?;
                    }
                }
            }
            Payload::CodeSectionStart {
                count,
                unchecked_range,
                ..
            } => {
                self.functions += count;
                if self.functions > MAX_FUNCTIONS {
                    let found = format!(
                        "it has {} functions, the most is {MAX_FUNCTIONS}",
                        self.functions
                    );
                    return Err(CheckError::at(
                        Rule::Functions,
                        unchecked_range.start,
                        found,
                    ));
                }
            }
            Payload::CodeSectionEntry(body) => locals(&body).map_err(unreadable)??,
            _ => {}
        }
        Ok(())
    }

    /// Of a kind that every machine addresses alike.
    fn memory(&mut self, memory: MemoryType, offset: u64) -> Result<(), CheckError> {
        let found = match memory {
            MemoryType { memory64: true, .. } => "its memory has 64-bit addresses",
            MemoryType { shared: true, .. } => "its memory is shared between threads",
            _ => {
                self.memories.push((memory, offset));
                return Ok(());
            }
        };
        Err(CheckError::at(Rule::Proposals, offset, found))
    }

    fn table(&mut self, table: &TableType, offset: u64) -> Result<(), CheckError> {
        self.tables += 1;
        let wrong = |found: String| Err(CheckError::at(Rule::Table, offset, found));
        if self.tables > 1 {
            return wrong("it has more than one table".into());
        }
        match table.maximum {
            None => wrong("its table has no maximum".into()),
            Some(maximum) if maximum > MAX_TABLE as u64 => wrong(format!(
                "its table may hold {maximum} elements, the most is {MAX_TABLE}"
            )),
            Some(_) => Ok(()),
        }
    }
}

/// The one memory, within its bounds.
pub(super) fn memory(structure: &Structure) -> Result<Memory, CheckError> {
    let [(memory, offset)] = &structure.memories[..] else {
        return Err(CheckError::new(
            Rule::OneMemory,
            format!("it has {} memories", structure.memories.len()),
        ));
    };
    let Some(maximum) = memory.maximum else {
        return Err(CheckError::at(
            Rule::MemoryMaximum,
            *offset,
            "its memory has no maximum",
        ));
    };
    let bytes = maximum.saturating_mul(PAGE);
    if bytes > MAX_MEMORY as u64 {
        return Err(CheckError::at(
            Rule::MemorySize,
            *offset,
            format!("its memory may grow to {bytes} bytes, the most is {MAX_MEMORY}"),
        ));
    }
    Ok(Memory {
        initial: memory.initial.saturating_mul(PAGE),
        maximum: bytes,
    })
}

fn params(ty: &wasmparser::SubType, offset: u64) -> Result<(), CheckError> {
    if let wasmparser::CompositeInnerType::Func(function) = &ty.composite_type.inner {
        let most = function.params().len().max(function.results().len());
        if most > MAX_PARAMS {
            return Err(CheckError::at(
                Rule::Params,
                offset,
                format!("a function has {most} parameters or results, the most is {MAX_PARAMS}"),
            ));
        }
    }
    Ok(())
}

fn locals(body: &FunctionBody<'_>) -> wasmparser::Result<Result<(), CheckError>> {
    let mut total = 0_u32;
    for group in body.get_locals_reader()? {
        total = total.saturating_add(group?.0);
    }
    if total > MAX_LOCALS {
        let found = format!("a function has {total} locals, the most is {MAX_LOCALS}");
        return Ok(Err(CheckError::at(Rule::Locals, body.range().start, found)));
    }
    Ok(Ok(()))
}
