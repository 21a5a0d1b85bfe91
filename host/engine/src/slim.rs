//! Takes out of a core module what an instance that answers once never needs: every evaluation pays for
//! each export and each table of its instance.
//!
//! - `cabi_post_*`: what frees a ruling after it was read. The instance is thrown away then, with all of it.
//! - The function table, when no function that can be reached calls through it. What a panic would have
//!   been printed with is such code: a panic in a policy traps.
//! - The functions that nothing else can reach, and their names.
//!
//! What is left answers every call as it did, in the same steps.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ElementSection, ExportSection, FunctionSection, Module, TableSection,
};
use wasmparser::{
    CodeSectionReader, ConstExpr, CustomSectionReader, ElementItems, ElementSectionReader,
    ExportSectionReader, ExternalKind, FunctionBody, FunctionSectionReader, Operator, Parser,
    Payload, TableSectionReader,
};

const POST_RETURN: &str = "cabi_post_";
const NAMES: &str = "name";

/// The core module without what is never used; as it is when it has imports, which the load-time check refuses.
///
/// # Errors
/// What the parser says of a core module that is none.
pub(crate) fn slim(core: &[u8]) -> Result<Vec<u8>, String> {
    let module = Parts::of(core).map_err(|error| error.to_string())?;
    if module.imports {
        return Ok(core.to_vec());
    }
    let mut slim = Slim::of(&module).map_err(|error| error.to_string())?;
    let mut out = Module::new();
    slim.parse_core_module(&mut out, Parser::new(0), core)
        .map_err(|error| error.to_string())?;
    Ok(out.finish())
}

/// A function that is called and was not found to be: the walk and the encoder disagree.
#[derive(Debug, thiserror::Error)]
#[error("function {0} is called and was not found to be")]
struct LostError(u32);

/// What decides which functions can be reached.
#[derive(Default)]
struct Parts<'a> {
    imports: bool,
    bodies: Vec<FunctionBody<'a>>,
    /// Functions that are exported, started or held by a global.
    roots: Vec<u32>,
    /// A table that is exported can be called through from outside.
    table_exported: bool,
    /// Functions that can be called through the table.
    in_table: Vec<u32>,
}

impl<'a> Parts<'a> {
    fn of(core: &'a [u8]) -> Result<Self, wasmparser::Error> {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(core) {
            match payload? {
                Payload::ImportSection(section) => parts.imports |= section.count() > 0,
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match export.kind {
                            ExternalKind::Func if !export.name.starts_with(POST_RETURN) => {
                                parts.roots.push(export.index);
                            }
                            ExternalKind::Table => parts.table_exported = true,
                            _ => {}
                        }
                    }
                }
                Payload::StartSection { func, .. } => parts.roots.push(func),
                Payload::GlobalSection(section) => {
                    for global in section {
                        functions_in(&global?.init_expr, &mut parts.roots)?;
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        match element?.items {
                            ElementItems::Functions(functions) => {
                                for function in functions {
                                    parts.in_table.push(function?);
                                }
                            }
                            ElementItems::Expressions(_, expressions) => {
                                for expression in expressions {
                                    functions_in(&expression?, &mut parts.in_table)?;
                                }
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => parts.bodies.push(body),
                _ => {}
            }
        }
        Ok(parts)
    }
}

fn functions_in(
    expression: &ConstExpr<'_>,
    functions: &mut Vec<u32>,
) -> Result<(), wasmparser::Error> {
    for operator in expression.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            functions.push(function_index);
        }
    }
    Ok(())
}

/// What stays: the new place of every function, and whether there is a table.
struct Slim {
    places: Vec<Option<u32>>,
    table: bool,
}

impl Slim {
    fn of(parts: &Parts<'_>) -> Result<Self, wasmparser::Error> {
        let mut reached = vec![false; parts.bodies.len()];
        let mut waiting = parts.roots.clone();
        let mut table = false;
        let mut entered = false;
        if parts.table_exported {
            (table, entered) = (true, true);
            waiting.extend(&parts.in_table);
        }
        while let Some(function) = waiting.pop() {
            let place = function as usize;
            let Some(body) = parts.bodies.get(place) else {
                continue;
            };
            if std::mem::replace(&mut reached[place], true) {
                continue;
            }
            for operator in body.get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                        waiting.push(function_index);
                    }
                    // It must stay declared, which an element segment may be what does.
                    Operator::RefFunc { function_index } => {
                        waiting.push(function_index);
                        table = true;
                    }
                    Operator::CallIndirect { .. }
                    | Operator::ReturnCallIndirect { .. }
                    | Operator::TableGet { .. }
                    | Operator::TableSet { .. }
                    | Operator::TableSize { .. }
                    | Operator::TableGrow { .. }
                    | Operator::TableFill { .. }
                    | Operator::TableCopy { .. }
                    | Operator::TableInit { .. }
                    | Operator::ElemDrop { .. } => table = true,
                    _ => {}
                }
            }
            if table && !entered {
                entered = true;
                waiting.extend(&parts.in_table);
            }
        }
        let places = reached
            .into_iter()
            .scan(0, |next, kept| {
                Some(kept.then(|| {
                    *next += 1;
                    *next - 1
                }))
            })
            .collect();
        Ok(Self { places, table })
    }

    fn stays(&self, function: usize) -> bool {
        self.places.get(function).is_some_and(Option::is_some)
    }
}

type Encoded = Result<(), Error<LostError>>;

impl Reencode for Slim {
    type Error = LostError;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<LostError>> {
        self.places
            .get(function as usize)
            .copied()
            .flatten()
            .ok_or(Error::UserError(LostError(function)))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Encoded {
        for (place, ty) in section.into_iter().enumerate() {
            let ty = ty?;
            if self.stays(place) {
                functions.function(self.type_index(ty)?);
            }
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Encoded {
        for (place, body) in section.into_iter().enumerate() {
            let body = body?;
            if self.stays(place) {
                self.parse_function_body(code, body)?;
            }
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Encoded {
        for export in section {
            let export = export?;
            if !(export.kind == ExternalKind::Func && export.name.starts_with(POST_RETURN)) {
                self.parse_export(exports, export)?;
            }
        }
        Ok(())
    }

    fn parse_table_section(
        &mut self,
        tables: &mut TableSection,
        section: TableSectionReader<'_>,
    ) -> Encoded {
        if self.table {
            utils::parse_table_section(self, tables, section)?;
        }
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Encoded {
        if self.table {
            utils::parse_element_section(self, elements, section)?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Encoded {
        if section.name() == NAMES {
            return Ok(());
        }
        utils::parse_custom_section(self, module, section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slimmed(text: &str) -> (Vec<String>, u32, u32) {
        let core = slim(&wat::parse_str(text).unwrap()).unwrap();
        wasmparser::validate(&core).unwrap();
        let (mut exports, mut functions, mut tables) = (Vec::new(), 0, 0);
        for payload in Parser::new(0).parse_all(&core) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    exports = section
                        .into_iter()
                        .map(|export| export.unwrap().name.to_owned())
                        .collect();
                }
                Payload::FunctionSection(section) => functions = section.count(),
                Payload::TableSection(section) => tables = section.count(),
                _ => {}
            }
        }
        (exports, functions, tables)
    }

    #[test]
    fn what_only_frees_goes_and_what_it_alone_called_goes_too() {
        let (exports, functions, tables) = slimmed(
            r#"(module
                (table 1 1 funcref)
                (elem (i32.const 0) $printed)
                (func $freed)
                (func $printed (call_indirect (i32.const 0)))
                (func (export "cabi_post_ask") (param i32) (call $freed))
                (func $used)
                (func (export "ask") (call $used)))"#,
        );
        assert_eq!(
            (exports, functions, tables),
            (vec!["ask".to_owned()], 2, 0),
            "the table's function is reached through the table alone, and nothing reached uses it"
        );
    }

    #[test]
    fn a_table_that_is_called_through_stays_with_its_functions() {
        let text = r#"(module
            (table 2 2 funcref)
            (elem (i32.const 0) $one $two)
            (func $dead)
            (func $one)
            (func $two (call $three))
            (func $three)
            (func (export "ask") (param i32) (call_indirect (local.get 0))))"#;
        let (_, functions, tables) = slimmed(text);
        assert_eq!((functions, tables), (4, 1));
    }

    #[test]
    fn an_exported_table_and_a_held_function_stay() {
        let (_, functions, tables) = slimmed(
            r#"(module
                (table (export "table") 1 1 funcref)
                (elem (i32.const 0) $one)
                (global funcref (ref.func $two))
                (elem declare func $two)
                (func $one) (func $two) (func $dead))"#,
        );
        assert_eq!((functions, tables), (2, 1));
    }

    #[test]
    fn a_module_with_imports_is_left_to_the_check() {
        let core = wat::parse_str(r#"(module (import "a" "b" (func)) (func $dead))"#).unwrap();
        assert_eq!(slim(&core).unwrap(), core);
        assert!(slim(b"no module").is_err());
    }
}
