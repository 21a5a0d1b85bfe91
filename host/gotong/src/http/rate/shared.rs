//! Counting over Redis, for all hosts together: one script, one key for each caller, which Redis forgets by itself.

use std::time::Duration;

use redis::Script;
use sha2::{Digest, Sha256};

use super::{Count, RouteClass, Who};
use crate::config::Rate;
use crate::redis::{Redis, RedisError};

pub struct SharedRates {
    redis: Redis,
    script: Script,
}

impl std::fmt::Debug for SharedRates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.redis.fmt(f)
    }
}

impl SharedRates {
    pub fn new(redis: Redis) -> Self {
        Self {
            redis,
            script: Script::new(include_str!("gcra.lua")),
        }
    }

    pub async fn count(
        &self,
        class: RouteClass,
        who: &Who,
        rate: Rate,
    ) -> Result<Count, RedisError> {
        let interval_us = u64::try_from(rate.interval().as_micros())
            .unwrap_or(u64::MAX)
            .max(1);
        let mut call = self.script.prepare_invoke();
        call.key(self.key(class, who))
            .arg(interval_us)
            .arg(rate.burst.get());
        let (is_allowed, remaining, wait_us, reset_us): (u8, u32, u64, u64) = self
            .redis
            .ask(|mut connection| async move { call.invoke_async(&mut connection).await })
            .await?;
        Ok(Count {
            rate,
            remaining,
            wait: (is_allowed == 0).then(|| Duration::from_micros(wait_us)),
            reset: Duration::from_micros(reset_us),
        })
    }

    /// Who it is stands there as a digest: Redis is no place for the names of people.
    fn key(&self, class: RouteClass, who: &Who) -> String {
        let name = match who {
            Who::Subject(subject) => subject.to_string(),
            Who::Address(address) => address.to_string(),
        };
        let digest = hex::encode(&Sha256::digest(name)[..16]);
        self.redis
            .key(&["rate", class.as_str(), who.kind(), &digest])
    }
}
