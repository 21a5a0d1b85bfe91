//! `gotong-policy`: the commands of `gotong policy`, for authors who run no host.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gotong_policy_tool::PolicyCommand;
use gotong_policy_tool::replay::ReplayBundle;

/// The tools of a policy author: every command of `gotong policy`, in a binary that builds without a database.
#[derive(Debug, Parser)]
#[command(name = "gotong-policy", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Policy(PolicyCommand),
    /// Evaluate the decisions of a bundle again, or ask what another module would have decided
    Replay(ReplayBundle),
}

fn main() -> ExitCode {
    let cli = match gotong_policy_tool::parse::<Cli>("gotong-policy") {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let ended = match cli.command {
        Command::Policy(command) => command.run(),
        Command::Replay(replay) => replay.run(),
    };
    gotong_policy_tool::exit("gotong-policy", ended)
}
