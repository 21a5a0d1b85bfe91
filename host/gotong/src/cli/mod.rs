//! The command line: one file per subcommand.
//!
//! Exit codes: 0 it held, 1 it ran and did not hold (a divergence, a broken chain, a failed demo), 2 it could not
//! run; then one line on stderr says what and where.

mod audit;
mod demo;
mod doctor;
mod jobs;
mod migrate;
mod openapi;
mod policy;
mod replay;
pub mod serve;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gotong_policy_tool::{complain, one_line, out};
use gotong_store::Durability;

use crate::config::{Config, Secret};
use crate::telemetry;

type CliError = Box<dyn std::error::Error>;

/// A policy host for mutual-aid communities: every rule is a pinned WebAssembly module, every decision replays.
#[derive(Debug, Parser)]
#[command(name = "gotong", version)]
struct Cli {
    /// Settings file; `gotong.toml` is read when it is there
    #[arg(long, global = true, env = "GOTONG_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API
    Serve(serve::Serve),
    /// Say whether a host could serve with these settings, here and now
    Doctor(doctor::Doctor),
    /// Drive a community matter from its seed to tuntas, over HTTP, and prove what was recorded
    Demo(demo::Demo),
    /// Bring a store's schema up to date
    Migrate(migrate::Migrate),
    /// The tools of a policy author, and what a host knows of its shadows
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Evaluate every recorded decision again
    Replay(replay::Replay),
    /// Check the ledger
    #[command(subcommand)]
    Audit(audit::Audit),
    /// The API's document
    Openapi(openapi::OpenApi),
    /// Look at jobs, set one going again, call one off
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Print a token
    Token(token::Token),
}

/// Which store an auditor reads: one on this machine while its host is stopped, or a running host's.
#[derive(Debug, Args)]
struct Where {
    /// Folder of a stopped host's store
    #[arg(long, conflicts_with = "url")]
    data: Option<PathBuf>,
    /// Address of a running host
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Token with the role admin or service
    #[arg(long, env = "GOTONG_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// What every folder of the embedded engine holds.
const ENGINE_MANIFEST: &str = "manifest";

const NO_TOKEN: &str = "a running host lets only admins audit it: give --token (or GOTONG_TOKEN), or --data DIR of a stopped one";

impl Where {
    async fn open(&self, mut config: Config) -> Result<crate::ledger::source::Source, CliError> {
        use crate::ledger::source::{Host, Source};
        if let Some(data) = &self.data {
            // Looked at before it is opened: the engine would make a store of any folder.
            if !data.join(ENGINE_MANIFEST).exists() {
                return Err(format!("there is no store in `{}`", data.display()).into());
            }
            config.store_url = Secret::new(format!("surrealkv://{}", data.display()));
            return Ok(Source::Store(crate::startup::open_audited(&config).await?));
        }
        let token = self.token.clone().ok_or(NO_TOKEN)?;
        Ok(Source::Host(Host::new(&self.url, token)?))
    }
}

pub fn main() -> ExitCode {
    let cli = match gotong_policy_tool::parse::<Cli>("gotong") {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let ended = run(cli).and_then(|code| {
        out::finish()?;
        Ok(code)
    });
    ended.unwrap_or_else(|error| {
        complain!("gotong: {}", one_line(error.as_ref()));
        ExitCode::from(2)
    })
}

/// What is logged where `RUST_LOG` does not say.
const USUAL_LOG: &str = "warn";
const SERVING_LOG: &str = "warn,gotong=info";

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    if !matches!(cli.command, Command::Serve(_)) {
        telemetry::init(USUAL_LOG);
    }
    if let Command::Policy(policy::PolicyCommand::Tool(command)) = &cli.command {
        return Ok(command.run()?.into());
    }
    let config = Config::load(cli.config.as_deref())?;
    if let Command::Openapi(command) = cli.command {
        return command.run(&config);
    }
    // Before any thread is there: the store's engine reads it once.
    let durability = if config.store_sync {
        Durability::Synced
    } else {
        Durability::Fast
    };
    durability.apply()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => {
                let traces = telemetry::init_with_traces(SERVING_LOG, &config)?;
                let served = serve.run(config).await;
                traces.end().await;
                served
            }
            Command::Doctor(doctor) => doctor.run(config).await,
            Command::Demo(demo) => demo.run(config).await,
            Command::Migrate(migrate) => migrate.run(config).await,
            Command::Replay(replay) => replay.run(config).await,
            Command::Audit(audit) => audit.run(config).await,
            Command::Jobs(jobs) => jobs.run(config).await,
            Command::Token(token) => token.run(config),
            Command::Policy(policy::PolicyCommand::Shadow(shadow)) => shadow.run(config).await,
            Command::Openapi(_) | Command::Policy(policy::PolicyCommand::Tool(_)) => {
                unreachable!("handled before the runtime starts")
            }
        }
    })
}
