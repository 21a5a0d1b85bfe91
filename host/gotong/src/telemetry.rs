//! Logs: one line of JSON an event on stderr, with the correlation id of its request. Nothing personal.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

const ENGINE_NOISE: &str = "surrealkv=off";

/// `RUST_LOG` decides what is logged; without it, `filter` does.
pub fn init(filter: &str) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    // The engine of `--data` reports its own cancelled tasks as errors whenever a process ends.
    let filter = EnvFilter::new(format!("{filter},{ENGINE_NOISE}"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call finds a subscriber installed already, which is what it asks for.
    let _ = subscriber.try_init();
}
