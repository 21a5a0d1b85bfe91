//! Logs: one line of JSON an event on stderr, with the correlation id of its request. Nothing personal and no secret,
//! however loud. And traces, if the settings name who takes them: the steps of a request as spans, over OTLP.

pub mod traces;

use gotong_policy_tool::one_line;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;
use traces::{Traces, TracesError};

const ENGINE_NOISE: &str = "surrealkv=off";

/// What libraries may log at most, whatever is asked for. Below it they write down what passes through them: to a store's
/// server go passwords, people's tokens and what they wrote; an address may hold a password.
const LIBRARIES: Level = Level::INFO;

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
    let filter = EnvFilter::new(format!("{filter},{ENGINE_NOISE}"))
        .and(filter_fn(may_be_told).with_max_level_hint(LevelFilter::TRACE));
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

/// Whether it is the host's own word, which is known to hold nothing secret, or one that a library may say.
fn may_be_told(of: &Metadata<'_>) -> bool {
    is_ours(of) || *of.level() <= LIBRARIES
}

fn is_ours(of: &Metadata<'_>) -> bool {
    of.target().starts_with("gotong")
}

/// The host's own spans, whatever is logged. Events stay in the log.
fn is_step(of: &Metadata<'_>) -> bool {
    of.is_span() && is_ours(of) && *of.level() <= Level::DEBUG
}

/// An error and everything behind it for the log, where nothing personal goes: whatever stands in quotation marks could be a value.
pub fn error_for_log(error: &dyn std::error::Error) -> String {
    let mut redacted = String::new();
    let mut inside: Option<char> = None;
    for c in one_line(error).chars() {
        match inside {
            Some(quote) if c == quote => {
                inside = None;
                redacted.extend(['\u{2026}', quote]);
            }
            Some(_) => {}
            None => {
                redacted.push(c);
                inside = matches!(c, '\'' | '"').then_some(c);
            }
        }
    }
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_no_values() {
        let error = std::io::Error::other(
            "index `u` already contains ['e1', \"sari\"], with record `relation`",
        );
        assert_eq!(
            error_for_log(&error),
            "index `u` already contains ['\u{2026}', \"\u{2026}\"], with record `relation`"
        );
        let cut = std::io::Error::other("an apostrophe's end is Sari");
        assert_eq!(error_for_log(&cut), "an apostrophe'");
    }
}
