//! What a host must reach beside its store: its addresses, Redis.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use gotong_policy_tool::one_line;
use tokio::net::TcpListener;

use super::Finding;
use crate::clock::system_now_ms;
use crate::config::Config;
use crate::metrics::BUILD;
use crate::redis::Redis;

/// For everything that may hang.
pub const LONGEST: Duration = Duration::from_secs(5);

/// Clocks that are further apart than this are worth a look; than the second, timers go wrong.
const APART_MS: i64 = 1_000;
const FAR_APART_MS: i64 = 5_000;

/// What is said of the addresses.
pub struct Listening {
    pub findings: Vec<Finding>,
    /// A host answers on the API's.
    pub is_serving: bool,
}

/// Whether the addresses are free, or a host has them.
pub async fn listen(config: &Config) -> Listening {
    let api = TcpListener::bind(&config.listen).await;
    let is_serving = is_taken(&api) && is_host(&config.listen).await;
    let mut findings = vec![address("listen", &config.listen, &api, is_serving)];
    if let Some(apart) = &config.metrics_listen {
        // While the first is held: two that are the same are found out.
        let metrics = TcpListener::bind(apart).await;
        let has_host = is_taken(&metrics) && is_metrics(apart).await;
        findings.push(address("metrics", apart, &metrics, has_host));
    }
    Listening {
        findings,
        is_serving,
    }
}

fn is_taken(bound: &std::io::Result<TcpListener>) -> bool {
    matches!(bound, Err(error) if error.kind() == ErrorKind::AddrInUse)
}

fn address(
    check: &'static str,
    address: &str,
    bound: &std::io::Result<TcpListener>,
    has_host: bool,
) -> Finding {
    match bound {
        Ok(_) => Finding::ok(check, format!("`{address}` is free")),
        Err(_) if has_host => Finding::ok(
            check,
            format!("`{address}` is in use: a host answers there"),
        ),
        Err(error) => Finding::failed(
            check,
            format!("`{address}`: {error}"),
            "end what has it, or set another address",
        ),
    }
}

/// Whether what answers is a host: anything may answer 200.
async fn is_host(address: &str) -> bool {
    let told = ask(address, "/health/live").await;
    told.and_then(|body| serde_json::from_str::<serde_json::Value>(&body).ok())
        .is_some_and(|body| body == serde_json::json!({"status": "live"}))
}

async fn is_metrics(address: &str) -> bool {
    ask(address, "/metrics")
        .await
        .is_some_and(|body| body.contains(BUILD))
}

async fn ask(address: &str, path: &str) -> Option<String> {
    let asked = reqwest::Client::new()
        .get(format!("http://{address}{path}"))
        .timeout(LONGEST)
        .send();
    asked.await.ok()?.error_for_status().ok()?.text().await.ok()
}

/// How far a clock is from this machine's. Half of the time the answer took lies behind it.
pub fn clock(whose: &str, theirs_ms: i64, took: Duration) -> Finding {
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
