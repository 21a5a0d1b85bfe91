//! `policy inspect`: what a module is.

use clap::Args;
use gotong_engine::Engine;

use crate::folder::Policies;
use crate::given;
use crate::{Outcome, ToolError};

/// The arguments of `policy inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A module: a file, or `NAME` or `NAME@VERSION` of a pinned one
    #[arg(value_name = "FILE|NAME")]
    module: String,
    #[command(flatten)]
    policies: Policies,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let given = given::file_or_pin(&self.module, &self.policies)?;
        let checked = &given.checked;
        let module = given.load(&Engine::new()?)?;
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
