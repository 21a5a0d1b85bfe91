//! `gotong-load`: scripted people against a real host, on the memory engine and on a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use gotong_benches::BenchError;
use gotong_benches::conditions::Conditions;
use gotong_benches::load::record::Figures;
use gotong_benches::load::{Plan, Report, drive};
use gotong_benches::percentiles::Percentiles;

#[derive(Debug, Parser)]
struct Options {
    /// The host to drive (default: `gotong` beside this program)
    #[arg(long)]
    host: Option<PathBuf>,
    /// Only this engine
    #[arg(long)]
    engine: Option<Choice>,
    /// People who send at the same time, as fast as they go
    #[arg(long, default_value_t = 16)]
    users: usize,
    /// Writes a second, at a rate
    #[arg(long, default_value_t = 500)]
    writes: u32,
    /// Reads a second, at a rate
    #[arg(long, default_value_t = 2_000)]
    reads: u32,
    /// Seconds of each of the four phases
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// One JSON object instead of the tables
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Memory,
    Surrealkv,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gotong-load: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<(), BenchError> {
    let gotong = match &options.host {
        Some(host) => host.clone(),
        None => std::env::current_exe()?.with_file_name("gotong"),
    };
    if !gotong.is_file() {
        let path = gotong.display();
        return Err(format!("there is no host at `{path}`; build it with `cargo build --release -p gotong`, or say where with --host").into());
    }
    let plan = Plan {
        users: options.users.max(1),
        writes_per_second: options.writes.max(1),
        reads_per_second: options.reads.max(1),
        seconds: options.seconds.max(1),
    };
    let conditions = Conditions::now(false);
    if let Some(warning) = conditions.warning() {
        eprintln!("gotong-load: warning: {warning}");
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let mut report = Report {
        conditions,
        plan,
        engines: Vec::new(),
    };
    for engine in [Choice::Memory, Choice::Surrealkv] {
        if options.engine.is_some_and(|only| only != engine) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let data = (engine == Choice::Surrealkv).then(|| folder.path().join("data"));
        let driven = runtime.block_on(drive(&gotong, data.as_deref(), plan))?;
        report.engines.push(driven);
    }
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    for engine in &report.engines {
        println!("{}", engine.engine);
        let plan = report.plan;
        figures(&format!("writes, {} users", plan.users), &engine.writes);
        let rate = format!("writes, {} a second", plan.writes_per_second);
        figures(&rate, &engine.writes_at_a_rate);
        figures(&format!("reads, {} users", plan.users), &engine.reads);
        let rate = format!("reads, {} a second", plan.reads_per_second);
        figures(&rate, &engine.reads_at_a_rate);
        if let Some(audit) = engine.audit {
            println!(
                "  audit verify: {} events and {} decisions in {:.2} s, {:.0} events a second",
                audit.events, audit.decisions, audit.seconds, audit.events_per_second
            );
        }
    }
}

fn figures(what: &str, figures: &Figures) {
    let line = |name: &str, of: &Percentiles| {
        let ms = |ns: u64| ns as f64 / 1e6;
        println!(
            "  {name:<28} {:>8} p50 {:>8.2} ms  p99 {:>8.2} ms  p99.9 {:>8.2} ms",
            of.n,
            ms(of.p50_ns),
            ms(of.p99_ns),
            ms(of.p999_ns)
        );
    };
    println!(
        "  {what}: {:.0} a second, {} due and never sent",
        figures.per_second, figures.never_sent
    );
    line("all", &figures.all);
    for (operation, of) in &figures.by_operation {
        line(operation, of);
    }
    for (what, times) in &figures.errors {
        println!("  {times} times {what}");
    }
}
