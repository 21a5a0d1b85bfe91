//! `gotong audit`

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gotong_engine::Engine;
use gotong_engine::bundle::Trailer;
use gotong_policy_tool::replay::Filters;
use gotong_policy_tool::say;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::task::block_in_place;

use super::{CliError, Where};
use crate::config::Config;
use crate::ledger::export::{Modules, export};
use crate::ledger::verify::verify;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk every stream's hash chain and name the first event that does not hold
    Verify(Verify),
    /// Write decisions and the modules that made them into one file, which replays without a host
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Verify {
    #[command(flatten)]
    source: Where,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    source: Where,
    #[command(flatten)]
    filters: Filters,
    /// The bundle to be written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum OutError {
    #[error("`{}` is there already: name another file, or replace it with --force", .0.display())]
    There(PathBuf),
    #[error("`{}` is a folder: name a file", .0.display())]
    Folder(PathBuf),
    #[error("`{}` cannot be written", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

impl Audit {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        match self {
            Self::Verify(verify) => verify.run(config).await,
            Self::Export(export) => export.run(config).await,
        }
    }
}

impl Export {
    async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let filter = self.filters.filter()?;
        if self.out.is_dir() {
            return Err(OutError::Folder(self.out).into());
        }
        if self.out.exists() && !self.force {
            return Err(OutError::There(self.out).into());
        }
        let failed = |error| OutError::Write(self.out.clone(), error);
        // Beside its place, so that it gets there whole or not at all; it is gone when anything fails.
        let folder = match self.out.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(folder).map_err(failed)?;
        let source = self.source.open(config.clone()).await?;
        let modules = Modules::of(&source, &config).await?;
        let engine = Engine::new()?.fingerprint();
        let output = BufWriter::with_capacity(1 << 20, file);
        let (output, trailer) =
            block_in_place(|| export(&source, &modules, engine, filter, output))?;
        let file = output
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        if self.force {
            file.persist(&self.out)
                .map_err(|error| failed(error.error))?;
        } else {
            file.persist_noclobber(&self.out)
                .map_err(|error| failed(error.error))?;
        }
        let out = self.out.display();
        let Trailer {
            decisions,
            digest,
            modules,
        } = trailer;
        if self.json {
            let file = out.to_string();
            say!(
                "{}",
                json!({"file": file, "decisions": decisions, "modules": modules, "digest": digest})
            );
        } else {
            say!("{out}: {decisions} decisions, {modules} modules, {digest}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let source = self.source.open(config).await?;
        let report = verify(&source).await?;
        if self.json {
            say!("{}", json!(report));
        } else {
            say!(
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
                say!(
                    "  first bad: stream `{}`, event {}: {}",
                    bad.stream,
                    bad.seq,
                    bad.why
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
