//! What a module exports and imports, held against the contracts this host speaks.

use std::sync::LazyLock;

use wit_component::DecodedWasm;
use wit_parser::{InterfaceId, Resolve, SourceMap, WorldItem};

use super::same::same_function;
use super::{CheckError, Rule};
use crate::contract::{CONTRACTS, Family};

/// One version of the contract, as it was read when this crate was built.
pub(crate) struct Version {
    /// `gotong:policy@MAJOR.MINOR.PATCH`.
    pub(crate) abi: &'static str,
    pub(crate) resolve: Resolve,
}

/// Every version of the contract, the oldest first.
static VERSIONS: LazyLock<Result<Vec<Version>, String>> = LazyLock::new(|| {
    CONTRACTS
        .iter()
        .map(|(abi, wit)| match read(wit) {
            Ok(resolve) => Ok(Version { abi, resolve }),
            Err(error) => Err(format!("{abi}: {error:#}")),
        })
        .collect()
});

/// The contracts, for the check and for building modules; the oldest first.
pub(crate) fn versions() -> Result<&'static [Version], &'static str> {
    match &*VERSIONS {
        Ok(versions) => Ok(versions),
        Err(error) => Err(error),
    }
}

fn read(wit: &[(&str, &str)]) -> Result<Resolve, Box<dyn std::error::Error + Send + Sync>> {
    let mut files = SourceMap::new();
    for (name, text) in wit {
        files.push_str(name, *text);
    }
    let mut resolve = Resolve::default();
    let group = files.parse().map_err(|(_, error)| error.to_string())?;
    resolve.push_group(group)?;
    Ok(resolve)
}

/// What a module is, by what it exports.
pub(super) struct Surface {
    pub(super) family: Family,
    pub(super) abi: &'static str,
    pub(super) exports: Vec<String>,
}

/// The family and the version of the contract whose world the module is of, and the names of what it exports.
pub(super) fn surface(bytes: &[u8]) -> Result<Surface, CheckError> {
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
    let versions = versions().map_err(|error| {
        CheckError::new(
            Rule::Interface,
            format!("the contract itself cannot be read: {error}"),
        )
    })?;
    let mut exports: Vec<String> = world
        .exports
        .keys()
        .map(|key| found.name_world_key(key))
        .collect();
    exports.sort();
    let (version, family) = versions
        .iter()
        .flat_map(|version| Family::ALL.iter().map(move |family| (version, *family)))
        .find(|(version, family)| exports_of(&version.resolve, *family).as_ref() == Some(&exports))
        .ok_or_else(|| unknown_world(&exports, versions))?;
    for item in world.exports.values() {
        if let WorldItem::Interface { id, .. } = item {
            same_interface((&version.resolve, &found), *id)?;
        }
    }
    Ok(Surface {
        family,
        abi: version.abi,
        exports,
    })
}

fn unknown_world(exports: &[String], versions: &[Version]) -> CheckError {
    let found = if exports.is_empty() {
        "nothing".to_owned()
    } else {
        exports.join(", ")
    };
    let known: Vec<&str> = versions.iter().map(|version| version.abi).collect();
    CheckError::new(
        Rule::World,
        format!(
            "it exports {found}, which is no world of {}",
            known.join(" or ")
        ),
    )
}

/// What a module of a family exports, sorted; none where this version of the contract has no such family.
fn exports_of(contract: &Resolve, family: Family) -> Option<Vec<String>> {
    let (_, world) = contract
        .worlds
        .iter()
        .find(|(_, world)| world.name == family.world())?;
    let mut names: Vec<String> = world
        .exports
        .keys()
        .map(|key| contract.name_world_key(key))
        .collect();
    names.sort();
    Some(names)
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
