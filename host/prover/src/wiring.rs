//! How a component's exports are wired to the functions of its one core module.
//!
//! The names inside a component are its author's to choose, so that nothing is taken from them: each
//! export is followed through instances, aliases and lifts down to the core function it calls. A
//! component that is put together in a way that is not followed here is refused, never guessed at.

use std::collections::HashMap;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentTypeRef, ExternalKind, Instance, Parser, Payload,
};

use crate::error::ProveError;

/// The core functions behind one exported function, by the names under which the core module exports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifted {
    pub(crate) call: String,
    pub(crate) realloc: Option<String>,
    pub(crate) post_return: Option<String>,
}

/// What is in a component's index spaces.
#[derive(Clone, Debug)]
enum Func {
    Lift {
        call: u32,
        realloc: Option<u32>,
        post_return: Option<u32>,
    },
    Alias {
        instance: u32,
        name: String,
    },
    Import(String),
    Same(u32),
}

#[derive(Clone, Debug)]
enum Inst {
    Of {
        component: u32,
        args: Vec<(String, ComponentExternalKind, u32)>,
    },
    Exports(HashMap<String, (ComponentExternalKind, u32)>),
    Same(u32),
    Unknown,
}

#[derive(Debug, Default)]
struct Component<'a> {
    modules: Vec<&'a [u8]>,
    instantiated: Vec<Option<u32>>,
    core_funcs: Vec<Option<(u32, String)>>,
    components: Vec<Option<Component<'a>>>,
    instances: Vec<Inst>,
    funcs: Vec<Func>,
    exports: HashMap<String, (ComponentExternalKind, u32)>,
}

fn wiring(message: impl Into<String>) -> ProveError {
    ProveError::Wiring(message.into())
}

fn unreadable(error: wasmparser::BinaryReaderError) -> ProveError {
    ProveError::not_a_module(error.message())
}

/// The core module of a component, and what each function of an exported interface calls in it.
pub(crate) fn follow<'a>(
    bytes: &'a [u8],
    interface: &str,
    functions: &[String],
) -> Result<(&'a [u8], Vec<Lifted>), ProveError> {
    let root = read(bytes)?;
    let [module] = root.modules[..] else {
        return Err(wiring(format!("{} core modules", root.modules.len())));
    };
    if root.instantiated.iter().flatten().count() != 1 {
        return Err(wiring("the core module is not instantiated exactly once"));
    }
    let lifted = functions
        .iter()
        .map(|function| {
            let exported =
                |kind, of: &HashMap<String, (ComponentExternalKind, u32)>, name: &str| {
                    of.get(name)
                        .filter(|(found, _)| *found == kind)
                        .map(|(_, index)| *index)
                };
            let instance = exported(ComponentExternalKind::Instance, &root.exports, interface)
                .ok_or_else(|| wiring(format!("`{interface}` is not exported")))?;
            root.lifted(&Env::default(), instance, function)
        })
        .collect::<Result<_, _>>()?;
    Ok((module, lifted))
}

/// What an inner component was instantiated with.
#[derive(Debug, Default)]
struct Env {
    funcs: HashMap<String, Lifted>,
}

impl Component<'_> {
    /// The function that an instance of this component exports under a name.
    fn lifted(&self, env: &Env, instance: u32, name: &str) -> Result<Lifted, ProveError> {
        match self.instances.get(instance as usize) {
            Some(Inst::Same(other)) if *other < instance => self.lifted(env, *other, name),
            Some(Inst::Exports(exports)) => match exports.get(name) {
                Some((ComponentExternalKind::Func, func)) => self.func(env, *func),
                _ => Err(wiring(format!("`{name}` is not exported"))),
            },
            Some(Inst::Of { component, args }) => {
                let inner = self
                    .components
                    .get(*component as usize)
                    .and_then(Option::as_ref)
                    .ok_or_else(|| wiring("an instance of a component from elsewhere"))?;
                let mut inside = Env::default();
                for (name, kind, index) in args {
                    if *kind == ComponentExternalKind::Func {
                        inside.funcs.insert(name.clone(), self.func(env, *index)?);
                    }
                }
                match inner.exports.get(name) {
                    Some((ComponentExternalKind::Func, func)) => inner.func(&inside, *func),
                    _ => Err(wiring(format!("`{name}` is not exported"))),
                }
            }
            _ => Err(wiring("an instance from elsewhere")),
        }
    }

    fn func(&self, env: &Env, index: u32) -> Result<Lifted, ProveError> {
        match self.funcs.get(index as usize) {
            Some(Func::Lift {
                call,
                realloc,
                post_return,
            }) => Ok(Lifted {
                call: self.core(*call)?,
                realloc: realloc.map(|index| self.core(index)).transpose()?,
                post_return: post_return.map(|index| self.core(index)).transpose()?,
            }),
            Some(Func::Alias { instance, name }) => self.lifted(env, *instance, name),
            Some(Func::Import(name)) => env
                .funcs
                .get(name)
                .cloned()
                .ok_or_else(|| wiring(format!("the import `{name}`"))),
            Some(Func::Same(other)) if *other < index => self.func(env, *other),
            _ => Err(wiring("a function from elsewhere")),
        }
    }

    /// The name under which the core module exports a core function.
    fn core(&self, index: u32) -> Result<String, ProveError> {
        let found = self.core_funcs.get(index as usize).and_then(Option::as_ref);
        let (instance, name) = found.ok_or_else(|| wiring("a core function that is no export"))?;
        match self.instantiated.get(*instance as usize) {
            Some(Some(0)) => Ok(name.clone()),
            _ => Err(wiring(
                "a core function of something that is no core module",
            )),
        }
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<(), ProveError> {
        let CanonicalFunction::Lift {
            core_func_index,
            options,
            ..
        } = function
        else {
            // Whatever it is, it makes a core function.
            self.core_funcs.push(None);
            return Ok(());
        };
        let (mut realloc, mut post_return) = (None, None);
        for option in &options {
            match option {
                CanonicalOption::Realloc(index) => realloc = Some(*index),
                CanonicalOption::PostReturn(index) => post_return = Some(*index),
                // There is one memory.
                CanonicalOption::Memory(_) | CanonicalOption::UTF8 => {}
                other => return Err(wiring(format!("the option {other:?}").to_lowercase())),
            }
        }
        self.funcs.push(Func::Lift {
            call: core_func_index,
            realloc,
            post_return,
        });
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Result<(), ProveError> {
        match alias {
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Func,
                instance_index,
                name,
            } => self
                .core_funcs
                .push(Some((instance_index, name.to_owned()))),
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Func,
                instance_index,
                name,
            } => self.funcs.push(Func::Alias {
                instance: instance_index,
                name: name.to_owned(),
            }),
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Instance,
                ..
            } => self.instances.push(Inst::Unknown),
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Type,
                ..
            }
            | ComponentAlias::CoreInstanceExport { .. } => {}
            ComponentAlias::Outer { kind, .. } => match kind {
                wasmparser::ComponentOuterAliasKind::Type
                | wasmparser::ComponentOuterAliasKind::CoreType => {}
                _ => return Err(wiring("an alias of something outside")),
            },
            ComponentAlias::InstanceExport { .. } => {
                return Err(wiring("an alias of a module or a component"));
            }
        }
        Ok(())
    }
}

/// Reads a component and all that is nested in it.
fn read(bytes: &[u8]) -> Result<Component<'_>, ProveError> {
    let mut open: Vec<Component<'_>> = Vec::new();
    // Core modules are skipped by their range; the parser still walks into them.
    let mut in_module = false;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(unreadable)?;
        if in_module {
            in_module = !matches!(payload, Payload::End(_));
            continue;
        }
        match payload {
            Payload::Version { encoding, .. } => {
                if encoding == wasmparser::Encoding::Module {
                    return Err(ProveError::NotAModule("it is a core module".into()));
                }
                open.push(Component::default());
            }
            Payload::End(_) => {
                let done = open.pop().ok_or_else(|| wiring("an unexpected end"))?;
                match open.last_mut() {
                    Some(outer) => outer.components.push(Some(done)),
                    None => return Ok(done),
                }
            }
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                let range = unchecked_range.start as usize..unchecked_range.end as usize;
                let module = bytes.get(range).ok_or_else(|| wiring("a cut module"))?;
                current(&mut open)?.modules.push(module);
                in_module = true;
            }
            other => section(current(&mut open)?, other)?,
        }
    }
    Err(ProveError::NotAModule("it ends early".into()))
}

fn current<'o, 'a>(open: &'o mut [Component<'a>]) -> Result<&'o mut Component<'a>, ProveError> {
    open.last_mut()
        .ok_or_else(|| wiring("something outside a component"))
}

fn section(component: &mut Component<'_>, payload: Payload<'_>) -> Result<(), ProveError> {
    match payload {
        Payload::InstanceSection(section) => {
            for instance in section {
                component
                    .instantiated
                    .push(match instance.map_err(unreadable)? {
                        Instance::Instantiate { module_index, .. } => Some(module_index),
                        Instance::FromExports(_) => None,
                    });
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section {
                let instance = match instance.map_err(unreadable)? {
                    ComponentInstance::Instantiate {
                        component_index,
                        args,
                    } => Inst::Of {
                        component: component_index,
                        args: args
                            .iter()
                            .map(|arg| (arg.name.to_owned(), arg.kind, arg.index))
                            .collect(),
                    },
                    ComponentInstance::FromExports(exports) => Inst::Exports(
                        exports
                            .iter()
                            .map(|export| {
                                (export.name.name.to_owned(), (export.kind, export.index))
                            })
                            .collect(),
                    ),
                };
                component.instances.push(instance);
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section {
                component.alias(alias.map_err(unreadable)?)?;
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for function in section {
                component.canonical(function.map_err(unreadable)?)?;
            }
        }
        Payload::ComponentImportSection(section) => {
            for import in section {
                let import = import.map_err(unreadable)?;
                match import.ty {
                    ComponentTypeRef::Func(_) => {
                        component
                            .funcs
                            .push(Func::Import(import.name.name.to_owned()));
                    }
                    ComponentTypeRef::Instance(_) => component.instances.push(Inst::Unknown),
                    ComponentTypeRef::Type(_) => {}
                    _ => return Err(wiring(format!("the import `{}`", import.name.name))),
                }
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section {
                let export = export.map_err(unreadable)?;
                // What is exported has a second index from then on.
                match export.kind {
                    ComponentExternalKind::Func => component.funcs.push(Func::Same(export.index)),
                    ComponentExternalKind::Instance => {
                        component.instances.push(Inst::Same(export.index))
                    }
                    ComponentExternalKind::Type => {}
                    _ => return Err(wiring(format!("the export `{}`", export.name.name))),
                }
                let entry = (export.kind, export.index);
                component.exports.insert(export.name.name.to_owned(), entry);
            }
        }
        Payload::ComponentStartSection { .. } => return Err(wiring("a start function")),
        _ => {}
    }
    Ok(())
}
