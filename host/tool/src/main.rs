//! `gotong-policy`: the commands of `gotong policy`, for authors who run no host.

use std::process::ExitCode;

use clap::Parser;
use gotong_policy_tool::PolicyCommand;

/// The tools of a policy author: every command of `gotong policy`, in a binary that builds without a database.
#[derive(Debug, Parser)]
#[command(name = "gotong-policy", version)]
struct Cli {
    #[command(subcommand)]
    command: PolicyCommand,
}

fn main() -> ExitCode {
    gotong_policy_tool::exit("gotong-policy", Cli::parse().command.run())
}
