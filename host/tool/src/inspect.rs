//! `policy inspect`: what a module is.

use std::path::PathBuf;

use clap::Args;
use gotong_engine::{Engine, Module};

use crate::given;
use crate::{Outcome, ToolError};

/// The arguments of `policy inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A module
    file: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let given = given::file(&self.file)?;
        let checked = &given.checked;
        let module = Module::from_bytes(&Engine::new()?, &given.bytes)?;
        if self.json {
            let object =
                serde_json::json!({ "module": checked, "imports": [], "rules": module.rules() });
            println!("{object:#}");
            return Ok(Outcome::Held);
        }
        let says = &checked.metadata;
        println!("{} {}, family {}", says.name, says.version, says.family);
        println!("  digest     {}", checked.digest);
        println!(
            "  size       {} bytes, {} functions",
            checked.size, checked.functions
        );
        println!(
            "  memory     {} bytes, at most {}",
            checked.memory_initial, checked.memory_maximum
        );
        println!("  imports    none");
        println!("  exports    {}", checked.exports.join(", "));
        println!("  source     {}", says.source);
        println!("  toolchain  {}", says.toolchain);
        println!("  rules");
        for rule in module.rules() {
            println!("    {}: {}", rule.id, rule.text);
        }
        Ok(Outcome::Held)
    }
}
