//! `gotong`: the host, and the tools of its four users.

// Commands speak through the one writer of both.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

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
mod request;
mod rulings;
mod startup;
mod tally;
mod telemetry;
#[cfg(test)]
mod testing;
mod transitions;
mod words;

use std::process::ExitCode;

/// The database takes and gives back small pieces on every core: docs/adr/0025-an-allocator.md has the measurement.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
