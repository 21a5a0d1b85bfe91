//! `gotong audit`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, Where};
use crate::config::Config;
use crate::ledger::verify::verify;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk every stream's hash chain and name the first event that does not hold
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    source: Where,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let Self::Verify(options) = self;
        let source = options.source.open(config).await?;
        let report = verify(&source).await?;
        if options.json {
            println!("{}", json!(report));
        } else {
            println!(
                "{} events in {} streams, {} decisions, {} personal values: {}",
                report.events,
                report.streams,
                report.decisions,
                report.commitments,
                if report.ok {
                    "every chain holds"
                } else {
                    "NOT WHOLE"
                }
            );
            if let Some(bad) = &report.first_bad {
                println!(
                    "  first bad: stream `{}`, event {}: {}",
                    bad.stream, bad.seq, bad.why
                );
            }
        }
        Ok(if report.ok {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
