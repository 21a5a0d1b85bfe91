//! `policy inspect`: what a module is.

use clap::Args;
use gotong_engine::{Engine, printable};

use crate::folder::Policies;
use crate::given;
use crate::{Outcome, ToolError, out};

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
            out::json_indented(&object);
            return Ok(Outcome::Held);
        }
        let says = &checked.metadata;
        say!("{} {}, family {}", says.name, says.version, says.family);
        say!("  digest     {}", checked.digest);
        say!(
            "  size       {} bytes, {} functions",
            checked.size,
            checked.functions
        );
        say!(
            "  memory     {} bytes, at most {}",
            checked.memory_initial,
            checked.memory_maximum
        );
        say!("  imports    none");
        say!("  exports    {}", checked.exports.join(", "));
        say!("  source     {}", printable(&says.source));
        say!("  toolchain  {}", printable(&says.toolchain));
        say!("  rules");
        for rule in module.rules() {
            say!("    {}: {}", printable(&rule.id), printable(&rule.text));
        }
        Ok(Outcome::Held)
    }
}
