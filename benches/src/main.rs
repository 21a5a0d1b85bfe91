//! `gotong-benches`: prints the table of `docs/benchmarks.md`, or one JSON line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gotong_benches::percentiles::Percentiles;
use gotong_benches::{BenchError, evaluation, votes};
use serde_json::json;

#[derive(Debug, Parser)]
struct Options {
    /// A tenth of the calls
    #[arg(long)]
    quick: bool,
    /// One JSON object, last on stdout
    #[arg(long)]
    json: bool,
    /// The host to measure (default: `gotong` beside this program)
    #[arg(long)]
    host: Option<PathBuf>,
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
    let share = if options.quick { 10 } else { 1 };
    let evaluation = evaluation::measure(200_000 / share)?;
    let host = match &options.host {
        Some(host) => host.clone(),
        None => std::env::current_exe()?.with_file_name("gotong"),
    };
    let votes = tokio::runtime::Runtime::new()?.block_on(votes::measure(&host, 2_000 / share))?;
    if options.json {
        println!("{}", json!({"evaluation": evaluation, "votes": votes}));
        return Ok(());
    }
    row(
        "isolated evaluation, role-matrix authorize",
        evaluation.authorize.isolated,
    );
    row("isolated evaluation, gate plan", evaluation.plan.isolated);
    row(
        "role-matrix authorize, with its decision record",
        evaluation.authorize_recorded,
    );
    println!(
        "{:<52} {:>10.1} ns",
        "native call, role-matrix authorize", evaluation.authorize.native_p50_ns
    );
    println!(
        "{:<52} {:>10.1} x",
        "isolated / native, role-matrix authorize", evaluation.authorize.ratio
    );
    println!(
        "{:<52} {:>10} ms",
        "loading and compiling all policies, no cache", evaluation.load_ms
    );
    println!(
        "{:<52} {:>10} ms",
        "loading all policies from the cache", evaluation.load_cached_ms
    );
    row("POST vote end to end, one client", votes.sequential);
    row("POST vote end to end, eight clients", votes.eight_clients);
    println!(
        "{:<52} {:>10.0} /s",
        "votes, eight clients", votes.votes_per_second
    );
    Ok(())
}

fn row(what: &str, measured: Percentiles) {
    let us = |ns: u64| ns as f64 / 1_000.0;
    println!(
        "{what:<52} {:>10.1} us p50 {:>10.1} us p99 {:>10.1} us p99.9  (n={})",
        us(measured.p50_ns),
        us(measured.p99_ns),
        us(measured.p999_ns),
        measured.n
    );
}
