//! `gotong-benches`: prints the tables of `docs/benchmarks.md`, or one JSON line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gotong_benches::conditions::Conditions;
use gotong_benches::report::Report;
use gotong_benches::{BenchError, memory, votes};

/// Votes of a full run, for one client and for eight.
const VOTES: usize = 2_000;

#[derive(Debug, Parser)]
struct Options {
    /// Shorter rounds and fewer of them: under a minute
    #[arg(long)]
    quick: bool,
    /// One JSON object instead of the tables
    #[arg(long)]
    json: bool,
    /// Measure votes over HTTP too: needs the host
    #[arg(long)]
    votes: bool,
    /// The host to measure votes with (default: `gotong` beside this program)
    #[arg(long)]
    host: Option<PathBuf>,
    /// Draw the figures into this folder as SVG
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Load so many modules and say what that costs: what this program runs itself as
    #[arg(long, hide = true)]
    resident: Option<usize>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gotong-benches: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<(), BenchError> {
    if let Some(modules) = options.resident {
        println!("{}", serde_json::to_string(&memory::load(modules)?)?);
        return Ok(());
    }
    let conditions = Conditions::now(options.quick);
    if let Some(warning) = conditions.warning() {
        eprintln!("gotong-benches: warning: {warning}");
    }
    let mut report = Report::measure(conditions)?;
    if options.votes {
        let host = match &options.host {
            Some(host) => host.clone(),
            None => std::env::current_exe()?.with_file_name("gotong"),
        };
        if host.is_file() {
            let votes = if options.quick { VOTES / 10 } else { VOTES };
            let runtime = tokio::runtime::Runtime::new()?;
            report.votes = Some(runtime.block_on(votes::measure(&host, votes))?);
        } else {
            eprintln!(
                "gotong-benches: votes are left out: there is no host at `{}`; build it with `cargo build --release -p gotong`",
                host.display()
            );
        }
    }
    if let Some(folder) = &options.plots {
        report.draw(folder)?;
    }
    if options.json {
        println!("{}", report.json()?);
    } else {
        report.print();
    }
    Ok(())
}
