//! What can be said of the store, by the same pieces that open it for a host.

use std::path::Path;
use std::time::Instant;

use gotong_engine::Policies;
use gotong_policy_tool::one_line;
use gotong_store::{Migrations, Store, StoreError, Target};

use super::Finding;
use super::reach::{LONGEST, clock};
use super::settings::may_write;
use crate::cli::ENGINE_MANIFEST;
use crate::config::Config;
use crate::startup::{self, StartError};

/// Whether the store is there, has the schema of this binary, lets this login do what a host does, and holds decisions
/// that replay.
pub async fn store(config: &Config, policies: Option<&Policies>, is_serving: bool) -> Vec<Finding> {
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
                return vec![none_yet(path)];
            }
        }
        Target::Server(_) => {}
    }
    let opened = tokio::time::timeout(LONGEST, open(config, &target)).await;
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
        Ok(Ok(store)) => {
            let (schema, is_whole) = schema(&target, &store).await;
            let mut findings = vec![schema];
            if !target.is_embedded() {
                findings.extend(login(&store).await);
            }
            if let (Some(policies), true) = (policies, is_whole) {
                findings.push(recorded(config, policies, &store).await);
            }
            findings
        }
    }
}

/// A folder without a store.
fn none_yet(path: &Path) -> Finding {
    let says = format!("`{}` holds none yet: the host makes it", path.display());
    match path.read_dir().is_ok_and(|mut held| held.next().is_some()) {
        false => Finding::ok("store", says),
        true => Finding::warning(
            "store",
            format!("{says}, among what else is there"),
            "name a folder of its own, unless this is meant",
        ),
    }
}

/// A server's as a host opens it. In a folder a host would define who is let in: it is only read.
async fn open(config: &Config, target: &Target) -> Result<Store, StoreError> {
    if target.is_embedded() {
        return Store::open_untouched(target).await;
    }
    // A key that is too short is told as a setting.
    let people = config.people_key().unwrap_or_default();
    Store::open(target, people.as_ref()).await
}

fn unreachable_store(says: &str) -> Finding {
    Finding::failed(
        "store",
        says,
        "start the store's server or stop what holds the folder; correct store_url and its login",
    )
}

/// Whether the schema is this binary's, and all there.
async fn schema(target: &Target, store: &Store) -> (Finding, bool) {
    let missing = match Migrations::embedded() {
        Ok(migrations) => store.missing_migrations(&migrations).await,
        Err(error) => Err(error),
    };
    let is_whole = matches!(&missing, Ok(missing) if missing.is_empty());
    let schema = match missing {
        Ok(_) if is_whole => Finding::ok("store", format!("`{target}` has every migration")),
        Ok(missing) if target.is_embedded() => Finding::ok(
            "store",
            format!("`{target}`: the next start applies {}", missing.join(", ")),
        ),
        Ok(missing) => Finding::failed(
            "store",
            format!("`{target}` lacks {}", missing.join(", ")),
            "run `gotong migrate` as an owner of the database, once for a release",
        ),
        Err(error) => Finding::failed(
            "store",
            one_line(&error),
            "use the binary that fits the store",
        ),
    };
    (schema, is_whole)
}

/// What a server lets this login do.
async fn login(store: &Store) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.push(match startup::may_write(store).await {
        Ok(()) => Finding::ok("writes", "the store lets this login write"),
        Err(error) => Finding::failed(
            "writes",
            one_line(&error),
            "sign in as an editor of the database",
        ),
    });
    findings.push(match startup::keeps_commits(store).await {
        Ok(()) => Finding::ok("commits", "the server kept every write of a race for one row"),
        Err(error) => Finding::failed(
            "commits",
            one_line(&error),
            "start the server on RocksDB (`surreal start rocksdb:DIR`) or TiKV; its data has to be taken over by an export",
        ),
    });
    findings.push(match startup::admits_people(store).await {
        Ok(()) => Finding::ok("people", "the store lets people in with store_people_key"),
        Err(error) => Finding::failed(
            "people",
            one_line(&error),
            "set the same store_people_key on every host, and run `gotong migrate` with it once",
        ),
    });
    if startup::is_owner(store).await {
        findings.push(Finding::warning(
            "login",
            "the login of store_url is an owner's, who can change anybody's rights",
            "sign in as an editor of the database; owners only migrate",
        ));
    }
    let asked = Instant::now();
    findings.push(match store.clock_ms().await {
        Ok(theirs) => clock("the store", theirs, asked.elapsed()),
        Err(error) => Finding::warning("clock", one_line(&error), "see above"),
    });
    findings
}

async fn recorded(config: &Config, policies: &Policies, store: &Store) -> Finding {
    match startup::replay_newest(config, policies, store).await {
        Ok(count) => Finding::ok("recorded", format!("{count} recorded decisions replay")),
        Err(error) => Finding::failed("recorded", one_line(&error), remedy(&error)),
    }
}

fn remedy(error: &StartError) -> &'static str {
    match error {
        StartError::Diverged { .. } => {
            "restore the modules that decided; `gotong replay` lists every decision that differs"
        }
        _ => "see above",
    }
}
