//! `policy pin`: a built module becomes a pinned one.

use clap::{Args, ValueEnum};
use gotong_engine::pin::Pinned;
use gotong_engine::{Mode, pin};

use crate::folder::Policies;
use crate::given::{self, line};
use crate::module::{displaced, tell_unsigned};
use crate::{Outcome, ToolError};

/// The arguments of `policy pin`.
#[derive(Debug, Args)]
pub struct Pin {
    /// Modules of the workspace around the policies folder, or folders of policy crates
    #[arg(value_name = "NAME|DIR", required = true)]
    names: Vec<String>,
    /// What a new version is for
    #[arg(
        long = "mode",
        value_name = "MODE",
        value_enum,
        default_value = "active"
    )]
    mode: NewMode,
    #[command(flatten)]
    policies: Policies,
}

/// What a new version is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NewMode {
    /// It decides from the next start on, and the former one is retired
    Active,
    /// It is evaluated beside the active one; differences are counted and kept
    Shadow,
    /// It decides only where `policy override` names it
    Scoped,
}

impl From<NewMode> for Mode {
    fn from(mode: NewMode) -> Self {
        match mode {
            NewMode::Active => Self::Active,
            NewMode::Shadow => Self::Shadow,
            NewMode::Scoped => Self::Scoped,
        }
    }
}

impl Pin {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let dir = self.policies.open()?;
        for name in &self.names {
            let built = given::build(&given::package(name, &self.policies)?)?;
            let pinned = pin::pin_as(&dir, &built.bytes, self.mode.into())?;
            say!(
                "{}, {}",
                line(&built.checked),
                what(&pinned, self.mode.into())
            );
            if !pinned.unchanged {
                tell_unsigned(&dir);
            }
        }
        Ok(Outcome::Held)
    }
}

fn what(pinned: &Pinned, asked: Mode) -> String {
    let mode = pinned.pin.mode;
    match (pinned.unchanged, mode == asked) {
        (false, _) => mode.as_str().to_owned() + &displaced(&pinned.retired, &pinned.scoped),
        (true, true) => format!("pinned before, {}", mode.as_str()),
        // A pin says what a file is; which one decides is said by commands of their own.
        (true, false) => format!(
            "pinned before, still {}: `gotong policy activate`, `rollback` and `override` change that",
            mode.as_str()
        ),
    }
}
