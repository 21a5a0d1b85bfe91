//! `gotong replay`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{CliError, Where};
use crate::config::Config;
use crate::rulings::replay::replay_all;
use crate::startup;

#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    source: Where,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let policies = startup::load_policies(&config)?;
        let source = self.source.open(config).await?;
        let summary = replay_all(&policies, &source).await?;
        if self.json {
            println!("{}", json!(summary));
        } else {
            println!(
                "{} decisions: {} match, {} diverged, {} not replayable",
                summary.total(),
                summary.matching,
                summary.diverged,
                summary.not_replayable
            );
            for listed in &summary.listed {
                println!(
                    "  {} {}.{}: {}",
                    listed.decision_id,
                    listed.family,
                    listed.function,
                    json!(listed.verdict)
                );
            }
        }
        Ok(if summary.diverged == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
