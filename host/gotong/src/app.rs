//! What every handler and timer shares. A host holds no domain state: this is connections, pinned
//! policies, keys and locks.

use std::ops::Deref;
use std::sync::Arc;

use gotong_engine::{Family, Policies, RulingCache};
use gotong_store::Store;

use crate::clock::Clock;
use crate::command::Turns;
use crate::command::locks::KeyedLocks;
use crate::config::Config;
use crate::http::auth::Tokens;
use crate::http::limits::Gate;
use crate::http::paging::Cursors;
use crate::jobs::{Jobs, Kinds};
use crate::metrics::Metrics;
use crate::redis::Redis;
use crate::rulings::gate::{Tracks, TracksByScope};
use crate::rulings::shadow::Shadows;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

#[derive(Debug)]
pub struct Parts {
    pub config: Config,
    pub store: Store,
    /// What hosts share for speed; `None`: this one keeps to itself.
    pub redis: Option<Redis>,
    pub policies: Arc<Policies>,
    tracks: TracksByScope,
    /// Rulings by their facts, unless the settings want none kept.
    pub rulings: Option<RulingCache>,
    pub shadows: Shadows,
    pub tokens: Tokens,
    /// What every request must pass.
    pub gate: Gate,
    pub cursors: Cursors,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    /// One per (scope, request_id): a repeated request waits for the first.
    pub requests: KeyedLocks,
    /// The same among hosts, where there is a Redis.
    pub turns: Turns,
    /// One per stream: commands of one process queue up instead of conflicting in the database.
    pub streams: KeyedLocks,
    pub jobs: Jobs,
    /// The name under which this process leases jobs.
    pub instance: String,
}

/// The pinned policies, and what the gate policies say of the tracks.
#[derive(Clone, Debug)]
pub struct Rules {
    pub policies: Arc<Policies>,
    pub tracks: TracksByScope,
}

impl App {
    pub fn new(
        config: Config,
        store: Store,
        redis: Option<Redis>,
        kinds: Kinds,
        rules: Rules,
        tokens: Tokens,
        cursors: Cursors,
    ) -> Self {
        let Rules { policies, tracks } = rules;
        let metrics = Metrics::default();
        metrics.begin(&policies, &kinds);
        let jobs = Jobs::new(kinds, redis.clone(), &config.jobs);
        let shadows = Shadows::new(config.shadow_sample_permille);
        let rulings = (config.rulings_cache > 0).then(|| RulingCache::new(config.rulings_cache));
        let turns = Turns::new(redis.clone());
        let gate = Gate::new(&config, redis.clone());
        let clock = Clock::default();
        if config.dev {
            clock.advance(config.clock_ahead_ms);
        }
        Self(Arc::new(Parts {
            config,
            store,
            redis,
            policies,
            tracks,
            rulings,
            shadows,
            tokens,
            gate,
            cursors,
            metrics: Arc::new(metrics),
            clock,
            requests: KeyedLocks::default(),
            turns,
            streams: KeyedLocks::default(),
            jobs,
            instance: uuid::Uuid::now_v7().to_string(),
        }))
    }

    /// The tracks as the gate policy of a scope lays them out.
    pub fn tracks(&self, scope: &str) -> &Tracks {
        self.tracks.by(self.policies.deciding(Family::Gate, scope))
    }

    /// Another host on the same store, which knows nothing of this one's locks.
    #[cfg(test)]
    pub fn beside(&self, tokens: Tokens) -> Self {
        Self::new(
            self.config.clone(),
            self.store.clone(),
            self.redis.clone(),
            self.jobs.kinds().clone(),
            Rules {
                policies: self.policies.clone(),
                tracks: self.0.tracks.clone(),
            },
            tokens,
            self.cursors.clone(),
        )
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
