//! The connection to Redis, which is speed and never the truth: a host without it is complete, and a host that loses
//! it goes on.
//!
//! One connection for the whole process, shared by everything that uses Redis. `ask` is its door: it answers within
//! a time-out, and while Redis is away it answers at once, so that nobody waits for what is not there. An outage is
//! logged once at its begin and once at its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, ServerErrorKind};

use crate::config::Config;
use crate::telemetry::error_for_log;

/// While Redis is away, it is looked for once in this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why Redis could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address cannot be one. It is not shown: it may hold a password.
    #[error(
        "redis_url is not an address of a Redis: use redis://[USER:PASSWORD@]HOST:PORT[/DB], or rediss:// for TLS"
    )]
    Address,
    /// It did not answer a moment ago; nobody waited for it this time.
    #[error("redis is away")]
    Away,
    /// It did not do what was asked.
    #[error("redis did not do what was asked")]
    Refused(#[source] redis::RedisError),
}

/// Redis, as this host uses it. Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    client: Client,
    timeouts: ConnectionManagerConfig,
    prefix: String,
    state: Mutex<State>,
}

struct State {
    manager: ConnectionManager,
    /// When it may be asked again, while it is away.
    away_until: Option<Instant>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the client: it holds the password.
        f.debug_struct("Redis")
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}

impl Redis {
    /// What the settings name, if they name one. Connects when it is first asked: a host starts without Redis too.
    /// Must be called inside the runtime.
    pub fn connect(config: &Config) -> Result<Option<Self>, RedisError> {
        let Some(url) = &config.redis_url else {
            return Ok(None);
        };
        let client = client(url.expose())?;
        let timeout = Duration::from_millis(config.redis_timeout_ms);
        // No retries inside: whoever asks has a way to go on without Redis, and takes it at once.
        let timeouts = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), timeouts.clone())
            .map_err(RedisError::Refused)?;
        let state = Mutex::new(State {
            manager,
            away_until: None,
        });
        Ok(Some(Self(Arc::new(Shared {
            client,
            timeouts,
            prefix: config.redis_prefix.clone(),
            state,
        }))))
    }

    fn connection(&self) -> ConnectionManager {
        self.state().manager.clone()
    }

    /// `PREFIX:part:part`: nothing of this host stands outside its prefix.
    pub fn key(&self, parts: &[&str]) -> String {
        let mut key = self.0.prefix.clone();
        for part in parts {
            key.push(':');
            key.push_str(part);
        }
        key
    }

    /// Asks Redis, within the time-out. While it is away, the answer is `Away` at once, and one caller a second finds
    /// out whether it is back.
    pub async fn ask<T, Asked: Future<Output = redis::RedisResult<T>>>(
        &self,
        question: impl FnOnce(ConnectionManager) -> Asked,
    ) -> Result<T, RedisError> {
        if !self.may_be_asked() {
            return Err(RedisError::Away);
        }
        match question(self.connection()).await {
            Ok(answer) => {
                self.is_there();
                Ok(answer)
            }
            Err(error) if is_answer(&error) => {
                self.is_there();
                Err(RedisError::Refused(error))
            }
            Err(error) => {
                self.is_away(&error);
                Err(RedisError::Refused(error))
            }
        }
    }

    /// Whether Redis answers now. Its absence is logged.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.ask(|mut connection| async move {
            redis::cmd("PING").query_async::<()>(&mut connection).await
        })
        .await
    }

    /// Whether it answered when it was last asked.
    #[cfg(test)]
    pub fn is_up(&self) -> bool {
        self.state().away_until.is_none()
    }

    /// Not while Redis is away, until it is time to look again.
    fn may_be_asked(&self) -> bool {
        let mut state = self.state();
        if let Some(until) = state.away_until {
            let now = Instant::now();
            if now < until {
                return false;
            }
            // Who gets this turn looks for it; the others go on without.
            state.away_until = Some(now + LOOK_AGAIN);
        }
        true
    }

    fn is_there(&self) {
        if self.state().away_until.take().is_some() {
            tracing::info!("redis is back");
        }
    }

    fn is_away(&self, error: &redis::RedisError) {
        let mut state = self.state();
        if state.away_until.is_none() {
            let error = error_for_log(error);
            tracing::error!(
                error,
                "redis is away: this host goes on without it until it is back"
            );
        }
        state.away_until = Some(Instant::now() + LOOK_AGAIN);
        // A manager whose connection failed otherwise than by the network (a password, say) never tries again.
        let fresh =
            ConnectionManager::new_lazy_with_config(self.0.client.clone(), self.0.timeouts.clone());
        if let Ok(fresh) = fresh {
            state.manager = fresh;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Whole after every line: a panic elsewhere spoils nothing.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client of an address; nothing is connected yet.
pub fn client(url: &str) -> Result<Client, RedisError> {
    // Behind a `#` the library takes orders: not to check certificates, say.
    match url.contains('#') {
        true => Err(RedisError::Address),
        false => Client::open(url).map_err(|_| RedisError::Address),
    }
}

/// Redis is there and answered, if only with a no: that is the caller's affair.
fn is_answer(error: &redis::RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ResponseError
                | ServerErrorKind::ExecAbort
                | ServerErrorKind::NoScript
                | ServerErrorKind::NoSub
                | ServerErrorKind::CrossSlot
        ) | ErrorKind::UnexpectedReturnType
    ) || error.code() == Some("WRONGTYPE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn an_address_that_cannot_be_one_is_not_shown() {
        for address in [
            "",
            "hunter2",
            "http://a:hunter2@b",
            "rediss://a:hunter2@b#insecure",
        ] {
            let error = client(address).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_redis_that_is_away() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let config = Config {
            redis_url: Some(Secret::new(format!("redis://:hunter2@{address}"))),
            ..Config::default()
        };
        let redis = Redis::connect(&config).unwrap().unwrap();
        assert!(!format!("{redis:?}").contains("hunter2"));
        assert!(matches!(redis.ping().await, Err(RedisError::Refused(_))));
        assert!(!redis.is_up());
        assert!(matches!(redis.ping().await, Err(RedisError::Away)));
        tokio::time::sleep(LOOK_AGAIN).await;
        assert!(
            matches!(redis.ping().await, Err(RedisError::Refused(_))),
            "looked for again"
        );
    }

    #[tokio::test]
    async fn every_key_stands_under_the_prefix() {
        let config = Config {
            redis_url: Some(Secret::new("redis://127.0.0.1:1")),
            redis_prefix: "a:b".into(),
            ..Config::default()
        };
        let redis = Redis::connect(&config).unwrap().unwrap();
        assert_eq!(redis.key(&["rate", "read"]), "a:b:rate:read");
        assert!(Redis::connect(&Config::default()).unwrap().is_none());
    }
}
