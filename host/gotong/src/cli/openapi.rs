//! `gotong openapi`

use std::process::ExitCode;

use clap::Args;

use super::CliError;

/// Prints the API's document (OpenAPI 3.1), as a host serves it at `/openapi.json`.
#[derive(Debug, Args)]
pub struct OpenApi {}

impl OpenApi {
    pub fn run(&self) -> Result<ExitCode, CliError> {
        println!("{}", crate::http::document(false).to_pretty_json()?);
        Ok(ExitCode::SUCCESS)
    }
}
