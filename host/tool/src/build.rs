//! `policy build`: modules from their sources, held against their pins.

use clap::Args;
use gotong_engine::build::{self, Built};
use gotong_engine::pin;

use crate::folder::Policies;
use crate::given::{self, line};
use crate::{Outcome, ToolError};

/// The arguments of `policy build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Modules of the workspace around the policies folder, or folders of policy crates; none: every policy of the
    /// workspace
    #[arg(value_name = "NAME|DIR")]
    names: Vec<String>,
    /// Fail unless every built module is the pinned one, byte for byte
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    policies: Policies,
}

impl Build {
    /// Says for each module whether it is what is pinned.
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let lock = pin::read_lock(&self.policies.open()?)?;
        let packages = if self.names.is_empty() {
            build::packages(&self.policies.workspace()?)?
        } else {
            let names = self.names.iter();
            names
                .map(|name| given::package(name, &self.policies))
                .collect::<Result<_, _>>()?
        };
        let mut unlike = Vec::new();
        for package in &packages {
            // What is verified is built as it is committed, the lock of its dependencies too.
            let Built { checked, .. } = if self.verify {
                build::build_package(package)?
            } else {
                given::build(package)?
            };
            let says = &checked.metadata;
            let as_pinned = lock
                .pin(&says.name, &says.version)
                .map(|pin| pin.digest == checked.digest);
            let pinned = match as_pinned {
                None => "not pinned",
                Some(true) => "as pinned",
                Some(false) => "differs from the pin of this version",
            };
            say!("{}, {pinned}", line(&checked));
            if as_pinned != Some(true) {
                unlike.push(format!("{}@{} is {pinned}", says.name, says.version));
            }
        }
        if self.verify && !unlike.is_empty() {
            complain!(
                "{}: raise the version in its Cargo.toml and pin it, or restore its sources",
                unlike.join("; ")
            );
            return Ok(Outcome::DidNotHold);
        }
        Ok(Outcome::Held)
    }
}
