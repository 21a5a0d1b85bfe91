//! `policy pin`: a built module becomes a pinned one.

use clap::Args;
use gotong_engine::{build, pin};

use crate::folder::Policies;
use crate::given::line;
use crate::{Outcome, ToolError};

/// The arguments of `policy pin`.
#[derive(Debug, Args)]
pub struct Pin {
    /// Modules
    #[arg(required = true)]
    names: Vec<String>,
    #[command(flatten)]
    policies: Policies,
}

impl Pin {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let workspace = self.policies.workspace()?;
        let dir = self.policies.open()?;
        for name in &self.names {
            let built = build::build(&workspace, name)?;
            let pinned = pin::pin(&dir, &built.bytes)?;
            let what = match (pinned.unchanged, &pinned.retired[..]) {
                (true, _) => "pinned before".to_owned(),
                (false, []) => "active".to_owned(),
                (false, retired) => format!("active; retired: {}", retired.join(", ")),
            };
            println!("{}, {what}", line(&built.checked));
        }
        Ok(Outcome::Held)
    }
}
