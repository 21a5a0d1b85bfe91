//! Reads the contracts in `sdk/wit` and writes the host's words from the newest: one Rust module per
//! interface, one `Family` per world. The shape of what is written is in `src/contract/macros.rs`;
//! this program only says which words there are.
//!
//! A minor version adds and changes nothing, so that modules of an older one are asked by the same words: a
//! contract that is not contained in the newest stops the build.

#[path = "src/check/same.rs"]
mod same;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wit_parser::{
    Function, Interface, InterfaceId, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeId,
    TypeOwner, WorldItem,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CONTRACTS: &str = "../../sdk/wit";

/// One version of the contract.
struct Version {
    folder: PathBuf,
    number: [u64; 3],
    resolve: Resolve,
    package: PackageId,
}

fn main() -> Result<()> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join(CONTRACTS);
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=src/check/same.rs");
    let mut versions = versions(&folder)?;
    let newest = versions.pop().ok_or("there is no contract")?;
    for older in &versions {
        contained(older, &newest)?;
    }
    let mut out = String::new();
    versions.push(newest);
    contracts(&mut out, &versions)?;
    if let Some(Version {
        resolve, package, ..
    }) = versions.last()
    {
        for (name, id) in &resolve.packages[*package].interfaces {
            interface(&mut out, resolve, name, *id)?;
        }
        families(&mut out, resolve, *package)?;
    }
    let target = PathBuf::from(std::env::var("OUT_DIR")?).join("contract.rs");
    std::fs::write(target, out)?;
    Ok(())
}

/// Every folder of the contract, the oldest version first.
fn versions(folder: &Path) -> Result<Vec<Version>> {
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let parts: Vec<u64> = name
            .split('.')
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()?;
        let number: [u64; 3] = parts
            .try_into()
            .map_err(|_| format!("`{name}` is no version"))?;
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&folder)?;
        versions.push(Version {
            folder,
            number,
            resolve,
            package,
        });
    }
    versions.sort_by_key(|version| version.number);
    Ok(versions)
}

/// Every function of the older contract is one of the newer, with the same types.
fn contained(older: &Version, newer: &Version) -> Result<()> {
    let (old, new) = (&older.resolve, &newer.resolve);
    for (name, id) in &old.packages[older.package].interfaces {
        let other = new.packages[newer.package]
            .interfaces
            .get(name)
            .ok_or_else(|| format!("{:?} has no interface `{name}`: the newest contract holds all that older ones hold", newer.number))?;
        for (function_name, function) in &old.interfaces[*id].functions {
            let other = new.interfaces[*other].functions.get(function_name);
            if !other.is_some_and(|other| same::same_function((old, function), (new, other))) {
                return Err(format!(
                    "`{name}.{function_name}` is another one in {:?}: a minor version only adds",
                    newer.number
                )
                .into());
            }
        }
    }
    Ok(())
}

/// The names of the contracts and their files.
fn contracts(out: &mut String, versions: &[Version]) -> Result<()> {
    let name_of = |version: &Version| version.resolve.packages[version.package].name.to_string();
    let newest = versions.last().map(name_of).unwrap_or_default();
    let all: Vec<String> = versions.iter().map(name_of).collect();
    writeln!(out, "/// The contract this host speaks: the newest.")?;
    writeln!(out, "pub const ABI: &str = {newest:?};")?;
    writeln!(
        out,
        "/// Every contract whose modules this host loads, the oldest first."
    )?;
    writeln!(out, "pub const ABIS: &[&str] = &{all:?};")?;
    writeln!(out, "/// The files of every contract: name and text.")?;
    writeln!(
        out,
        "pub(crate) const CONTRACTS: &[(&str, &[(&str, &str)])] = &["
    )?;
    for version in versions {
        writeln!(out, "    ({:?}, &[", name_of(version))?;
        for file in wit_files(&version.folder)? {
            println!("cargo::rerun-if-changed={}", file.display());
            let short = file.file_name().unwrap_or_default().to_string_lossy();
            let path = file.display().to_string();
            writeln!(out, "        ({short:?}, include_str!({path:?})),")?;
        }
        writeln!(out, "    ]),")?;
    }
    writeln!(out, "];")?;
    Ok(())
}

fn wit_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// One interface: its own types, and those it uses from others under their own names.
fn interface(out: &mut String, resolve: &Resolve, name: &str, id: InterfaceId) -> Result<()> {
    let item = &resolve.interfaces[id];
    docs(
        out,
        item.docs.contents.as_deref(),
        &format!("interface `{name}`"),
        "",
    )?;
    writeln!(out, "pub mod {} {{", snake(name))?;
    for type_id in item.types.values() {
        let def = &resolve.types[*type_id];
        let type_name = named(def)?;
        match &def.kind {
            TypeDefKind::Type(Type::Id(used)) => {
                writeln!(out, "    pub use {};", path_of(resolve, *used)?)?
            }
            TypeDefKind::Record(_) => record(out, resolve, def, type_name)?,
            TypeDefKind::Enum(item) => {
                if item.cases.len() > 256 {
                    return Err(format!("enum `{type_name}` has more than 256 cases").into());
                }
                writeln!(out, "    crate::contract::macros::words! {{")?;
                docs(
                    out,
                    def.docs.contents.as_deref(),
                    &format!("`{type_name}`"),
                    "        ",
                )?;
                writeln!(out, "        {} {{", camel(type_name))?;
                for case in &item.cases {
                    docs(
                        out,
                        case.docs.contents.as_deref(),
                        &format!("`{}`", snake(&case.name)),
                        "            ",
                    )?;
                    writeln!(
                        out,
                        "            {} {:?} {:?};",
                        camel(&case.name),
                        case.name,
                        snake(&case.name)
                    )?;
                }
                writeln!(out, "        }}\n    }}")?;
            }
            TypeDefKind::Flags(item) => {
                if item.flags.len() > 32 {
                    return Err(format!("flags `{type_name}` has more than 32 flags").into());
                }
                writeln!(out, "    crate::contract::macros::flag_words! {{")?;
                docs(
                    out,
                    def.docs.contents.as_deref(),
                    &format!("`{type_name}`"),
                    "        ",
                )?;
                writeln!(
                    out,
                    "        {} in {}_flags {{",
                    camel(type_name),
                    snake(type_name)
                )?;
                for flag in &item.flags {
                    writeln!(
                        out,
                        "            {} {:?} {:?};",
                        snake(&flag.name).to_uppercase(),
                        flag.name,
                        snake(&flag.name)
                    )?;
                }
                writeln!(out, "        }}\n    }}")?;
            }
            _ => {
                return Err(format!(
                    "type `{type_name}`: only record, enum, flags and use are generated"
                )
                .into());
            }
        }
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn record(out: &mut String, resolve: &Resolve, def: &TypeDef, type_name: &str) -> Result<()> {
    let TypeDefKind::Record(item) = &def.kind else {
        return Ok(());
    };
    writeln!(out, "    crate::contract::macros::record! {{")?;
    docs(
        out,
        def.docs.contents.as_deref(),
        &format!("`{type_name}`"),
        "        ",
    )?;
    writeln!(out, "        {} {{", camel(type_name))?;
    for field in &item.fields {
        docs(
            out,
            field.docs.contents.as_deref(),
            &format!("`{}`", snake(&field.name)),
            "            ",
        )?;
        writeln!(out, "            #[component(name = {:?})]", field.name)?;
        if matches!(field.ty, Type::U64 | Type::S64) {
            writeln!(
                out,
                "            #[serde(with = \"crate::contract::exact\")]"
            )?;
        }
        writeln!(
            out,
            "            {}: {},",
            field_name(&field.name),
            rust_type(resolve, &field.ty, true)?
        )?;
    }
    writeln!(out, "        }}\n    }}")?;
    Ok(())
}

/// A family for every world; its questions are the functions of the interface the world exports.
fn families(out: &mut String, resolve: &Resolve, package: PackageId) -> Result<()> {
    writeln!(out, "crate::contract::macros::families! {{")?;
    for (world_name, world) in &resolve.packages[package].worlds {
        // A world exports its family beside interfaces of types alone.
        let asked: Vec<InterfaceId> = resolve.worlds[*world]
            .exports
            .values()
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. }
                    if !resolve.interfaces[*id].functions.is_empty() =>
                {
                    Some(*id)
                }
                _ => None,
            })
            .collect();
        let [id] = asked[..] else {
            return Err(format!(
                "world `{world_name}` must export exactly one interface with functions"
            )
            .into());
        };
        let interface: &Interface = &resolve.interfaces[id];
        let name = interface
            .name
            .as_deref()
            .ok_or("an interface without a name")?;
        let full = resolve.id_of(id).ok_or("an interface without a name")?;
        // Without its version: a module may speak an older one.
        let full = full
            .rsplit_once('@')
            .map_or(full.as_str(), |(name, _)| name);
        docs(
            out,
            interface.docs.contents.as_deref(),
            &format!("`{name}`"),
            "    ",
        )?;
        writeln!(
            out,
            "    {} {name:?} {world_name:?} {full:?} {{",
            camel(name)
        )?;
        let questions = interface
            .functions
            .values()
            .filter(|function| function.name != "describe");
        for (index, function) in questions.enumerate() {
            question(out, resolve, name, index, function)?;
        }
        writeln!(out, "    }}")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn question(
    out: &mut String,
    resolve: &Resolve,
    family: &str,
    index: usize,
    function: &Function,
) -> Result<()> {
    let wrong = || {
        format!(
            "`{family}.{}` must take one record named `facts` and answer something",
            function.name
        )
    };
    let ([facts], Some(ruling)) = (&function.params[..], &function.result) else {
        return Err(wrong().into());
    };
    let Type::Id(facts) = facts.ty else {
        return Err(wrong().into());
    };
    docs(
        out,
        function.docs.contents.as_deref(),
        &format!("`{}`", function.name),
        "        ",
    )?;
    let facts = path_of(resolve, facts)?.replace("super::", "");
    let ruling = rust_type(resolve, ruling, false)?.replace("super::", "");
    writeln!(
        out,
        "        {index} {:?} ({facts}) ({ruling});",
        function.name
    )?;
    Ok(())
}

/// The Rust type of a WIT type, as seen from inside a module of an interface. `in_record`: wide
/// integers are allowed only as fields, where they are kept within what JSON can say exactly.
fn rust_type(resolve: &Resolve, ty: &Type, in_record: bool) -> Result<String> {
    Ok(match ty {
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U16 => "u16".into(),
        Type::U32 => "u32".into(),
        Type::S8 => "i8".into(),
        Type::S16 => "i16".into(),
        Type::S32 => "i32".into(),
        Type::U64 if in_record => "u64".into(),
        Type::S64 if in_record => "i64".into(),
        Type::String => "String".into(),
        Type::Id(id) => match &resolve.types[*id].kind {
            TypeDefKind::Option(inner) => format!("Option<{}>", rust_type(resolve, inner, false)?),
            TypeDefKind::List(inner) => format!("Vec<{}>", rust_type(resolve, inner, false)?),
            _ => path_of(resolve, *id)?,
        },
        // A float has no one text, and a wide integer inside a list or an option has no guard.
        other => return Err(format!("type {other:?} has no place in the contract").into()),
    })
}

fn path_of(resolve: &Resolve, id: TypeId) -> Result<String> {
    let mut def = &resolve.types[id];
    while let TypeDefKind::Type(Type::Id(next)) = &def.kind {
        def = &resolve.types[*next];
    }
    let TypeOwner::Interface(owner) = def.owner else {
        return Err("a type outside an interface".into());
    };
    let module = resolve.interfaces[owner]
        .name
        .as_deref()
        .ok_or("an interface without a name")?;
    Ok(format!("super::{}::{}", snake(module), camel(named(def)?)))
}

fn named(def: &TypeDef) -> Result<&str> {
    def.name
        .as_deref()
        .ok_or_else(|| "a type without a name".into())
}

fn docs(out: &mut String, text: Option<&str>, otherwise: &str, indent: &str) -> Result<()> {
    for line in text.unwrap_or(otherwise).lines() {
        writeln!(out, "{indent}#[doc = {:?}]", format!(" {}", line.trim()))?;
    }
    Ok(())
}

fn snake(kebab: &str) -> String {
    kebab.replace('-', "_")
}

fn camel(kebab: &str) -> String {
    let upper_first = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    kebab.split('-').map(upper_first).collect()
}

fn field_name(kebab: &str) -> String {
    match kebab {
        "type" | "match" | "move" | "ref" | "use" | "where" | "loop" | "in" | "for" => {
            format!("r#{kebab}")
        }
        _ => snake(kebab),
    }
}
