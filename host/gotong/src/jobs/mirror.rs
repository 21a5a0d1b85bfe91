//! The queue's mirror in Redis: which jobs wake within the next minute, and who looks at them. It is made from the
//! store and thrown away without loss.
//!
//! `{jobs}:due` is a sorted set of job ids by the time they wake; taking one moves it to the end of its lease, as in the
//! store. `{jobs}:owners` says who took it. `{jobs}:swept` is there as long as the mirror is fresh, and says up to when it reaches:
//! whoever finds it gone (after a while, after FLUSHALL, after a restart), or finds nothing left up to there, copies the store
//! again.

use std::collections::HashSet;
use std::sync::LazyLock;

use gotong_store::{Due, Store, StoreError};
use redis::{Script, ScriptInvocation};

use crate::clock::Millis;
use crate::redis::{Redis, RedisError};

/// How far ahead the mirror reaches.
const HORIZON_MS: i64 = 60_000;
/// How long it is trusted: what a host committed and could not tell Redis is found by then.
const FRESH_MS: i64 = 5_000;
/// A sweep copies so many jobs, the earliest; when the last of them was due and they have been taken, the next sweep comes
/// at once.
const MOST: usize = 4_096;
const PAGE: usize = 512;

const TAKE: &str = "
local swept = redis.call('GET', KEYS[3])
if not swept then return false end
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
if #due == 0 and tonumber(swept) <= tonumber(ARGV[1]) then return false end
for i = 1, #due, 2 do
    redis.call('ZADD', KEYS[1], ARGV[2], due[i])
    redis.call('HSET', KEYS[2], due[i], ARGV[4])
end
return due";

const RENEW: &str = "
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1";

const SETTLE: &str = "
local owner = redis.call('HGET', KEYS[2], ARGV[1])
if owner and owner ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return 1";

// Lua unpacks only so many values at once: a page is below that.
const PUT: &str = "
for i = 1, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
return #ARGV / 2";

static TAKING: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));
static RENEWING: LazyLock<Script> = LazyLock::new(|| Script::new(RENEW));
static SETTLING: LazyLock<Script> = LazyLock::new(|| Script::new(SETTLE));
static PUTTING: LazyLock<Script> = LazyLock::new(|| Script::new(PUT));

#[derive(Debug)]
pub struct Mirror {
    redis: Redis,
    due: String,
    owners: String,
    swept: String,
}

impl Mirror {
    pub fn new(redis: Redis) -> Self {
        // In braces: one Lua script may then use them together in a cluster.
        let key = |name| redis.key(&["{jobs}", name]);
        Self {
            due: key("due"),
            owners: key("owners"),
            swept: key("swept"),
            redis,
        }
    }

    /// Whether a job that wakes then has its place here now.
    pub fn holds(&self, wake_at_ms: Millis, now_ms: Millis) -> bool {
        wake_at_ms <= now_ms.saturating_add(HORIZON_MS)
    }

    /// Takes jobs that may run, for the length of a lease; makes the mirror first if it is not fresh.
    pub async fn take(
        &self,
        store: &Store,
        owner: &str,
        now_ms: Millis,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Result<Vec<Due>, RedisError>, StoreError> {
        match self.try_take(owner, now_ms, lease_ms, limit).await {
            Ok(Some(places)) => return Ok(Ok(places)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        if let Err(error) = self.sweep(store, now_ms).await? {
            return Ok(Err(error));
        }
        let taken = self.try_take(owner, now_ms, lease_ms, limit).await;
        Ok(taken.map(Option::unwrap_or_default))
    }

    async fn try_take(
        &self,
        owner: &str,
        now_ms: Millis,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Option<Vec<Due>>, RedisError> {
        let mut script = self.script(&TAKING);
        let until_ms = now_ms.saturating_add(lease_ms);
        script.key(&self.swept);
        script.arg(now_ms).arg(until_ms).arg(limit).arg(owner);
        let taken: Option<Vec<(String, Millis)>> = self.run(&script).await?;
        Ok(taken.map(|taken| {
            let places = taken.into_iter();
            let places = places.map(|(job_id, wake_at_ms)| Due { wake_at_ms, job_id });
            places.collect()
        }))
    }

    /// Copies what wakes soon from the store. Two hosts may do so at once: both write the same.
    async fn sweep(
        &self,
        store: &Store,
        now_ms: Millis,
    ) -> Result<Result<(), RedisError>, StoreError> {
        let through_ms = now_ms.saturating_add(HORIZON_MS);
        let (mut after, mut copied, mut seen) = (None, 0, HashSet::new());
        let reaches_ms = loop {
            let page = store
                .jobs()
                .waking(through_ms, after.as_ref(), PAGE)
                .await?;
            copied += page.len();
            let is_last = page.len() < PAGE;
            after = page.last().cloned();
            // Of two places of one job the earlier: one of them is not its own, and the claim takes it away.
            let page: Vec<Due> = page
                .into_iter()
                .filter(|due| seen.insert(due.job_id.clone()))
                .collect();
            if let Err(error) = self.put(&page).await {
                return Ok(Err(error));
            }
            match &after {
                Some(last) if !is_last && copied >= MOST => break last.wake_at_ms,
                Some(_) if !is_last => {}
                _ => break through_ms,
            }
        };
        let key = self.swept.clone();
        let fresh = self.redis.ask(|mut connection| async move {
            redis::cmd("SET")
                .arg(key)
                .arg(reaches_ms)
                .arg("PX")
                .arg(FRESH_MS)
                .query_async::<()>(&mut connection)
                .await
        });
        Ok(fresh.await)
    }

    pub async fn put(&self, jobs: &[Due]) -> Result<(), RedisError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut script = PUTTING.key(&self.due);
        for due in jobs {
            script.arg(due.wake_at_ms).arg(&due.job_id);
        }
        self.run(&script).await
    }

    pub async fn renew(
        &self,
        job_id: &str,
        owner: &str,
        until_ms: Millis,
    ) -> Result<(), RedisError> {
        let mut script = self.script(&RENEWING);
        script.arg(job_id).arg(owner).arg(until_ms);
        self.run(&script).await
    }

    pub async fn settle(
        &self,
        job_id: &str,
        owner: &str,
        wake_at_ms: Option<Millis>,
    ) -> Result<(), RedisError> {
        let mut script = self.script(&SETTLING);
        let wake = wake_at_ms.map(|at_ms| at_ms.to_string());
        script.arg(job_id).arg(owner).arg(wake.unwrap_or_default());
        self.run(&script).await
    }

    /// When the next job wakes, as far as the mirror reaches.
    pub async fn next(&self) -> Result<Option<Millis>, RedisError> {
        let key = self.due.clone();
        let first: Vec<(String, i64)> = self
            .redis
            .ask(|mut connection| async move {
                redis::cmd("ZRANGE")
                    .arg(key)
                    .arg(0)
                    .arg(0)
                    .arg("WITHSCORES")
                    .query_async(&mut connection)
                    .await
            })
            .await?;
        Ok(first.first().map(|(_, wake_at_ms)| *wake_at_ms))
    }

    fn script(&self, script: &'static Script) -> ScriptInvocation<'static> {
        let mut script = script.prepare_invoke();
        script.key(&self.due).key(&self.owners);
        script
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        self.redis
            .ask(|mut connection| async move { script.invoke_async(&mut connection).await })
            .await
    }
}
