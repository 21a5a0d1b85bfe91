//! What a host counts of itself, in the text form of Prometheus.
//!
//! Labels are closed sets: patterns of routes, pinned modules, rules that a module describes. No id, no person and no raw
//! path gets into one. A host has its own recorder, so that several in one process count apart.

pub mod routes;

use std::time::Duration;

use gotong_engine::{Module, Outcome};
use gotong_store::QueueDepth;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::app::App;
use crate::command::answer::{CommandError, error_for_log};
use crate::http::rate::{RouteClass, Who};

const REQUESTS: &str = "gotong_http_requests_total";
const REQUEST_SECONDS: &str = "gotong_http_request_duration_seconds";
const RATE_LIMITED: &str = "gotong_http_rate_limited_total";
const OVERLOADED: &str = "gotong_http_overloaded_total";
const CONNECTIONS: &str = "gotong_http_connections";
const EVALUATIONS: &str = "gotong_policy_evaluations_total";
const EVALUATION_SECONDS: &str = "gotong_policy_evaluation_duration_seconds";
const RULINGS: &str = "gotong_policy_rulings_total";
const SHADOWS: &str = "gotong_policy_shadow_evaluations_total";
const CACHE: &str = "gotong_ruling_cache_lookups_total";
const CACHED: &str = "gotong_ruling_cache_entries";
const COMMANDS: &str = "gotong_commands_total";
const RETRIES: &str = "gotong_commit_retries_total";
const STORE_ERRORS: &str = "gotong_store_errors_total";
const JOBS: &str = "gotong_jobs";
const JOBS_LAG: &str = "gotong_jobs_lag_seconds";
const JOBS_AGE: &str = "gotong_jobs_oldest_age_seconds";
const JOB_RUNS: &str = "gotong_job_runs_total";
const REDIS_UP: &str = "gotong_redis_up";
/// What every host tells of itself.
pub const BUILD: &str = "gotong_build_info";

/// From half a millisecond to the longest request.
const REQUEST_BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// From a microsecond, below which only the cache answers.
const EVALUATION_BUCKETS: &[f64] = &[
    0.000_001, 0.000_002, 0.000_003, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_25,
    0.000_5, 0.001, 0.005, 0.01, 0.05,
];

/// What a label says that is none of the words it may be.
const OTHER: &str = "other";

/// The counts of one host.
#[derive(Debug)]
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Default for Metrics {
    /// Nothing counted yet.
    fn default() -> Self {
        Self::new()
    }
}

/// Fails only for a list of buckets that is empty.
fn with_buckets() -> Result<PrometheusBuilder, BuildError> {
    let matching = |name: &str| Matcher::Full(name.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(matching(REQUEST_SECONDS), REQUEST_BUCKETS)?
        .set_buckets_for_metric(matching(EVALUATION_SECONDS), EVALUATION_BUCKETS)
}

impl Metrics {
    fn new() -> Self {
        let recorder = with_buckets()
            .unwrap_or_else(|_| PrometheusBuilder::new())
            .build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, describe);
        Self { recorder, handle }
    }

    fn with(&self, count: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, count);
    }

    /// One request was answered. `route` is a pattern.
    pub fn request(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        let labels = [
            ("method", method_word(method).to_owned()),
            (
                "route",
                route.strip_prefix("/api").unwrap_or(route).to_owned(),
            ),
            ("status", format!("{}xx", status / 100)),
        ];
        self.with(|| {
            counter!(REQUESTS, &labels).increment(1);
            histogram!(REQUEST_SECONDS, &labels).record(elapsed);
        });
    }

    /// A caller asked too often.
    pub fn rate_limited(&self, class: RouteClass, who: &Who) {
        let (class, by) = (class.as_str(), who.kind());
        self.with(|| counter!(RATE_LIMITED, "class" => class, "by" => by).increment(1));
    }

    /// There was no room: for a `connection` or for a `request`.
    pub fn overloaded(&self, what: &'static str) {
        self.with(|| counter!(OVERLOADED, "for" => what).increment(1));
    }

    /// A connection came, or went.
    pub fn connections(&self, change: f64) {
        self.with(|| gauge!(CONNECTIONS).increment(change));
    }

    /// A module was asked, or the cache in its place.
    pub fn evaluated(
        &self,
        module: &Module,
        function: &'static str,
        outcome: Outcome,
        elapsed: Duration,
    ) {
        let labels = [
            ("module", module.name().to_owned()),
            ("version", module.version().to_owned()),
            ("function", function.to_owned()),
        ];
        let family = module.family().to_string();
        self.with(|| {
            histogram!(EVALUATION_SECONDS, &labels).record(elapsed);
            let [name, version, function] = labels;
            let all = [
                name,
                version,
                function,
                ("family", family),
                ("outcome", outcome.as_str().to_owned()),
            ];
            counter!(EVALUATIONS, &all).increment(1);
        });
    }

    /// A command was ruled on. `output` is the ruling as JSON.
    pub fn ruled(&self, module: &Module, function: &'static str, output: &str) {
        let said: Said = serde_json::from_str(output).unwrap_or_default();
        // A module can name any rule; those that it describes are so many and no more.
        let rule = match said.rule {
            Some(rule) if module.rule_text(rule).is_some() => rule,
            Some(_) => OTHER,
            None => "",
        };
        let effect = said.effect.or(said.outcome).unwrap_or_default();
        let labels = [
            ("module", module.name().to_owned()),
            ("version", module.version().to_owned()),
            ("function", function.to_owned()),
            ("rule", rule.to_owned()),
            ("effect", effect.to_owned()),
        ];
        self.with(|| counter!(RULINGS, &labels).increment(1));
    }

    /// A command starts again from its facts.
    pub fn retried(&self) {
        self.with(|| counter!(RETRIES).increment(1));
    }

    /// How a command ended.
    pub fn command<T>(
        &self,
        ended: &Result<T, CommandError>,
        is_replayed: impl FnOnce(&T) -> bool,
    ) {
        let outcome = match ended {
            Ok(answer) if is_replayed(answer) => "replayed",
            Ok(_) => "done",
            Err(CommandError::StillRunning) => "still_running",
            Err(CommandError::Contention) => "contention",
            Err(CommandError::KeyReused | CommandError::KeyTaken) => "key_refused",
            Err(_) => "failed",
        };
        self.with(|| counter!(COMMANDS, "outcome" => outcome).increment(1));
    }

    /// How one attempt at a job ended.
    pub fn job(&self, kind: &'static str, outcome: &'static str) {
        self.with(|| counter!(JOB_RUNS, "kind" => kind, "outcome" => outcome).increment(1));
    }

    /// Takes in what histograms have gathered: without it they would grow until somebody looks.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// Everything, with what is known only by looking.
    pub async fn render(&self, app: &App) -> String {
        // Who looks seldom would else read what held long ago.
        let redis_up = match &app.redis {
            Some(redis) => Some(redis.ping().await.is_ok()),
            None => None,
        };
        self.look(app, redis_up);
        match app.store.jobs().depth(app.clock.now_ms()).await {
            Ok(depth) => self.queue(&depth),
            // What is told then is what was seen last; the error is counted as the store's.
            Err(error) => tracing::warn!(
                error = error_for_log(&error),
                "the queue could not be looked at"
            ),
        }
        self.handle.render()
    }

    fn queue(&self, depth: &QueueDepth) {
        let whole = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX));
        let seconds = |ms: i64| Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
        self.with(|| {
            gauge!(JOBS, "state" => "waiting").set(whole(depth.waiting));
            gauge!(JOBS, "state" => "due").set(whole(depth.due));
            gauge!(JOBS, "state" => "dead").set(whole(depth.dead));
            gauge!(JOBS_LAG).set(seconds(depth.lag_ms));
            gauge!(JOBS_AGE).set(seconds(depth.age_ms));
        });
    }

    fn look(&self, app: &App, redis_up: Option<bool>) {
        let failures = app.store.failures();
        let shadows = app.shadows.view(&app.policies);
        self.with(|| {
            gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1);
            counter!(STORE_ERRORS, "kind" => "conflict").absolute(failures.conflicts);
            counter!(STORE_ERRORS, "kind" => "query").absolute(failures.others);
            if let Some(cache) = &app.rulings {
                counter!(CACHE, "result" => "hit").absolute(cache.hits());
                counter!(CACHE, "result" => "miss").absolute(cache.misses());
                gauge!(CACHED).set(count(cache.len()));
            }
            if let Some(is_up) = redis_up {
                gauge!(REDIS_UP).set(f64::from(u8::from(is_up)));
            }
            for shadow in shadows {
                let tally = shadow.tally;
                for (result, times) in [
                    ("equal", tally.equal),
                    ("differing", tally.differing),
                    ("failed", tally.failed),
                ] {
                    let labels = [
                        ("module", shadow.name.clone()),
                        ("version", shadow.version.clone()),
                        ("result", result.to_owned()),
                    ];
                    counter!(SHADOWS, &labels).absolute(times);
                }
            }
        });
    }
}

/// What a ruling says of itself, as far as it is counted.
#[derive(Default, serde::Deserialize)]
struct Said<'a> {
    effect: Option<&'a str>,
    outcome: Option<&'a str>,
    rule: Option<&'a str>,
}

fn method_word(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => OTHER,
    }
}

/// A gauge is a float; no count here comes near 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn count(number: usize) -> f64 {
    number as f64
}

fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests by pattern of the route, method and class of the status"
    );
    describe_histogram!(REQUEST_SECONDS, "How long requests took");
    describe_counter!(RATE_LIMITED, "Requests refused with 429");
    describe_counter!(OVERLOADED, "Connections and requests that found no room");
    describe_gauge!(CONNECTIONS, "Connections that are open");
    describe_counter!(
        EVALUATIONS,
        "Questions to policy modules, cached ones too, by how they ended"
    );
    describe_histogram!(
        EVALUATION_SECONDS,
        "How long the answer of a module or of the cache took"
    );
    describe_counter!(RULINGS, "Rulings on commands by rule and effect");
    describe_counter!(SHADOWS, "Questions that shadows were asked too");
    describe_counter!(CACHE, "Questions that were looked for in the ruling cache");
    describe_gauge!(CACHED, "Rulings in the cache");
    describe_counter!(COMMANDS, "Commands by how they ended");
    describe_counter!(RETRIES, "Commands that started again from their facts");
    describe_counter!(
        STORE_ERRORS,
        "Queries that the store refused: conflicts, which are tried again, and others"
    );
    describe_gauge!(
        JOBS,
        "Jobs in the store's queue: waiting or worked on, of those due now, and given up"
    );
    describe_gauge!(JOBS_LAG, "For how long the first job that is due has been");
    describe_gauge!(
        JOBS_AGE,
        "How long ago the oldest job that is not done was meant to run"
    );
    describe_counter!(JOB_RUNS, "Attempts at jobs by how they ended");
    describe_gauge!(REDIS_UP, "Whether Redis answered when it was last asked");
    describe_gauge!(BUILD, "The version that runs");
}
