//! `gotong migrate`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gotong_policy_tool::say;
use gotong_store::{Migrations, Store, StoreError, Target, prove};
use serde_json::json;

use super::CliError;
use crate::config::{Config, Secret};
use crate::startup::StartError;

#[derive(Debug, Args)]
pub struct Migrate {
    /// Folder of the store (default: the configured store_url)
    #[arg(long)]
    data: Option<PathBuf>,
    /// Migrations to apply instead of the ones built in
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Run the check of each migration on fresh in-memory stores, and change nothing
    #[arg(long)]
    check: bool,
}

impl Migrate {
    pub async fn run(self, mut config: Config) -> Result<ExitCode, CliError> {
        let migrations = match &self.dir {
            Some(dir) => Migrations::from_dir(dir)?,
            None => Migrations::embedded()?,
        };
        if self.check {
            say!("{}", json!(prove(&migrations).await?));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(data) = self.data {
            config.store_url = Secret::new(format!("surrealkv://{}", data.display()));
        }
        let target: Target = config.store_url.expose().parse()?;
        let people = config.people_key().map_err(StartError::from)?;
        let store = Store::open(&target, people.as_ref()).await?;
        if !store.is_embedded() {
            // Tried first: a login without these rights would leave the half of it.
            store.may_admit().await.map_err(|error| match error {
                StoreError::Query(_) => StartError::NotAnOwner(error),
                error => error.into(),
            })?;
        }
        let report = store.migrate(&migrations).await?;
        let mut said = json!({"applied": report.applied, "already": report.already});
        if let (false, Some(key)) = (store.is_embedded(), &people) {
            store.admit_people(key).await?;
            said["people"] = json!("admitted");
        }
        say!("{said}");
        Ok(ExitCode::SUCCESS)
    }
}
