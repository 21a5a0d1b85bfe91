//! What unit tests of the write path share: a host in memory with the pinned policies, and requests to it.

use std::sync::Arc;

use axum::http::StatusCode;
use gotong_engine::types::{TokenRole, Trigger};
use gotong_store::{Migrations, Store, Target};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::config::Config;
use crate::http::auth::{Actor, Tokens};
use crate::http::context::CommandContext;
use crate::http::paging::Cursors;
use crate::rulings::gate::TracksByScope;
use crate::startup::load_policies;

pub async fn app() -> App {
    let config = Config {
        dev: true,
        cache_dir: None,
        ..Config::default()
    }
    .ready_to_serve()
    .unwrap();
    let store = Store::open(&Target::Memory, None).await.unwrap();
    store
        .migrate(&Migrations::embedded().unwrap())
        .await
        .unwrap();
    let policies = Arc::new(load_policies(&config).unwrap());
    let tracks = TracksByScope::read(&policies).unwrap();
    let tokens = Tokens::new(&config.auth).unwrap();
    let cursors = Cursors::new(&config).unwrap();
    App::new(config, store, None, policies, tracks, tokens, cursors)
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
        success: StatusCode::CREATED,
    }
}
