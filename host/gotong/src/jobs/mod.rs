//! Durable jobs: work that becomes due, lies in the store, and is run by any host, at least once.
//!
//! Promises: a job is set, finished and called off in the commit of a command, so it is there exactly when its cause
//! is; its work takes effect once, because it is a command under the job's own id that finishes the job in its own
//! commit, and only under the lease it was claimed with; whoever dies with a job in hand loses it when the lease
//! ends. The store is the truth: Redis, where there is one, only says sooner which job is due.
//!
//! Knows no service. A service registers its [`Kind`]s.

pub mod admin;
pub mod back_off;
mod dispatch;
mod id;
pub mod kind;
mod mirror;
pub mod routes;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gotong_store::JobChange;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

use crate::app::App;
use crate::config;
use crate::redis::Redis;
use crate::request::TIMER_PREFIX;
use dispatch::Dispatcher;
pub use id::JobId;
pub use kind::{Attempts, Kind, Kinds};
pub use worker::work;

/// What a host does: answers requests, runs jobs, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers requests; the jobs it sets are run by other hosts.
    Api,
    /// Runs jobs; of the routes it has only health and metrics.
    Worker,
    /// Both.
    #[default]
    All,
}

impl Role {
    /// Whether it runs jobs.
    pub fn runs_jobs(self) -> bool {
        self != Self::Api
    }

    /// Whether it has the routes of the API.
    pub fn serves_api(self) -> bool {
        self != Self::Worker
    }
}

/// The request a job's work is done under: the same at every attempt, on every host. The prefix keeps it apart from
/// what clients may send.
pub fn request_id(job_id: &str) -> String {
    if job_id.starts_with(TIMER_PREFIX) {
        job_id.to_owned()
    } else {
        format!("{TIMER_PREFIX}{job_id}")
    }
}

/// One process' part in the queue: the kinds it knows, where it hears what is due, and what it works on.
#[derive(Debug)]
pub struct Jobs {
    kinds: Kinds,
    dispatcher: Dispatcher,
    /// Rung when a job was set that is due soon, when one ended, and when the clock was moved.
    bell: Notify,
    slots: Arc<Semaphore>,
    /// What this process works on. Its leases end by the clock, which `--dev` moves: it does not take a job twice.
    in_hand: Mutex<HashSet<String>>,
    /// How many jobs it has claimed and let go of since it started.
    ran: AtomicUsize,
}

impl Jobs {
    pub fn new(kinds: Kinds, redis: Option<Redis>, settings: &config::Jobs) -> Self {
        Self {
            kinds,
            dispatcher: Dispatcher::new(redis),
            bell: Notify::new(),
            slots: Arc::new(Semaphore::new(settings.at_once)),
            in_hand: Mutex::default(),
            ran: AtomicUsize::new(0),
        }
    }

    /// Wakes the worker of this process.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// What this process knows how to do.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    fn hold(&self, job_id: &str) -> bool {
        self.hands().insert(job_id.to_owned())
    }

    fn let_go(&self, job_id: &str) {
        self.hands().remove(job_id);
    }

    fn is_idle(&self) -> bool {
        self.hands().is_empty()
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // Whole after every line: a panic elsewhere spoils nothing.
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_run(&self) {
        self.ran.fetch_add(1, Ordering::SeqCst);
    }

    fn runs(&self) -> usize {
        self.ran.load(Ordering::SeqCst)
    }
}

impl App {
    /// After a commit: whoever runs jobs hears of those it set, as far as they are due soon.
    pub fn jobs_changed(&self, changes: &[JobChange]) {
        let now_ms = self.clock.now_ms();
        let set = dispatch::set_by(changes);
        // What is due later, the worker finds by itself.
        let next_look_ms = i64::try_from(worker::POLL.as_millis()).unwrap_or(i64::MAX);
        let next_look_ms = now_ms.saturating_add(next_look_ms);
        let rings = set.iter().any(|due| due.wake_at_ms <= next_look_ms);
        let told = self.jobs.dispatcher.to_tell(&set, now_ms);
        if told.is_empty() {
            if rings {
                self.jobs.ring();
            }
            return;
        }
        let app = self.clone();
        tokio::spawn(async move {
            app.jobs.dispatcher.tell(&told).await;
            if rings {
                app.jobs.ring();
            }
        });
    }
}
