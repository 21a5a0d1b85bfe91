//! Traces: what somebody who takes them over OTLP is sent, decoded as they decode it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![expect(
    clippy::disallowed_methods,
    reason = "who takes traces is no part of the API"
)]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use harness::{Answer, Host, Setup, new_key};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::Method;
use serde_json::json;

type Taken = Arc<Mutex<Vec<Span>>>;

/// Somebody who takes traces, on a port of their own.
async fn collector() -> (String, Taken) {
    async fn take(State(taken): State<Taken>, body: Bytes) -> &'static str {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            assert!(
                attributes
                    .iter()
                    .any(|attribute| attribute.key == "service.name")
            );
            for scope in resource.scope_spans {
                taken.lock().unwrap().extend(scope.spans);
            }
        }
        ""
    }
    let taken = Taken::default();
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::clone(&taken));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, taken)
}

fn text(span: &Span, key: &str) -> String {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
    let value = found
        .and_then(|attribute| attribute.value.clone())
        .and_then(|value| value.value);
    match value {
        Some(opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(text)) => text,
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

async fn share(host: &Host, correlation_id: &str, flags: &str) -> Answer {
    let body = json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id/jabar"});
    let request = host
        .request("sari", Method::POST, "/v1/entities")
        .key(&new_key());
    let request = request
        .header("X-Correlation-Id", correlation_id)
        .raw(body.to_string());
    let request = match flags {
        "" => request,
        flags => request.header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}")),
    };
    request.send().await.ok()
}

async fn decision_traces(host: &Host) -> Vec<serde_json::Value> {
    let rows = host
        .get("admin/admin", "/v1/audit/decisions")
        .await
        .ok()
        .json;
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| row["trace_id"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_write_is_a_span_of_its_clients_trace() {
    let (endpoint, taken) = collector().await;
    let host = Setup::default()
        .env("GOTONG_OTLP_ENDPOINT", &endpoint)
        .start();
    let entity = share(&host, "the-first-one", "01").await.field("entity_id");
    let gate = host
        .request("sari", Method::POST, "/v1/transitions")
        .key(&new_key())
        .header("X-Correlation-Id", "the-second-one")
        .raw(json!({"entity_id": entity, "to_stage": "bahas"}).to_string());
    gate.send().await.ok();
    share(&host, "the-unsampled-one", "00").await;
    let traces = decision_traces(&host).await;
    assert!(traces.contains(&json!(TRACE)), "{traces:?}");
    assert!(
        traces.contains(&json!(null)),
        "one that is not sent is not named: {traces:?}"
    );
    // A client's trace ties requests of one person together: that is for auditors.
    let rows = host.get("admin/admin", "/v1/audit/decisions").await.ok();
    let traced = rows.json.as_array().unwrap().iter();
    let traced: Vec<_> = traced.filter(|row| row["trace_id"] == TRACE).collect();
    for row in traced {
        let path = format!("/v1/decisions/{}", row["decision_id"].as_str().unwrap());
        for who in ["", "dewi", "sari"] {
            let read = host.get(who, &path).await.ok().json;
            assert_eq!(read["trace_id"], json!(null), "{read}");
        }
        let read = host.get("admin/admin", &path).await.ok().json;
        assert_eq!(read["trace_id"], TRACE);
    }
    host.holds();
    let ended = host.stopped_within(20);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");

    let taken = taken.lock().unwrap();
    let of = |correlation_id: &str| -> BTreeMap<String, Span> {
        let spans = taken
            .iter()
            .filter(|span| text(span, "correlation_id") == correlation_id);
        spans
            .map(|span| (span.name.clone(), span.clone()))
            .collect()
    };
    let names =
        |spans: &BTreeMap<String, Span>| spans.keys().cloned().collect::<BTreeSet<String>>();
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<BTreeSet<String>>()
    };
    let first = of("the-first-one");
    assert_eq!(
        names(&first),
        words(&["request", "prepare", "ruling", "append", "answer", "commit"])
    );
    for span in first.values() {
        assert_eq!(hex::encode(&span.trace_id), TRACE);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    let request = &first["request"];
    assert_eq!(hex::encode(&request.parent_span_id), PARENT);
    assert!(
        first
            .values()
            .filter(|span| span.name != "request")
            .all(|span| span.parent_span_id == request.span_id)
    );
    assert_eq!(text(request, "http.route"), "/v1/entities");
    assert_eq!(text(&first["ruling"], "module"), "role-matrix");
    let second = of("the-second-one");
    assert_eq!(
        names(&second),
        words(&[
            "request", "prepare", "load", "ruling", "append", "answer", "commit"
        ])
    );
    assert_ne!(
        hex::encode(&second["request"].trace_id),
        TRACE,
        "a trace of its own"
    );
    assert!(of("the-unsampled-one").is_empty());
    assert!(
        taken
            .iter()
            .all(|span| !text(span, "correlation_id").is_empty()),
        "no span without it"
    );
    for span in taken.iter() {
        let told = format!("{:?}", span.attributes);
        assert!(
            !told.contains("sari") && !told.contains(&entity) && !told.contains("A seed"),
            "{told}"
        );
        assert!(span.events.is_empty(), "what is logged stays in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_traces_holds_nothing_up_and_is_told_of_once() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let host = Setup::default()
        .env(
            "GOTONG_OTLP_ENDPOINT",
            format!("http://user:hunter2@{closed}"),
        )
        .start_with(|command| {
            command
                .env("RUST_LOG", "info")
                .stderr(std::fs::File::create(&log).unwrap());
        });
    let started = Instant::now();
    for n in 0..20 {
        share(&host, &format!("correlation-{n}"), "").await;
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    tokio::time::sleep(Duration::from_secs(7)).await;
    share(&host, "another-one", "").await;
    let ended = host.stopped_within(25);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(log.matches("traces are not taken").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_there_are_no_traces_and_an_odd_one_is_refused() {
    let host = harness::host();
    share(&host, "the-first-one", "01").await;
    assert!(
        decision_traces(&host)
            .await
            .iter()
            .all(serde_json::Value::is_null)
    );
    for (name, value) in [
        ("OTLP_ENDPOINT", "collector:4318"),
        ("OTLP_ENDPOINT", "ftp://x:hunter2@y"),
        ("OTLP_SAMPLE_PERMILLE", "1001"),
    ] {
        let says = Setup::default()
            .env(&format!("GOTONG_{name}"), value)
            .refused();
        assert!(
            says.contains("otlp_") && says.lines().count() == 1 && !says.contains("hunter2"),
            "{says}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_traces_are_made_as_the_settings_ask_for() {
    let (endpoint, taken) = collector().await;
    let host = Setup::default()
        .env("GOTONG_OTLP_ENDPOINT", &endpoint)
        .env("GOTONG_OTLP_SAMPLE_PERMILLE", "0")
        .start();
    share(&host, "not-this-one", "").await;
    share(&host, "but-this-one", "01").await;
    host.stopped_within(20).unwrap();
    let taken = taken.lock().unwrap();
    let seen: BTreeSet<String> = taken
        .iter()
        .map(|span| text(span, "correlation_id"))
        .collect();
    assert_eq!(seen, BTreeSet::from(["but-this-one".to_owned()]));
}
