//! Logs: one line of JSON an event on stderr, with the correlation id of its request. Nothing personal. And traces, if the
//! settings name who takes them: the steps of a request as spans, over OTLP.

pub mod traces;

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use traces::{Traces, TracesError};

const ENGINE_NOISE: &str = "surrealkv=off";

/// Logs alone. `RUST_LOG` decides what is logged; without it, `filter` does.
pub fn init(filter: &str) {
    install(filter, &Traces::none());
}

/// Logs, and the traces that the settings ask for. Must be called inside the runtime.
pub fn init_with_traces(filter: &str, config: &Config) -> Result<Traces, TracesError> {
    let traces = Traces::start(config)?;
    install(filter, &traces);
    Ok(traces)
}

fn install(filter: &str, traces: &Traces) {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    // The engine of `--data` reports its own cancelled tasks as errors whenever a process ends.
    let filter = EnvFilter::new(format!("{filter},{ENGINE_NOISE}"));
    let logs = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr)
        .with_filter(filter);
    let spans = traces.tracer().map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_step))
    });
    // A second call finds a subscriber installed already, which is what it asks for.
    let _ = tracing_subscriber::registry()
        .with(logs)
        .with(spans)
        .try_init();
}

/// The host's own spans, whatever is logged. Events stay in the log.
fn is_step(of: &Metadata<'_>) -> bool {
    of.is_span() && of.target().starts_with("gotong") && *of.level() <= tracing::Level::DEBUG
}
