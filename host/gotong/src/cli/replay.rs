//! `gotong replay`: the decisions of a running host, of a stopped one's store, or of a bundle.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gotong_policy_tool::replay::{self, Options, Source as Rows, Trusted};
use tokio::task::block_in_place;

use super::{CliError, Where};
use crate::config::Config;
use crate::ledger::source::Source;
use crate::startup;

#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    source: Where,
    /// A bundle that `gotong audit export` wrote, with the modules it holds: no host and no policies are needed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "url"])]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trusted: Trusted,
    #[command(flatten)]
    options: Options,
}

impl Replay {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        if let Some(file) = &self.bundle {
            let replay = || replay::replay(file, &self.trusted, &self.options);
            return Ok(block_in_place(replay)?.into());
        }
        let policies = startup::load_policies(&config)?;
        let question = self.options.question(policies.engine())?;
        let source = self.source.open(config).await?;
        let rows = Rows {
            modules: &policies,
            rows: source.walk(&question.filter),
            size: Source::size_of_row,
            read: |row| Ok(Some(row)),
            total: None,
            about: None,
        };
        let outcome = block_in_place(|| question.ask(policies.engine(), rows))?;
        Ok(outcome.into())
    }
}
