//! `policy override`: one community runs its own module.

use clap::Args;
use gotong_engine::{Family, lifecycle};

use crate::folder::Policies;
use crate::module::{Named, tell_unsigned};
use crate::{Outcome, ToolError};

/// The arguments of `policy override`.
#[derive(Debug, Args)]
pub struct Override {
    /// A place: it and everything below it, such as `id/jabar/depok`
    scope: String,
    /// The pinned module that decides there: NAME@VERSION
    #[arg(required_unless_present = "remove", conflicts_with = "remove")]
    module: Option<Named>,
    /// Let this family be decided there by whoever decides around it again
    #[arg(long, value_name = "FAMILY")]
    remove: Option<Family>,
    #[command(flatten)]
    policies: Policies,
}

impl Override {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let dir = self.policies.open()?;
        let (one, freed, verb) = match (&self.module, self.remove) {
            (Some(module), _) => {
                let (one, freed) =
                    lifecycle::set_override(&dir, &self.scope, &module.name, &module.version)?;
                (one, freed, "decides")
            }
            (None, Some(family)) => {
                let (one, freed) = lifecycle::remove_override(&dir, &self.scope, family)?;
                (one, freed, "decides no more")
            }
            // The command line asks for one of the two.
            (None, None) => return Ok(Outcome::Held),
        };
        let freed = freed.map(|module| format!("; retired: {module}"));
        say!(
            "{} {verb} {} in {} and below{}",
            one.module(),
            one.family,
            one.scope,
            freed.unwrap_or_default()
        );
        tell_unsigned(&dir);
        Ok(Outcome::Held)
    }
}
