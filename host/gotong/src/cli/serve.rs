//! `gotong serve`

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::time::Duration;

use clap::Args;
use gotong_policy_tool::say;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CliError;
use crate::app::App;
use crate::config::{Config, Limits, Secret};
use crate::jobs::Role;
use crate::metrics::{self, Metrics};
use crate::startup::{self, StartError};
use crate::telemetry::error_for_log;
use crate::{http, jobs};

/// How often the metrics are tidied up.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// SIGXFSZ, on Linux, macOS and the BSDs.
const FILE_TOO_LARGE: i32 = 25;

/// A limit on the size of files is told as an error of the write then, as a full disk is, and does not end the process
/// without a word.
fn survive_full_files() {
    if let Err(error) = signal(SignalKind::from_raw(FILE_TOO_LARGE)) {
        tracing::warn!(%error, "a limit on the size of files would end this host without a word");
    }
}

/// Beyond the longest request.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long)]
    listen: Option<String>,
    /// Keep the store in this folder (default: in memory, gone when the host stops)
    #[arg(long)]
    data: Option<PathBuf>,
    /// For development: accept the public dev key, let the clock be moved
    #[arg(long)]
    dev: bool,
    /// api answers requests, worker runs jobs, all does both (default: all)
    #[arg(long)]
    role: Option<Role>,
    /// Refuse to start unless a trusted key signed the lock (`lock_keys`, GOTONG_LOCK_KEYS)
    #[arg(long)]
    require_signed_lock: bool,
}

impl Serve {
    pub async fn run(self, mut config: Config) -> Result<ExitCode, CliError> {
        config.dev |= self.dev;
        config.require_signed_lock |= self.require_signed_lock;
        if let Some(role) = self.role {
            config.role = role;
        }
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(data) = self.data {
            config.store_url = Secret::new(format!("surrealkv://{}", data.display()));
        }
        survive_full_files();
        let server = Server::start(config).await?;
        let mut ready = json!({"listening": server.address.to_string()});
        if let Some(address) = server.metrics_address {
            ready["metrics"] = address.to_string().into();
        }
        say!("{ready}");
        let code = tokio::select! {
            () = signalled() => {
                tracing::info!("stopping: open requests are finished first");
                ExitCode::SUCCESS
            }
            why = server.app.store.broken() => {
                let error = error_for_log(&why);
                tracing::error!(error, "the store can no longer be written: this host ends, and has to be started again");
                ExitCode::FAILURE
            }
        };
        server.stop().await?;
        Ok(code)
    }
}

/// A host that serves: its API, and the worker that runs its timers.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    /// Where the metrics stand by themselves.
    pub metrics_address: Option<SocketAddr>,
    pub app: App,
    stop: watch::Sender<bool>,
    api: JoinHandle<()>,
    worker: Option<JoinHandle<()>>,
}

impl Server {
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = config.ready_to_serve()?;
        // Before the store is opened: a host that cannot listen must not have migrated it.
        let places = Places::bind(&config).await?;
        Self::at(places, startup::start(config).await?)
    }

    /// Serves an app.
    #[cfg(test)]
    pub async fn of(app: App) -> Result<Self, StartError> {
        Self::at(Places::bind(&app.config).await?, app)
    }

    fn at(places: Places, app: App) -> Result<Self, StartError> {
        let address = places.api.address()?;
        let metrics_address = places.metrics.as_ref().map(Place::address).transpose()?;
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            // The sender lives as long as the server: an error means that it is gone too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let works = app.config.role.runs_jobs();
        let worker = works.then(|| tokio::spawn(jobs::work(app.clone(), until(stopped.clone()))));
        let router = http::router(app.clone());
        let limits = app.config.limits.clone();
        let metrics = Arc::clone(&app.metrics);
        let listener = places.api.0;
        let api = tokio::spawn(async move {
            http::server::serve(listener, router, &limits, metrics, until(stopped)).await;
        });
        if let Some(place) = places.metrics {
            tokio::spawn(serve_metrics(app.clone(), place.0));
        }
        tokio::spawn(tidy(Arc::downgrade(&app.metrics)));
        Ok(Self {
            address,
            metrics_address,
            app,
            stop,
            api,
            worker,
        })
    }

    /// Finishes open requests and the running timers, then stops; a client that keeps a request open for longer than
    /// any may last is not waited for.
    pub async fn stop(self) -> Result<(), StartError> {
        let _ = self.stop.send(true);
        let limit = Duration::from_millis(self.app.config.limits.request_timeout_ms) + GRACE;
        tokio::time::timeout(limit, self.ended())
            .await
            .unwrap_or(Ok(()))
    }

    async fn ended(self) -> Result<(), StartError> {
        let joined = self.api.await.map_err(std::io::Error::other);
        if let Some(worker) = self.worker {
            let _ = worker.await;
        }
        joined.map_err(StartError::Serve)
    }
}

/// Where a host listens.
#[derive(Debug)]
struct Places {
    api: Place,
    /// Where the metrics stand by themselves.
    metrics: Option<Place>,
}

#[derive(Debug)]
struct Place(TcpListener);

impl Places {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        let metrics = match &config.metrics_listen {
            Some(address) => Some(Place::bind(address).await?),
            None => None,
        };
        Ok(Self {
            api: Place::bind(&config.listen).await?,
            metrics,
        })
    }
}

impl Place {
    async fn bind(address: &str) -> Result<Self, StartError> {
        let listener = TcpListener::bind(address).await;
        listener.map(Self).map_err(|source| StartError::Listen {
            address: address.to_owned(),
            source,
        })
    }

    fn address(&self) -> Result<SocketAddr, StartError> {
        self.0.local_addr().map_err(StartError::Serve)
    }
}

/// As long as the process lives: who watches a host sees it stop, too. Its connections are counted nowhere.
async fn serve_metrics(app: App, listener: TcpListener) {
    let limits = Limits::default();
    let router = metrics::routes::apart(app);
    http::server::serve(listener, router, &limits, Arc::default(), pending()).await;
}

/// Keeps what is counted small, as long as there is a host.
async fn tidy(metrics: Weak<Metrics>) {
    while let Some(metrics) = metrics.upgrade() {
        metrics.tidy();
        drop(metrics);
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

/// Ctrl-C, or the service manager's SIGTERM.
pub async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
