//! Traces over OTLP (HTTP, protobuf): one span for each step of a request, all with its correlation id.
//!
//! A trace that a client began (W3C `traceparent`) goes on here, and is sampled as the client says. Nobody waits for who
//! takes the traces: they are sent in batches beside the work, and lost when nobody takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::config::Config;

/// Where OTLP takes traces, below its endpoint.
const PATH: &str = "/v1/traces";

/// How long a batch may take, and how long the last one is waited for.
const LONGEST: Duration = Duration::from_secs(5);

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("traces cannot be sent to otlp_endpoint")]
    Exporter(#[from] ExporterBuildError),
}

/// What sends the traces of this process, if the settings name who takes them.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    pub fn none() -> Self {
        Self(None)
    }

    pub fn start(config: &Config) -> Result<Self, TracesError> {
        let Some(endpoint) = config.otlp_endpoint()? else {
            return Ok(Self::none());
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .with_timeout(LONGEST)
            .build()?;
        let share = f64::from(config.otlp_sample_permille) / 1_000.0;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)));
        let resource = Resource::builder_empty()
            .with_service_name("gotong")
            .with_attributes([KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))]);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(OnRuntime::new(exporter))
            .with_sampler(sampler)
            .with_resource(resource.build())
            .build();
        Ok(Self(Some(provider)))
    }

    pub fn tracer(&self) -> Option<SdkTracer> {
        self.0.as_ref().map(|provider| provider.tracer("gotong"))
    }

    /// Sends what is still here.
    pub async fn end(self) {
        if let Some(provider) = self.0 {
            let end = move || provider.shutdown_with_timeout(LONGEST);
            // What could not be sent was logged.
            let _ = tokio::task::spawn_blocking(end).await;
        }
    }
}

/// Sends on the host's runtime: batches are gathered on a thread of their own, which has none. Tells once when nobody
/// takes them, and once when somebody does again.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
    is_away: AtomicBool,
}

impl OnRuntime {
    fn new(exporter: SpanExporter) -> Self {
        Self {
            exporter: Arc::new(exporter),
            runtime: Handle::current(),
            is_away: AtomicBool::new(false),
        }
    }
}

impl opentelemetry_sdk::trace::SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sending = self
            .runtime
            .spawn(async move { exporter.export(batch).await });
        let sent = sending
            .await
            .unwrap_or_else(|broken| Err(OTelSdkError::InternalFailure(broken.to_string())));
        let was_away = self.is_away.swap(sent.is_err(), Ordering::Relaxed);
        match (&sent, was_away) {
            // Not why: the error names the address, which may hold a password.
            (Err(_), false) => {
                tracing::warn!("traces are not taken by otlp_endpoint, and are lost")
            }
            (Ok(()), true) => tracing::info!("traces are taken again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody else has it yet: it is set before the first batch.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

/// Lets a request's span go on the trace that its client began, if it names one.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    struct Headers<'a>(&'a HeaderMap);
    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(|name| name.as_str()).collect()
        }
    }
    if headers.contains_key("traceparent") {
        // Fails where no traces are sent.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(headers)));
    }
}

/// What a request came to, for its span and not for the log's lines.
pub fn describe_request(method: &str, route: &str, status: u16) {
    let span = Span::current();
    span.set_attribute("http.request.method", method.to_owned());
    span.set_attribute("http.route", route.to_owned());
    span.set_attribute("http.response.status_code", i64::from(status));
}

/// The trace that this is part of, if it is sent.
pub fn trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
}
