//! What a host counts of itself, in the text form of Prometheus.
//!
//! Labels are closed sets: patterns of routes, pinned modules, rules that a module describes. No id, no person and no raw
//! path gets into one. A host has its own recorder, so that several in one process count apart.

pub mod routes;
pub mod words;

use std::time::Duration;

use gotong_engine::{Family, Mode, Module, Outcome, Policies};
use gotong_store::QueueDepth;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::app::App;
use crate::command::answer::CommandError;
use crate::http::rate::{RouteClass, Who};
use crate::jobs::Kinds;
use crate::telemetry::error_for_log;
use words::{CommandEnd, JobEnd, OTHER, Room};

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
const STORE_UP: &str = "gotong_store_up";
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

/// How long a look at the store or at Redis may take: who reads the metrics waits for it, most of all when one is away.
const LOOK: Duration = Duration::from_secs(1);

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

    /// Counts whose labels are known beforehand stand at 0 from the start: what first appears at 1 has, for Prometheus,
    /// not increased.
    pub fn begin(&self, policies: &Policies, kinds: &Kinds) {
        // Retired modules decide too, where an old gate closes; a shadow is counted apart.
        let pins = policies.lock().pins().iter();
        let asked = pins.filter(|pin| pin.mode != Mode::Shadow);
        self.with(|| {
            for pin in asked {
                for function in pin.family.functions() {
                    for outcome in words::outcomes() {
                        let labels =
                            evaluation(&pin.name, &pin.version, function, pin.family, outcome);
                        counter!(EVALUATIONS, &labels).increment(0);
                    }
                }
            }
            for end in CommandEnd::ALL {
                counter!(COMMANDS, "outcome" => end.as_str()).increment(0);
            }
            for kind in kinds.names() {
                for end in JobEnd::ALL {
                    counter!(JOB_RUNS, "kind" => kind, "outcome" => end.as_str()).increment(0);
                }
            }
            for room in Room::ALL {
                counter!(OVERLOADED, "for" => room.as_str()).increment(0);
            }
            counter!(RETRIES).increment(0);
        });
    }

    fn with(&self, count: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, count);
    }

    /// One request was answered. `route` is a pattern.
    pub fn request(&self, method: &str, route: &str, status: u16, elapsed: Duration) {
        let labels = [
            ("method", words::method(method).to_owned()),
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

    /// There was no room.
    pub fn overloaded(&self, room: Room) {
        self.with(|| counter!(OVERLOADED, "for" => room.as_str()).increment(1));
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
        let all = evaluation(
            module.name(),
            module.version(),
            function,
            module.family(),
            outcome.as_str(),
        );
        self.with(|| {
            histogram!(EVALUATION_SECONDS, &labels).record(elapsed);
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
        let end = match ended {
            Ok(answer) if is_replayed(answer) => CommandEnd::Replayed,
            Ok(_) => CommandEnd::Done,
            Err(CommandError::StillRunning) => CommandEnd::StillRunning,
            Err(CommandError::Contention) => CommandEnd::Contention,
            Err(CommandError::KeyReused | CommandError::KeyTaken) => CommandEnd::KeyRefused,
            Err(_) => CommandEnd::Failed,
        };
        self.with(|| counter!(COMMANDS, "outcome" => end.as_str()).increment(1));
    }

    /// How one attempt at a job ended.
    pub fn job(&self, kind: &'static str, end: JobEnd) {
        self.with(|| counter!(JOB_RUNS, "kind" => kind, "outcome" => end.as_str()).increment(1));
    }

    /// Takes in what histograms have gathered: without it they would grow until somebody looks.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }

    /// Everything, with what is known only by looking, for which nobody waits longer than [`LOOK`].
    pub async fn render(&self, app: &App) -> String {
        // Who looks seldom would else read what held long ago.
        let redis = async {
            match &app.redis {
                Some(redis) => Some(matches!(within(redis.ping()).await, Some(Ok(())))),
                None => None,
            }
        };
        let depth = async {
            let jobs = app.store.jobs();
            within(jobs.depth(app.clock.now_ms())).await
        };
        let (redis_up, depth) = tokio::join!(redis, depth);
        let depth = match depth {
            Some(Ok(depth)) => Some(depth),
            Some(Err(error)) => {
                let error = error_for_log(&error);
                tracing::warn!(error, "the queue could not be looked at");
                None
            }
            None => {
                tracing::warn!(
                    "the queue could not be looked at: the store did not answer in time"
                );
                None
            }
        };
        self.look(app, redis_up, depth.is_some());
        let mut text = self.handle.render();
        if let Some(depth) = depth {
            text.push_str(&queue(&depth));
        }
        text
    }

    fn look(&self, app: &App, redis_up: Option<bool>, store_up: bool) {
        let failures = app.store.failures();
        let shadows = app.shadows.view(&app.policies);
        self.with(|| {
            gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1);
            gauge!(STORE_UP).set(f64::from(u8::from(store_up)));
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

/// What the answer of a module is counted under.
fn evaluation(
    module: &str,
    version: &str,
    function: &str,
    family: Family,
    outcome: &str,
) -> [(&'static str, String); 5] {
    [
        ("module", module.to_owned()),
        ("version", version.to_owned()),
        ("function", function.to_owned()),
        ("family", family.to_string()),
        ("outcome", outcome.to_owned()),
    ]
}

async fn within<T>(look: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(LOOK, look).await.ok()
}

/// How the queue stands, in a recorder of its own: of a store that is away nothing is told, where the host's recorder
/// would tell what it held last.
fn queue(depth: &QueueDepth) -> String {
    let whole = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX));
    let seconds = |ms: i64| Duration::from_millis(ms.unsigned_abs()).as_secs_f64();
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_queue();
        gauge!(JOBS, "state" => "waiting").set(whole(depth.waiting));
        gauge!(JOBS, "state" => "due").set(whole(depth.due));
        gauge!(JOBS, "state" => "dead").set(whole(depth.dead));
        gauge!(JOBS_LAG).set(seconds(depth.lag_ms));
        gauge!(JOBS_AGE).set(seconds(depth.age_ms));
    });
    recorder.handle().render()
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
    describe_counter!(JOB_RUNS, "Attempts at jobs by how they ended");
    describe_gauge!(
        STORE_UP,
        "Whether the store answered a look at its queue within a second"
    );
    describe_gauge!(REDIS_UP, "Whether Redis answered when it was last asked");
    describe_gauge!(BUILD, "The version that runs");
}

fn describe_queue() {
    describe_gauge!(
        JOBS,
        "Jobs in the store's queue: waiting or worked on, of those due now, and given up"
    );
    describe_gauge!(JOBS_LAG, "For how long the first job that is due has been");
    describe_gauge!(
        JOBS_AGE,
        "How long ago the oldest job that is not done was meant to run"
    );
}
