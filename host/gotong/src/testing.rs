//! What unit tests of the write path share: a host in memory with the pinned policies, and requests to it.

use std::sync::Arc;

use gotong_engine::types::{TokenRole, Trigger};
use gotong_store::{Migrations, Store, Target};
use sha2::{Digest, Sha256};

use crate::app::{App, Rules};
use crate::config::Config;
use crate::http::auth::Tokens;
use crate::http::paging::Cursors;
use crate::jobs::Kinds;
use crate::redis::Redis;
use crate::request::{Actor, CommandContext};
use crate::rulings::gate::TracksByScope;
use crate::startup::{job_kinds, load_policies};

/// The real redis-server, as the tests of the whole host use it.
#[path = "../tests/harness/redis.rs"]
#[allow(
    dead_code,
    reason = "the tests of the whole host use other parts of it"
)]
pub mod redis_server;

/// Sends a signal to a process of ours: `-STOP`, say.
fn signal(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "{name} to {pid}");
}

pub fn config() -> Config {
    Config {
        dev: true,
        cache_dir: None,
        listen: "127.0.0.1:0".into(),
        ..Config::default()
    }
}

pub async fn app() -> App {
    app_with(config(), job_kinds()).await
}

/// A host with settings of its own, that knows other kinds of jobs.
pub async fn app_with(config: Config, kinds: Kinds) -> App {
    let config = config.ready_to_serve().unwrap();
    let store = Store::open(&Target::Memory, None).await.unwrap();
    store
        .migrate(&Migrations::embedded().unwrap())
        .await
        .unwrap();
    let policies = Arc::new(load_policies(&config).unwrap());
    let tracks = TracksByScope::read(&policies).unwrap();
    let tokens = Tokens::new(&config.auth).unwrap();
    let cursors = Cursors::new(&config).unwrap();
    let redis = Redis::connect(&config).unwrap();
    let rules = Rules { policies, tracks };
    App::new(config, store, redis, kinds, rules, tokens, cursors)
}

/// A request of a user, under a key of its own.
pub fn context(who: &str, key: &str) -> CommandContext {
    CommandContext {
        actor: Actor {
            user_id: who.to_owned(),
            username: who.to_owned(),
            role: TokenRole::User,
        },
        request_id: key.to_owned(),
        correlation_id: "correlation".into(),
        request_digest: hex::encode(Sha256::digest(key)),
        now_ms: 1_700_000_000_000,
        trigger: Trigger::UserAction,
        creates: true,
        lease: None,
        place: None,
    }
}
