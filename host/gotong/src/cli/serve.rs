//! `gotong serve`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CliError;
use crate::app::App;
use crate::config::{Config, Secret};
use crate::startup::{self, StartError};
use crate::{http, jobs};

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
    /// Refuse to start unless a trusted key signed the lock (`lock_keys`, GOTONG_LOCK_KEYS)
    #[arg(long)]
    require_signed_lock: bool,
}

impl Serve {
    pub async fn run(self, mut config: Config) -> Result<ExitCode, CliError> {
        config.dev |= self.dev;
        config.require_signed_lock |= self.require_signed_lock;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(data) = self.data {
            config.store_url = Secret::new(format!("surrealkv://{}", data.display()));
        }
        let server = Server::start(config).await?;
        println!("{}", json!({"listening": server.address.to_string()}));
        signalled().await;
        tracing::info!("stopping: open requests are finished first");
        server.stop().await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A host that serves: its API, and the worker that runs its timers.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    pub app: App,
    stop: watch::Sender<bool>,
    api: JoinHandle<()>,
    worker: JoinHandle<()>,
}

impl Server {
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let config = config.ready_to_serve()?;
        let app = startup::start(config).await?;
        let address = app.config.listen.clone();
        let listener = TcpListener::bind(&address)
            .await
            .map_err(|source| StartError::Listen {
                address: address.clone(),
                source,
            })?;
        let address = listener
            .local_addr()
            .map_err(|source| StartError::Listen { address, source })?;
        let (stop, stopped) = watch::channel(false);
        let until = |mut stopped: watch::Receiver<bool>| async move {
            // The sender lives as long as the server: an error means that it is gone too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let worker = tokio::spawn(jobs::work(app.clone(), until(stopped.clone())));
        let router = http::router(app.clone());
        let limits = app.config.limits.clone();
        let api = tokio::spawn(async move {
            http::server::serve(listener, router, &limits, until(stopped)).await;
        });
        Ok(Self {
            address,
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
        let _ = self.worker.await;
        joined.map_err(StartError::Serve)
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
