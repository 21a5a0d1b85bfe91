//! What can be said of the settings and of this machine alone.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::{LoadError, Policies, signature};
use gotong_policy_tool::one_line;

use super::Finding;
use crate::config::{Config, ConfigError, Network};
use crate::http::auth::Tokens;
use crate::http::paging::Cursors;
use crate::rulings::gate::TracksByScope;
use crate::startup::{StartError, load_policies, replay_golden};

/// Whether a host would start with them.
pub fn config(config: &Config) -> Finding {
    match usable(config) {
        Err(error) => Finding::failed(
            "config",
            one_line(&error),
            "change the setting; docs/operating.md lists them",
        ),
        Ok(config) if config.dev => Finding::warning(
            "config",
            "valid, for development: anybody can sign tokens with the public key",
            "start without --dev before strangers reach the host",
        ),
        Ok(config) => {
            let keys = match (&config.auth.hs256_secret, &config.auth.eddsa_public_key_pem) {
                (Some(_), Some(_)) => "a secret and a public key",
                (Some(_), None) => "a secret",
                _ => "a public key",
            };
            Finding::ok("config", format!("valid; tokens are checked with {keys}"))
        }
    }
}

/// The settings as a host takes them, with its keys made of them.
fn usable(config: &Config) -> Result<Config, StartError> {
    let config = config.clone().ready_to_serve()?;
    config.people_key()?;
    Tokens::new(&config.auth)?;
    Cursors::new(&config)?;
    Ok(config)
}

/// What is set and does nothing.
pub fn unused(config: &Config) -> Option<Finding> {
    let unused = config.unused();
    (!unused.is_empty()).then(|| {
        Finding::warning(
            "config",
            format!("{} has no effect outside development", unused.join(", ")),
            "leave it out, or start with --dev",
        )
    })
}

/// What may be set, and is seldom meant.
pub fn risky(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.trusted_proxies.iter().any(Network::is_all) {
        findings.push(Finding::warning(
            "proxies",
            "trusted_proxies names everybody: any client chooses the address it is counted under",
            "name the addresses of your proxies alone",
        ));
    }
    let connections = config.limits.connections;
    if let Some(files) = open_files().filter(|files| *files <= connections) {
        findings.push(Finding::warning(
            "files",
            format!("limits.connections is {connections}, and this process may open {files} files"),
            "raise `ulimit -n` above limits.connections, or lower that",
        ));
    }
    findings
}

/// How many files this process may have open, where the system says so (Linux).
fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether a job is done before another host may take it.
pub fn lease(config: &Config) -> Finding {
    let (timeout_ms, lease_ms) = (config.limits.request_timeout_ms, config.jobs.lease_ms);
    match config.jobs.check(timeout_ms) {
        Ok(()) => Finding::ok(
            "lease",
            format!("a request ends after {timeout_ms} ms, the lease of a job after {lease_ms} ms"),
        ),
        Err(error) => Finding::failed(
            "lease",
            error.to_string(),
            "let limits.request_timeout_ms be shorter than jobs.lease_ms",
        ),
    }
}

/// Whether compiled modules can be kept.
pub fn cache(config: &Config) -> Finding {
    let fix = "set cache_dir to a folder that the host's user may write: without it modules are compiled at every start";
    let Some(path) = config.cache_dir() else {
        return Finding::warning("cache", "there is no folder for compiled modules", fix);
    };
    match may_write(&path) {
        Ok(()) => Finding::ok("cache", format!("`{}` can be written", path.display())),
        Err(error) => Finding::warning("cache", format!("`{}`: {error}", path.display()), fix),
    }
}

/// Whether files can be made in a folder, or, where it is not there yet, in the nearest one above it.
pub fn may_write(path: &Path) -> std::io::Result<()> {
    let nearest = path.ancestors().find(|nearest| nearest.exists());
    let nearest = nearest.unwrap_or(Path::new("."));
    if !nearest.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    tempfile::tempfile_in(nearest).map(drop)
}

/// Whether what is pinned is there and is what the lock says, who vouches for the lock, and whether the modules decide
/// as they did; and the policies, for what was recorded.
pub fn policies(config: &Config) -> (Vec<Finding>, Option<Policies>) {
    let failed =
        |check, error: StartError| Finding::failed(check, one_line(&error), remedy(&error));
    let loaded = load_policies(config).and_then(|policies| {
        TracksByScope::read(&policies)?;
        Ok(policies)
    });
    let policies = match loaded {
        Ok(policies) => policies,
        Err(error) => return (vec![failed("policies", error)], None),
    };
    let lock = policies.lock();
    let loaded = Finding::ok(
        "policies",
        format!(
            "{} modules pinned, {} loaded, every digest as the lock says",
            lock.pins().len(),
            policies.modules().len()
        ),
    );
    let signed = signed(config, policies.signed_by().is_some());
    let golden = match replay_golden(config, &policies) {
        Ok(count) => Finding::ok("golden", format!("{count} golden decisions replay")),
        Err(error) => failed("golden", error),
    };
    (vec![loaded, signed, golden], Some(policies))
}

/// What puts right that the policies cannot be used.
fn remedy(error: &StartError) -> &'static str {
    match error {
        StartError::LockKeys { .. } | StartError::Config(ConfigError::NoLockKeys) => {
            "set lock_keys to the file of the public keys that may sign the lock"
        }
        StartError::Load { source, .. } if matches!(**source, LoadError::Signature(_)) => {
            "let the holder of a trusted key sign the lock: `gotong policy sign`"
        }
        StartError::Folder { .. } | StartError::Config(_) => {
            "set policies_dir to the folder that holds policies.lock"
        }
        StartError::Golden { .. } => {
            "set golden_dir to the folder of the golden decisions, or leave it out"
        }
        StartError::Diverged { .. } => {
            "restore the modules that decided, or the golden decisions that go with these"
        }
        _ => "restore the folder as it was committed; `gotong policy check` says more of a module",
    }
}

fn signed(config: &Config, is_checked: bool) -> Finding {
    let is_signed = config
        .policies_dir()
        .ok()
        .and_then(|path| Dir::open_ambient_dir(path, ambient_authority()).ok())
        .is_some_and(|dir| signature::is_signed(&dir));
    if is_checked {
        Finding::ok("signature", "a trusted key signed the lock")
    } else if is_signed {
        Finding::warning(
            "signature",
            "the lock is signed, and nobody checks it",
            "set require_signed_lock and lock_keys",
        )
    } else {
        Finding::warning(
            "signature",
            "the lock is not signed: whoever can write the folder can change what decides",
            "`gotong policy sign`, and set require_signed_lock and lock_keys",
        )
    }
}
