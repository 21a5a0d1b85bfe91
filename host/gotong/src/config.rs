//! The host's settings: `gotong.toml`, then `GOTONG_*`, then the command line, each over the last.
//!
//! There is no default secret. Outside `--dev` a host without a key, or with the public dev key,
//! refuses to start.

mod jobs;
mod limits;
mod network;
mod unreadable;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::command::CrashPoint;
use crate::jobs::Role;
pub use jobs::{Jobs, JobsError};
#[cfg(test)]
pub use limits::Per;
pub use limits::{Limits, LimitsError, Rate, Rates};
pub use network::Network;
pub use unreadable::UnreadableError;

/// The public key of `--dev` servers: anybody can sign with it, which is its purpose.
pub const DEV_SECRET: &str = include_str!("../../../fixtures/keys/dev-hs256.key");

/// Variables of the command line that stand beside the settings.
const NOT_SETTINGS: &[&str] = &["config", "token"];

/// Texts that are taken as they stand: the environment's other values are read as numbers, flags and quoted texts.
const VERBATIM: &[&str] = &[
    "auth__hs256_secret",
    "auth__eddsa_public_key_pem",
    "cursor_secret",
    "otlp_endpoint",
    "redis_prefix",
    "redis_url",
    "store_url",
    "store_people_key",
];

/// Longest forgiven clock skew.
const LONGEST_LEEWAY_S: u64 = 300;

const SHORTEST_SECRET: usize = 32;

/// Longer, and a Redis that hangs would hold every request up.
const LONGEST_REDIS_MS: u64 = 5_000;

/// Most rulings that are kept by their facts.
const MOST_RULINGS: usize = 1_000_000;

/// Everything that can be set, with its defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Address and port where `/metrics` is served to anybody; none: only on `listen`, to those who may audit.
    pub metrics_listen: Option<String>,
    /// `memory`, `surrealkv://DIR` or `ws://USER:PASSWORD@HOST:PORT/NAMESPACE/DATABASE` (a database-level
    /// editor, never root).
    pub store_url: Secret,
    /// Signs the sessions in which people read what is private to them, at least 32 bytes; the same for all hosts of one
    /// server. An embedded store makes its own.
    pub store_people_key: Option<Secret>,
    /// `false`: surrealkv leaves syncing to the operating system. A power loss can then take the newest writes.
    pub store_sync: bool,
    /// `redis://[USER:PASSWORD@]HOST:PORT[/DB]`; without it, a host keeps to itself what hosts could share.
    pub redis_url: Option<Secret>,
    /// What every key in Redis begins with: hosts on one store have the same.
    pub redis_prefix: String,
    /// How long Redis may take to connect or to answer, before the host goes on without it.
    pub redis_timeout_ms: u64,
    /// Folder that holds `policies.lock`; looked for upwards from the working directory when unset.
    pub policies_dir: Option<PathBuf>,
    /// Folder of golden decisions, replayed at start; unset: `fixtures/decisions` beside the policies.
    pub golden_dir: Option<PathBuf>,
    /// Where compiled modules are kept between starts.
    pub cache_dir: Option<PathBuf>,
    /// How many of the newest recorded decisions are replayed at start.
    pub replay_at_start: usize,
    /// How many questions in a thousand the shadow modules are asked too; 0: none.
    pub shadow_sample_permille: u16,
    /// How many rulings are kept by their facts, a few kilobytes each; 0: none.
    pub rulings_cache: usize,
    /// Refuse to start unless one of `lock_keys` signed the lock.
    pub require_signed_lock: bool,
    /// File of the Ed25519 public keys that may sign the lock, PEM, one behind the other.
    pub lock_keys: Option<PathBuf>,
    /// Seals cursors, at least 32 bytes, the same for all hosts of one store. Unset: the secret of the tokens does; a host
    /// that has none of the two makes a key for itself.
    pub cursor_secret: Option<Secret>,
    pub auth: Auth,
    pub limits: Limits,
    /// Addresses and networks of the proxies in front: what they say of a client's address is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header they say it in. The other one is never read: a proxy may pass a client's own on.
    pub forwarded_by: ForwardedBy,
    /// Origins whose pages may call the API; none: no CORS headers. `*` alone: all.
    pub cors_origins: Vec<String>,
    /// Who takes traces, over OTLP (HTTP): `http://HOST:4318`; none: no traces are made.
    pub otlp_endpoint: Option<Secret>,
    /// How many traces in a thousand are made, of those that no client began.
    pub otlp_sample_permille: u16,
    /// `api` answers requests, `worker` runs jobs, `all` does both.
    pub role: Role,
    pub jobs: Jobs,
    /// Development: the dev key is accepted and the clock can be moved.
    pub dev: bool,
    /// `--dev` only: how far domain time is ahead of the machine's. Hosts of one store start with the same.
    pub clock_ahead_ms: u64,
    /// `--dev` only: the process ends there at the first command, to prove that nothing is left half-done.
    pub crash_at: Option<CrashPoint>,
}

/// How tokens are checked (RFC 7519, RFC 8725).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub issuer: String,
    pub audience: String,
    /// Clock skew that is forgiven, in seconds.
    pub leeway_s: u64,
    /// Shared secret for HS256, at least 32 bytes.
    pub hs256_secret: Option<Secret>,
    /// Public key for EdDSA, PEM.
    pub eddsa_public_key_pem: Option<String>,
}

/// How a proxy says for whom it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedBy {
    #[default]
    XForwardedFor,
    /// RFC 7239
    Forwarded,
}

/// A value that neither `Debug` nor a log ever shows.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            metrics_listen: None,
            store_url: Secret::new("memory"),
            store_people_key: None,
            store_sync: true,
            redis_url: None,
            redis_prefix: "gotong".into(),
            redis_timeout_ms: 250,
            policies_dir: None,
            golden_dir: None,
            cache_dir: None,
            replay_at_start: 1_000,
            shadow_sample_permille: 1_000,
            rulings_cache: 4_096,
            require_signed_lock: false,
            lock_keys: None,
            cursor_secret: None,
            auth: Auth {
                issuer: "gotong".into(),
                audience: "gotong".into(),
                leeway_s: 30,
                hs256_secret: None,
                eddsa_public_key_pem: None,
            },
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
            forwarded_by: ForwardedBy::default(),
            cors_origins: Vec::new(),
            otlp_endpoint: None,
            otlp_sample_permille: 1_000,
            role: Role::All,
            jobs: Jobs::default(),
            dev: false,
            clock_ahead_ms: 0,
            crash_at: None,
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the settings cannot be read")]
    Unreadable(#[from] UnreadableError),
    #[error(
        "no key to check tokens with: set auth.hs256_secret (GOTONG_AUTH__HS256_SECRET) or auth.eddsa_public_key_pem, or start with --dev"
    )]
    NoKey,
    #[error(
        "the development key is public and only a --dev server accepts it: set a secret of your own in auth.hs256_secret"
    )]
    DevKeyOutsideDev,
    #[error("{0} is {1} bytes long, at least {SHORTEST_SECRET} are needed")]
    ShortSecret(&'static str, usize),
    #[error(transparent)]
    Limits(#[from] LimitsError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error(
        "cors_origins has `{0}`, which is no origin: use `https://HOST[:PORT]` without a path, or `*` alone"
    )]
    Origin(String),
    #[error("auth.leeway_s is {0}, at most {LONGEST_LEEWAY_S} are forgiven")]
    Leeway(u64),
    #[error("otlp_endpoint is not an address of the form http://HOST:PORT or https://HOST:PORT")]
    Otlp,
    #[error("otlp_sample_permille is {0}, at most 1000 traces in a thousand can be made")]
    OtlpSample(u16),
    #[error("shadow_sample_permille is {0}, at most 1000 questions in a thousand can be asked")]
    Sample(u16),
    #[error(
        "rulings_cache is {0}, at most {MOST_RULINGS} rulings are kept: each takes a few kilobytes"
    )]
    Rulings(usize),
    #[error("redis_url is not an address of a Redis: use redis://[USER:PASSWORD@]HOST:PORT[/DB]")]
    Redis,
    #[error("redis_prefix has 1 to 64 characters of A-Z a-z 0-9 _ : . -")]
    RedisPrefix,
    #[error("redis_timeout_ms is {0}: 1 to {LONGEST_REDIS_MS} are possible")]
    RedisTimeout(u64),
    #[error(
        "require_signed_lock is set, but lock_keys (GOTONG_LOCK_KEYS) names no file of the public keys that may sign"
    )]
    NoLockKeys,
    #[error(
        "lock_keys is set, but require_signed_lock is not, so that nothing would be checked: set both or none"
    )]
    LockKeysUnused,
    #[error(
        "no policies.lock in `{0}` or in any folder above it: start in the project's folder or set policies_dir (GOTONG_POLICIES_DIR)"
    )]
    NoPolicies(PathBuf),
}

impl Config {
    /// Reads `file` (or `gotong.toml` when it is there) and the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new("gotong.toml"));
        let source = if file.is_some() {
            Toml::file_exact(path)
        } else {
            Toml::file(path)
        };
        let mut figment = Figment::from(Serialized::defaults(Self::default()))
            .merge(source)
            .merge(
                Env::prefixed("GOTONG_")
                    .ignore(NOT_SETTINGS)
                    .ignore(VERBATIM)
                    .split("__"),
            );
        for name in VERBATIM {
            if let Ok(value) = std::env::var(format!("GOTONG_{}", name.to_uppercase())) {
                figment = figment.merge(Serialized::default(&name.replace("__", "."), value));
            }
        }
        figment
            .extract()
            .map_err(|error| UnreadableError::from(error).into())
    }

    /// The key of people's sessions, if there is one.
    pub fn people_key(&self) -> Result<Option<gotong_store::Secret>, ConfigError> {
        match &self.store_people_key {
            Some(key) if key.expose().len() < SHORTEST_SECRET => Err(ConfigError::ShortSecret(
                "store_people_key",
                key.expose().len(),
            )),
            key => Ok(key
                .as_ref()
                .map(|key| gotong_store::Secret::new(key.expose()))),
        }
    }

    /// Refuses what must not be served. In `--dev` without a key, the dev key is put in.
    pub fn ready_to_serve(mut self) -> Result<Self, ConfigError> {
        let dev_secret = DEV_SECRET.trim();
        match &self.auth.hs256_secret {
            Some(secret) if secret.expose().trim() == dev_secret && !self.dev => {
                return Err(ConfigError::DevKeyOutsideDev);
            }
            Some(secret) if secret.expose().len() < SHORTEST_SECRET => {
                return Err(ConfigError::ShortSecret(
                    "auth.hs256_secret",
                    secret.expose().len(),
                ));
            }
            Some(_) => {}
            None if self.dev => self.auth.hs256_secret = Some(Secret::new(dev_secret)),
            None if self.auth.eddsa_public_key_pem.is_none() => return Err(ConfigError::NoKey),
            None => {}
        }
        if let Some(secret) = &self.cursor_secret
            && secret.expose().len() < SHORTEST_SECRET
        {
            return Err(ConfigError::ShortSecret(
                "cursor_secret",
                secret.expose().len(),
            ));
        }
        if self.auth.leeway_s > LONGEST_LEEWAY_S {
            return Err(ConfigError::Leeway(self.auth.leeway_s));
        }
        if self.shadow_sample_permille > 1_000 {
            return Err(ConfigError::Sample(self.shadow_sample_permille));
        }
        if self.rulings_cache > MOST_RULINGS {
            return Err(ConfigError::Rulings(self.rulings_cache));
        }
        match (self.require_signed_lock, &self.lock_keys) {
            (true, None) => return Err(ConfigError::NoLockKeys),
            (false, Some(_)) => return Err(ConfigError::LockKeysUnused),
            _ => {}
        }
        self.check_redis()?;
        self.otlp_endpoint()?;
        if let Some(odd) = self
            .cors_origins
            .iter()
            .find(|origin| !self.is_origin(origin))
        {
            return Err(ConfigError::Origin(odd.clone()));
        }
        self.limits.check()?;
        self.jobs.check(self.limits.request_timeout_ms)?;
        Ok(self)
    }

    /// The settings that are set and count in development only.
    pub fn unused(&self) -> Vec<&'static str> {
        let set = [
            (self.clock_ahead_ms > 0, "clock_ahead_ms"),
            (self.crash_at.is_some(), "crash_at"),
        ];
        let unused = set.into_iter().filter(|(is_set, _)| *is_set && !self.dev);
        unused.map(|(_, name)| name).collect()
    }

    /// Who takes traces.
    pub fn otlp_endpoint(&self) -> Result<Option<&str>, ConfigError> {
        if self.otlp_sample_permille > 1_000 {
            return Err(ConfigError::OtlpSample(self.otlp_sample_permille));
        }
        let is_address = |text: &str| {
            reqwest::Url::parse(text).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
            })
        };
        match self.otlp_endpoint.as_ref().map(Secret::expose) {
            Some(text) if !is_address(text) => Err(ConfigError::Otlp),
            endpoint => Ok(endpoint),
        }
    }

    /// Scheme and place, as a browser words them; `*` stands alone.
    fn is_origin(&self, text: &str) -> bool {
        if text == "*" {
            return self.cors_origins.len() == 1;
        }
        let place = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".:-[]".contains(&byte)
        };
        place.is_some_and(|place| !place.is_empty() && place.bytes().all(fits))
    }

    fn check_redis(&self) -> Result<(), ConfigError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.-".contains(&byte);
        if !(1..=64).contains(&self.redis_prefix.len()) || !self.redis_prefix.bytes().all(fits) {
            return Err(ConfigError::RedisPrefix);
        }
        if !(1..=LONGEST_REDIS_MS).contains(&self.redis_timeout_ms) {
            return Err(ConfigError::RedisTimeout(self.redis_timeout_ms));
        }
        match &self.redis_url {
            Some(url) if crate::redis::client(url.expose()).is_err() => Err(ConfigError::Redis),
            _ => Ok(()),
        }
    }

    /// The folder of the lock: as set, or the nearest `policies/` upwards from the working directory.
    pub fn policies_dir(&self) -> Result<PathBuf, ConfigError> {
        if let Some(dir) = &self.policies_dir {
            return Ok(dir.clone());
        }
        let here = std::env::current_dir().unwrap_or_default();
        here.ancestors()
            .map(|folder| folder.join("policies"))
            .find(|folder| folder.join("policies.lock").is_file())
            .ok_or(ConfigError::NoPolicies(here))
    }

    /// Where compiled modules go: as set, or `gotong/modules` in the user's cache folder.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        let user_cache = || {
            let xdg = std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute());
            xdg.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        };
        self.cache_dir
            .clone()
            .or_else(|| user_cache().map(|cache| cache.join("gotong").join("modules")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_secret(secret: Option<&str>, dev: bool) -> Result<Config, ConfigError> {
        let mut config = Config {
            dev,
            ..Config::default()
        };
        config.auth.hs256_secret = secret.map(Secret::new);
        config.ready_to_serve()
    }

    #[test]
    fn no_key_serves_only_in_dev() {
        assert!(matches!(with_secret(None, false), Err(ConfigError::NoKey)));
        assert!(with_secret(None, true).is_ok());
    }

    #[test]
    fn the_dev_key_serves_only_in_dev() {
        assert!(matches!(
            with_secret(Some(DEV_SECRET.trim()), false),
            Err(ConfigError::DevKeyOutsideDev)
        ));
        assert!(with_secret(Some(DEV_SECRET.trim()), true).is_ok());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(matches!(
            with_secret(Some("short"), false),
            Err(ConfigError::ShortSecret(_, 5))
        ));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let config = with_secret(Some(&"s3cret".repeat(8)), false).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
