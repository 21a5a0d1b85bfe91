//! Whose turn a request is, where several hosts may be sent the same one: a short-lived lock in Redis, so that they do
//! not all work it out.
//!
//! It saves work and decides nothing. The answer's row in the store makes a request take effect once; whatever
//! happens to Redis, or to a lock in the middle of a command, the worst is that a request is worked out twice and
//! committed once. Each turn has a number that only rises, over restarts and FLUSHALL too, because it is never below
//! Redis' clock: a host that lost its turn to a later one stands back before it commits.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::Script;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::redis::Redis;

/// A host that died in its turn is waited for so long at most. A living one extends its turn before it commits. Shorter
/// than a request may take, on purpose: docs/adr/0022-jobs-in-the-store.md.
const TURN_MS: u64 = 5_000;
/// How long it is known here that a request was answered: whoever asks again reads the answer and needs no turn.
const ANSWERED_MS: u64 = 10_000;
/// Between two looks at a turn that somebody else has.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

const ANSWERED: &str = "answered";
const HELD: &str = "held";

// A number of micro-seconds is whole in Lua's doubles until the year 2255.
const TAKE: &str = "
local now = redis.call('GET', KEYS[1])
if now == 'answered' then return now elseif now then return 'held' end
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local number = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[2], number)
redis.call('SET', KEYS[1], number, 'PX', ARGV[1])
return number";

// A turn that nobody took since (it ran out, or Redis was emptied) is still ours.
const EXTEND: &str = "
local now = redis.call('GET', KEYS[1])
if now and now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

const END: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], 'answered', 'PX', ARGV[2]) end
return 1";

static TAKING: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE));
static EXTENDING: LazyLock<Script> = LazyLock::new(|| Script::new(EXTEND));
static ENDING: LazyLock<Script> = LazyLock::new(|| Script::new(END));

/// Turns of requests, over all hosts that share a Redis.
#[derive(Debug)]
pub struct Turns {
    redis: Option<Redis>,
}

/// The right to work a request out.
#[derive(Debug)]
pub enum Turn {
    /// As long as nobody has a later one.
    Ours(Held),
    /// Another host has answered it a moment ago, or nobody can say: the store does.
    Free,
}

/// A turn that stands in Redis.
#[derive(Debug)]
pub struct Held {
    redis: Redis,
    key: String,
    number: String,
    /// The answer is in the store.
    answered: bool,
}

impl Turns {
    pub fn new(redis: Option<Redis>) -> Self {
        Self { redis }
    }

    /// Waits until it is this host's turn, at most until `end`; none then. Without Redis it always is.
    pub async fn take(&self, request: &str, end: Instant) -> Option<Turn> {
        let Some(redis) = &self.redis else {
            return Some(Turn::Free);
        };
        // In braces: the scripts use both keys together, also in a cluster.
        let digest = hex::encode(Sha256::digest(request));
        let (key, last) = (
            redis.key(&["{turns}", &digest]),
            redis.key(&["{turns}", "last"]),
        );
        let mut pause = FIRST_PAUSE;
        loop {
            let mut script = TAKING.key(&key);
            script.key(&last).arg(TURN_MS);
            let taken: Result<String, _> = redis
                .ask(|mut connection| async move { script.invoke_async(&mut connection).await })
                .await;
            match taken.as_deref() {
                Err(_) | Ok(ANSWERED) => return Some(Turn::Free),
                Ok(HELD) if Instant::now() + pause > end => return None,
                Ok(HELD) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Ok(number) => {
                    return Some(Turn::Ours(Held {
                        redis: redis.clone(),
                        key,
                        number: number.to_owned(),
                        answered: false,
                    }));
                }
            }
        }
    }
}

impl Turn {
    /// Before a commit: false if another host has the turn by now, whose answer is to be waited for.
    pub async fn holds(&self) -> bool {
        let Self::Ours(held) = self else {
            return true;
        };
        let mut script = EXTENDING.key(&held.key);
        script.arg(&held.number).arg(TURN_MS);
        let holds = held
            .redis
            .ask(|mut connection| async move { script.invoke_async::<u8>(&mut connection).await });
        // Redis away: the store decides.
        holds.await.map_or(true, |holds| holds == 1)
    }

    /// Gives the turn back. `answered`: the answer is in the store.
    pub fn end(mut self, answered: bool) {
        if let Self::Ours(held) = &mut self {
            held.answered = answered;
        }
    }
}

/// Gives the turn back, after a panic too; nobody waits for that.
impl Drop for Held {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut script = ENDING.key(&self.key);
        script
            .arg(&self.number)
            .arg(if self.answered { ANSWERED_MS } else { 0 });
        let redis = self.redis.clone();
        runtime.spawn(async move {
            // If Redis did not hear of it, the turn runs out.
            let _ =
                redis
                    .ask(|mut connection| async move {
                        script.invoke_async::<u8>(&mut connection).await
                    })
                    .await;
        });
    }
}

#[cfg(test)]
mod tests;
