//! What a host must reach: its address, its store, Redis.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use gotong_policy_tool::one_line;
use gotong_store::{Migrations, Store, StoreError, Target};
use tokio::net::TcpListener;

use super::Finding;
use super::settings::may_write;
use crate::cli::ENGINE_MANIFEST;
use crate::clock::system_now_ms;
use crate::config::Config;
use crate::redis::Redis;

/// What is said of an address where a host serves already.
pub const ANSWERS: &str = "a host answers there";

/// For everything that may hang.
const LONGEST: Duration = Duration::from_secs(5);

/// Clocks that are further apart than this are worth a look; than the second, timers go wrong.
const APART_MS: i64 = 1_000;
const FAR_APART_MS: i64 = 5_000;

/// Whether the address is free, or a host has it.
pub async fn listen(config: &Config) -> Finding {
    let address = &config.listen;
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok("listen", format!("`{address}` is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && answers(address).await => {
            Finding::ok("listen", format!("`{address}` is in use: {ANSWERS}"))
        }
        Err(error) => Finding::failed(
            "listen",
            format!("`{address}`: {error}"),
            "end what has it, or set listen to another address",
        ),
    }
}

async fn answers(address: &str) -> bool {
    let asked = reqwest::Client::new()
        .get(format!("http://{address}/health/live"))
        .timeout(LONGEST)
        .send();
    asked.await.is_ok_and(|answer| answer.status().is_success())
}

/// Whether the store is there, has the schema of this binary and lets it write.
pub async fn store(config: &Config, is_serving: bool) -> Vec<Finding> {
    let target: Target = match config.store_url.expose().parse() {
        Ok(target) => target,
        Err(error) => {
            return vec![Finding::failed(
                "store",
                one_line(&error),
                "correct store_url",
            )];
        }
    };
    match &target {
        Target::Memory => {
            return vec![Finding::warning(
                "store",
                "in memory: everything is gone when the host stops",
                "give --data DIR or set store_url, except for trying it out",
            )];
        }
        Target::Directory(path) => {
            if let Err(error) = may_write(path) {
                return vec![Finding::failed(
                    "store",
                    format!("`{}`: {error}", path.display()),
                    "let the host's user write the folder",
                )];
            }
            // Looked at before it is opened: the engine would make a store of any folder.
            if !path.join(ENGINE_MANIFEST).exists() {
                return vec![Finding::ok(
                    "store",
                    format!("`{}` holds none yet: the host makes it", path.display()),
                )];
            }
        }
        Target::Server(_) => {}
    }
    let opened = tokio::time::timeout(LONGEST, Store::open_untouched(&target)).await;
    match opened {
        Err(_) => vec![unreachable_store(&format!("`{target}` does not answer"))],
        Ok(Err(StoreError::Locked { directory })) if is_serving => vec![Finding::ok(
            "store",
            format!(
                "`{}` is in use, by the host that answers",
                directory.display()
            ),
        )],
        Ok(Err(error)) => vec![unreachable_store(&one_line(&error))],
        Ok(Ok(store)) => opened_store(&target, &store).await,
    }
}

fn unreachable_store(says: &str) -> Finding {
    Finding::failed(
        "store",
        says,
        "start the store's server or stop what holds the folder; correct store_url and its login",
    )
}

async fn opened_store(target: &Target, store: &Store) -> Vec<Finding> {
    let missing = match Migrations::embedded() {
        Ok(migrations) => store.missing_migrations(&migrations).await,
        Err(error) => Err(error),
    };
    let schema = match missing {
        Ok(missing) if missing.is_empty() => {
            Finding::ok("store", format!("`{target}` has every migration"))
        }
        Ok(missing) if target.is_embedded() => Finding::ok(
            "store",
            format!("`{target}`: the next start applies {}", missing.join(", ")),
        ),
        Ok(missing) => Finding::failed(
            "store",
            format!("`{target}` lacks {}", missing.join(", ")),
            "run `gotong migrate`, once for a release",
        ),
        Err(error) => Finding::failed(
            "store",
            one_line(&error),
            "use the binary that fits the store",
        ),
    };
    let mut findings = vec![schema];
    if !target.is_embedded() {
        findings.push(match store.may_write().await {
            Ok(()) => Finding::ok("writes", "the store lets this login write"),
            Err(error) => Finding::failed(
                "writes",
                one_line(&error),
                "sign in as an editor of the database",
            ),
        });
        let asked = Instant::now();
        findings.push(match store.clock_ms().await {
            Ok(theirs) => clock("the store", theirs, asked.elapsed()),
            Err(error) => Finding::warning("clock", one_line(&error), "see above"),
        });
    }
    findings
}

/// How far a clock is from this machine's. Half of the time the answer took lies behind it.
fn clock(whose: &str, theirs_ms: i64, took: Duration) -> Finding {
    let half_ms = i64::try_from(took.as_millis() / 2).unwrap_or(i64::MAX);
    let apart_ms = (system_now_ms() - half_ms - theirs_ms).abs();
    let says = format!("{apart_ms} ms apart from {whose}'s");
    let fix = "let both machines keep their time (NTP): timers and tokens go by it";
    if apart_ms <= APART_MS {
        Finding::ok("clock", says)
    } else if apart_ms <= FAR_APART_MS {
        Finding::warning("clock", says, fix)
    } else {
        Finding::failed("clock", says, fix)
    }
}

/// Whether Redis is there, new enough, and keeps what it is given.
pub async fn redis(config: &Config) -> Vec<Finding> {
    let redis = match Redis::connect(config) {
        Ok(Some(redis)) => redis,
        Ok(None) => {
            return vec![Finding::ok(
                "redis",
                "none is set: hosts of one store count callers each for itself",
            )];
        }
        Err(error) => {
            return vec![Finding::failed(
                "redis",
                one_line(&error),
                "correct redis_url",
            )];
        }
    };
    let asked = Instant::now();
    let answer = redis
        .ask(|mut connection| async move {
            let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
            let time: (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await?;
            Ok((info, time))
        })
        .await;
    let (info, (seconds, micros)) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return vec![Finding::failed(
                "redis",
                one_line(&error),
                "start it, or correct redis_url; a host serves without it, and slower together with others",
            )];
        }
    };
    vec![
        version(field(&info, "redis_version")),
        eviction(field(&info, "maxmemory_policy")),
        clock("Redis", seconds * 1_000 + micros / 1_000, asked.elapsed()),
    ]
}

fn field<'a>(info: &'a str, name: &str) -> &'a str {
    let of = |line: &'a str| line.split_once(':').filter(|(key, _)| *key == name);
    info.lines()
        .find_map(of)
        .map_or("unknown", |(_, value)| value.trim())
}

/// The oldest that is tested with.
const OLDEST_REDIS: u32 = 7;

fn version(version: &str) -> Finding {
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST_REDIS => {
            Finding::ok("redis", format!("it answers; version {version}"))
        }
        _ => Finding::warning(
            "redis",
            format!("it answers; version {version}"),
            format!("use {OLDEST_REDIS}.0 or later: nothing older is tested with"),
        ),
    }
}

fn eviction(policy: &str) -> Finding {
    match policy {
        "noeviction" => Finding::ok("eviction", "Redis evicts nothing"),
        policy => Finding::warning(
            "eviction",
            format!("Redis evicts keys when it is full: {policy}"),
            "set its maxmemory-policy to noeviction: what is evicted is found again only by the next sweep",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn clocks_are_told_apart() {
        let state =
            |ahead_ms: i64| clock("the store", system_now_ms() + ahead_ms, Duration::ZERO).state;
        assert_eq!(state(0), State::Ok);
        assert_eq!(state(-2_000), State::Warning);
        assert_eq!(state(60_000), State::Failed);
    }

    #[test]
    fn an_old_or_forgetful_redis_is_warned_of() {
        assert_eq!(version("7.0.15").state, State::Ok);
        assert_eq!(version("5.0.3").state, State::Warning);
        assert_eq!(
            version(field("redis_mode:standalone\r\n", "redis_version")).state,
            State::Warning
        );
        assert_eq!(
            eviction(field(
                "a:b\r\nmaxmemory_policy:allkeys-lru\r\n",
                "maxmemory_policy"
            ))
            .state,
            State::Warning
        );
        assert_eq!(eviction("noeviction").state, State::Ok);
    }
}
