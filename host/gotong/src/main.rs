//! `gotong`: the host, and the tools of its four users.

mod app;
mod cli;
mod clock;
mod command;
mod config;
mod entities;
mod evidence;
mod http;
mod jobs;
mod ledger;
mod metrics;
mod problems;
mod redis;
mod rulings;
mod startup;
mod telemetry;
#[cfg(test)]
mod testing;
mod transitions;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
