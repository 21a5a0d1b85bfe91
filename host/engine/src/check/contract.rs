//! What a module exports and imports, held against the contract.

use std::sync::LazyLock;

use wit_component::DecodedWasm;
use wit_parser::{Function, InterfaceId, Resolve, SourceMap, Type, TypeDefKind, WorldItem};

use super::{CheckError, Rule};
use crate::contract::{Family, WIT};

/// The contract as it was read when this crate was built.
static CONTRACT: LazyLock<Result<Resolve, String>> =
    LazyLock::new(|| contract().map_err(|error| format!("{error:#}")));

/// The contract, for the check and for building modules.
pub(crate) fn resolve() -> Result<&'static Resolve, &'static str> {
    CONTRACT.as_ref().map_err(String::as_str)
}

fn contract() -> Result<Resolve, Box<dyn std::error::Error + Send + Sync>> {
    let mut files = SourceMap::new();
    for (name, text) in WIT {
        files.push_str(name, *text);
    }
    let mut resolve = Resolve::default();
    let group = files.parse().map_err(|(_, error)| error.to_string())?;
    resolve.push_group(group)?;
    Ok(resolve)
}

/// The family whose world the module is of, and the names of what it exports.
pub(super) fn surface(bytes: &[u8]) -> Result<(Family, Vec<String>), CheckError> {
    let decoded = wit_component::decode(bytes).map_err(|error| {
        CheckError::new(
            Rule::Interface,
            format!("its types cannot be read: {error:#}"),
        )
    })?;
    let DecodedWasm::Component(found, world) = decoded else {
        return Err(CheckError::new(
            Rule::IsComponent,
            "the file is a WIT package without code",
        ));
    };
    let world = &found.worlds[world];
    if let Some(key) = world.imports.keys().next() {
        return Err(CheckError::new(
            Rule::NoImports,
            format!("it imports `{}`", found.name_world_key(key)),
        ));
    }
    let contract = resolve().map_err(|error| {
        CheckError::new(
            Rule::Interface,
            format!("the contract itself cannot be read: {error}"),
        )
    })?;
    let mut exported: Vec<String> = world
        .exports
        .keys()
        .map(|key| found.name_world_key(key))
        .collect();
    exported.sort();
    let family = Family::ALL
        .iter()
        .copied()
        .find(|family| exports_of(contract, *family) == exported)
        .ok_or_else(|| {
            let found = if exported.is_empty() {
                "nothing".to_owned()
            } else {
                exported.join(", ")
            };
            CheckError::new(
                Rule::World,
                format!(
                    "it exports {found}, which is no world of {}",
                    crate::contract::ABI
                ),
            )
        })?;
    for item in world.exports.values() {
        if let WorldItem::Interface { id, .. } = item {
            same_interface((contract, &found), *id)?;
        }
    }
    Ok((family, exported))
}

/// What a module of a family exports, sorted.
fn exports_of(contract: &Resolve, family: Family) -> Vec<String> {
    let world = contract
        .worlds
        .iter()
        .find(|(_, world)| world.name == family.world());
    let mut names: Vec<String> = world
        .iter()
        .flat_map(|(_, world)| world.exports.keys())
        .map(|key| contract.name_world_key(key))
        .collect();
    names.sort();
    names
}

/// An exported interface against the contract's: the same functions with the same types. Types
/// that no function uses have no effect and are not compared.
fn same_interface(
    (contract, found): (&Resolve, &Resolve),
    id: InterfaceId,
) -> Result<(), CheckError> {
    let wrong = |message: String| CheckError::new(Rule::Interface, message);
    let name = found.id_of(id).unwrap_or_default();
    let expected = contract
        .interfaces
        .iter()
        .find(|(id, _)| contract.id_of(*id).is_some_and(|id| id == name))
        .map(|(_, interface)| interface)
        .ok_or_else(|| wrong(format!("the contract has no `{name}`")))?;
    let interface = &found.interfaces[id];
    if let Some(extra) = interface
        .functions
        .keys()
        .find(|name| !expected.functions.contains_key(*name))
    {
        return Err(wrong(format!("`{extra}` is no function of `{name}`")));
    }
    for (function_name, function) in &expected.functions {
        let Some(given) = interface.functions.get(function_name) else {
            return Err(wrong(format!("`{function_name}` of `{name}` is missing")));
        };
        if !same_function((contract, function), (found, given)) {
            return Err(wrong(format!(
                "`{function_name}` of `{name}` has other types than the contract"
            )));
        }
    }
    Ok(())
}

fn same_function((a, first): (&Resolve, &Function), (b, second): (&Resolve, &Function)) -> bool {
    first.params.len() == second.params.len()
        && first
            .params
            .iter()
            .zip(&second.params)
            .all(|(x, y)| x.name == y.name && same_type((a, &x.ty), (b, &y.ty)))
        && match (&first.result, &second.result) {
            (None, None) => true,
            (Some(x), Some(y)) => same_type((a, x), (b, y)),
            _ => false,
        }
}

/// Structural equality of the types the contract is made of.
fn same_type((a, first): (&Resolve, &Type), (b, second): (&Resolve, &Type)) -> bool {
    let (Type::Id(first), Type::Id(second)) = (first, second) else {
        return match (first, second) {
            (Type::Id(id), plain) | (plain, Type::Id(id)) => {
                let resolve = if matches!(first, Type::Id(_)) { a } else { b };
                matches!(&resolve.types[*id].kind, TypeDefKind::Type(alias) if alias == plain)
            }
            _ => first == second,
        };
    };
    match (&a.types[*first].kind, &b.types[*second].kind) {
        (TypeDefKind::Type(alias), _) => same_type((a, alias), (b, &Type::Id(*second))),
        (_, TypeDefKind::Type(alias)) => same_type((a, &Type::Id(*first)), (b, alias)),
        (TypeDefKind::Record(x), TypeDefKind::Record(y)) => {
            x.fields.len() == y.fields.len()
                && x.fields
                    .iter()
                    .zip(&y.fields)
                    .all(|(x, y)| x.name == y.name && same_type((a, &x.ty), (b, &y.ty)))
        }
        (TypeDefKind::Enum(x), TypeDefKind::Enum(y)) => x
            .cases
            .iter()
            .map(|case| &case.name)
            .eq(y.cases.iter().map(|case| &case.name)),
        (TypeDefKind::Flags(x), TypeDefKind::Flags(y)) => x
            .flags
            .iter()
            .map(|flag| &flag.name)
            .eq(y.flags.iter().map(|flag| &flag.name)),
        (TypeDefKind::Option(x), TypeDefKind::Option(y))
        | (TypeDefKind::List(x), TypeDefKind::List(y)) => same_type((a, x), (b, y)),
        // The contract has no other kind; `build.rs` refuses them.
        _ => false,
    }
}
