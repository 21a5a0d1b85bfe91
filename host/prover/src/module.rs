//! A policy module as the prover sees it: its functions with their types, and its code.

use std::sync::Arc;

use wit_component::DecodedWasm;
use wit_parser::WorldItem;

use crate::code;
use crate::domain::Domain;
use crate::error::ProveError;
use crate::types::{Type, snake};
use crate::wiring::{self, Lifted};

/// A policy module, read from its file.
#[derive(Debug)]
pub struct Module {
    /// The interface it exports, with its version.
    pub interface: String,
    /// Its questions, `describe` not among them.
    pub functions: Vec<Function>,
    pub(crate) code: code::Module,
}

/// One question.
#[derive(Debug)]
pub struct Function {
    /// Its name as the contract has it.
    pub name: String,
    /// What it is asked with.
    pub facts: Type,
    /// What it answers.
    pub ruling: Type,
    /// All inputs; why it is not finite otherwise.
    pub domain: Result<Arc<Domain>, ProveError>,
    pub(crate) core: Core,
}

/// The core functions behind a question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Core {
    pub(crate) call: u32,
    pub(crate) realloc: Option<u32>,
    pub(crate) post_return: Option<u32>,
}

impl Function {
    /// All its inputs.
    ///
    /// # Errors
    /// When there is no end of them.
    pub fn finite(&self) -> Result<&Arc<Domain>, ProveError> {
        self.domain.as_ref().map_err(|error| match error {
            ProveError::Endless {
                function,
                field,
                what,
            } => ProveError::Endless {
                function: function.clone(),
                field: field.clone(),
                what,
            },
            _ => ProveError::TooLarge {
                function: self.name.clone(),
            },
        })
    }
}

impl Module {
    /// Reads a component of a policy world.
    ///
    /// # Errors
    /// When it is none, or is put together otherwise than `gotong policy build` does.
    pub fn read(bytes: &[u8]) -> Result<Self, ProveError> {
        let unreadable = |message: String| ProveError::not_a_module(&message);
        wasmparser::Validator::new()
            .validate_all(bytes)
            .map_err(|error| unreadable(error.message().to_owned()))?;
        let decoded =
            wit_component::decode(bytes).map_err(|error| unreadable(format!("{error:#}")))?;
        let DecodedWasm::Component(resolve, world) = decoded else {
            return Err(unreadable("a WIT package without code".into()));
        };
        // A world exports its family beside interfaces of types alone.
        let asked = resolve.worlds[world]
            .exports
            .values()
            .find_map(|item| match item {
                WorldItem::Interface { id, .. }
                    if !resolve.interfaces[*id].functions.is_empty() =>
                {
                    Some(*id)
                }
                _ => None,
            });
        let id = asked.ok_or_else(|| unreadable("it answers no question".into()))?;
        let interface = resolve
            .id_of(id)
            .ok_or_else(|| unreadable("an interface without a name".into()))?;
        let questions: Vec<_> = resolve.interfaces[id]
            .functions
            .values()
            .filter(|function| function.name != "describe")
            .collect();
        let names: Vec<String> = questions
            .iter()
            .map(|function| function.name.clone())
            .collect();
        let (core, lifted) = wiring::follow(bytes, &interface, &names)?;
        let code = code::Module::decode(core)?;
        let functions = questions
            .into_iter()
            .zip(&lifted)
            .map(|(function, lifted)| {
                let ([facts], Some(ruling)) = (&function.params[..], &function.result) else {
                    return Err(unreadable(format!(
                        "`{}` takes or gives nothing",
                        function.name
                    )));
                };
                let facts = Type::of(&resolve, &facts.ty)?;
                Ok(Function {
                    name: function.name.clone(),
                    ruling: Type::of(&resolve, ruling)?,
                    domain: Domain::of(&function.name, &facts).map(Arc::new),
                    facts,
                    core: core_of(&code, lifted)?,
                })
            })
            .collect::<Result<_, ProveError>>()?;
        Ok(Self {
            interface,
            functions,
            code,
        })
    }

    /// The family: the interface's own name.
    pub fn family(&self) -> &str {
        let name = self.interface.rsplit('/').next().unwrap_or_default();
        name.split('@').next().unwrap_or_default()
    }

    /// The question that a function only asks many times at once: its one fact is a list of that one's facts,
    /// and it answers with a list of that one's rulings.
    pub fn list_form_of(&self, function: &Function) -> Option<&Function> {
        let (Type::Record(fields), Type::List(ruling)) = (&function.facts, &function.ruling) else {
            return None;
        };
        let [(_, Type::List(facts))] = &fields[..] else {
            return None;
        };
        let mut functions = self.functions.iter();
        functions.find(|one| one.facts == **facts && one.ruling == **ruling)
    }

    /// One question by its name, in the words of the contract or of JSON.
    ///
    /// # Errors
    /// When the family has none of that name.
    pub fn function(&self, name: &str) -> Result<&Function, ProveError> {
        let mut functions = self.functions.iter();
        functions
            .find(|function| function.name == name || snake(&function.name) == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self
                    .functions
                    .iter()
                    .map(|each| each.name.as_str())
                    .collect();
                ProveError::NoFunction {
                    function: name.to_owned(),
                    expected: names.join(", "),
                }
            })
    }
}

fn core_of(code: &code::Module, lifted: &Lifted) -> Result<Core, ProveError> {
    let find = |name: &String| {
        let found = code.exports.get(name).copied();
        found.ok_or_else(|| ProveError::Wiring(format!("the core module does not export `{name}`")))
    };
    Ok(Core {
        call: find(&lifted.call)?,
        realloc: lifted.realloc.as_ref().map(find).transpose()?,
        post_return: lifted.post_return.as_ref().map(find).transpose()?,
    })
}
