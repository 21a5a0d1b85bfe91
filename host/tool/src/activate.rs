//! `policy activate` and `policy rollback`: which pinned version decides.

use clap::Args;
use gotong_engine::lifecycle::{self, Activated};

use crate::folder::Policies;
use crate::module::{Named, displaced, tell_unsigned};
use crate::{Outcome, ToolError};

/// The arguments of `policy activate`.
#[derive(Debug, Args)]
pub struct Activate {
    /// A pinned module: NAME@VERSION
    module: Named,
    #[command(flatten)]
    policies: Policies,
}

/// The arguments of `policy rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// A module
    name: String,
    /// The version to go back to; unset: the highest retired one below the active one
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    policies: Policies,
}

impl Activate {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let dir = self.policies.open()?;
        let done = lifecycle::activate(&dir, &self.module.name, &self.module.version)?;
        tell(&done);
        tell_unsigned(&dir);
        Ok(Outcome::Held)
    }
}

impl Rollback {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let dir = self.policies.open()?;
        let done = lifecycle::rollback(&dir, &self.name, self.to.as_deref())?;
        tell(&done);
        tell_unsigned(&dir);
        Ok(Outcome::Held)
    }
}

fn tell(done: &Activated) {
    say!(
        "{}@{} {}, active (was {}){}",
        done.pin.name,
        done.pin.version,
        done.pin.digest,
        done.was.as_str(),
        displaced(&done.retired, &done.scoped)
    );
}
