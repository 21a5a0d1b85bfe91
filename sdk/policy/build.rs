//! Encodes the component type of every family world in the contract, for `export!` to embed, and writes which
//! words, records and functions there are as JSON: what is made of them stands in `src/native/mod.rs`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_component::StringEncoding;
use wit_parser::{Interface, PackageId, Resolve, TypeDefKind};

const CONTRACT: &str = "../wit/1.1.0";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(CONTRACT))?;
    for (name, world) in &resolve.packages[package].worlds {
        let component_type =
            wit_component::metadata::encode(&resolve, *world, StringEncoding::UTF8, None, false)?;
        fs::write(out.join(format!("{name}.component-type")), component_type)?;
    }
    fs::write(out.join("native.rs"), native(&resolve, package)?)?;
    Ok(())
}

fn native(resolve: &Resolve, package: PackageId) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        types(&mut out, resolve, interface, &snake(name))?;
        if !interface.functions.is_empty() {
            family(&mut out, interface, name)?;
        }
    }
    Ok(out)
}

fn types(
    out: &mut String,
    resolve: &Resolve,
    interface: &Interface,
    module: &str,
) -> Result<(), Box<dyn Error>> {
    for (name, id) in &interface.types {
        let (maker, mut members): (_, Vec<(String, String)>) = match &resolve.types[*id].kind {
            // Used from another interface, which has it.
            TypeDefKind::Type(_) => continue,
            TypeDefKind::Enum(item) => {
                let case = |name: &str| (camel(name), snake(name));
                (
                    "word",
                    item.cases.iter().map(|each| case(&each.name)).collect(),
                )
            }
            TypeDefKind::Flags(item) => {
                let flag = |name: &str| (snake(name).to_uppercase(), snake(name));
                (
                    "words",
                    item.flags.iter().map(|each| flag(&each.name)).collect(),
                )
            }
            TypeDefKind::Record(item) => {
                let field = |name: &str| (field_name(name), snake(name));
                (
                    "record",
                    item.fields.iter().map(|each| field(&each.name)).collect(),
                )
            }
            _ => {
                return Err(format!(
                    "type `{name}`: only record, enum, flags and use are generated"
                )
                .into());
            }
        };
        if maker == "record" {
            members.sort_by(|(_, a), (_, b)| a.cmp(b));
        }
        let path = format!("policy::{module}::{}", camel(name));
        write!(out, "{maker}! {{ {path}, {:?} {{ ", name.replace('-', " "))?;
        for (member, word) in members {
            write!(out, "{member} {word:?}, ")?;
        }
        writeln!(out, "}} }}")?;
    }
    Ok(())
}

fn family(out: &mut String, interface: &Interface, name: &str) -> Result<(), Box<dyn Error>> {
    write!(
        out,
        "family! {{ /// The family `{name}`.\n {} {name:?} {{ ",
        snake(name)
    )?;
    for function in interface
        .functions
        .keys()
        .filter(|name| *name != "describe")
    {
        write!(out, "{function:?} {}, ", snake(function))?;
    }
    writeln!(out, "}} }}")?;
    Ok(())
}

fn snake(kebab: &str) -> String {
    kebab.replace('-', "_")
}

/// As wit-bindgen names a type or a case.
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

/// As wit-bindgen names a field: a keyword gets an underscore.
fn field_name(kebab: &str) -> String {
    match kebab {
        "type" | "match" | "move" | "ref" | "use" | "where" | "loop" | "in" | "for" => {
            format!("{kebab}_")
        }
        _ => snake(kebab),
    }
}
