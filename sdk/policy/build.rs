//! Encodes the component type of every family world in the contract, for `export!` to embed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_component::StringEncoding;
use wit_parser::Resolve;

const CONTRACT: &str = "../wit/1.0.0";

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
    Ok(())
}
