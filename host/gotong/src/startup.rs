//! From settings to a host that may serve: store, migrations, policies, and the proof that the policies still
//! decide as they did. Anything amiss here, and the host does not start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::signature::PublicKey;
use gotong_engine::{Cache, Engine, EngineError, LoadError, Mode, Policies, Verdict};
use gotong_store::{
    Durability, MigrationError, Migrations, Race, Store, StoreError, Target, TargetError,
};

use uuid::Uuid;

use crate::app::{App, Rules};
use crate::clock::system_now_ms;
use crate::config::{Config, ConfigError};
use crate::http::auth::{TokenKeyError, Tokens};
use crate::http::paging::{CursorKeyError, Cursors};
use crate::jobs::Kinds;
use crate::redis::{Redis, RedisError};
use crate::rulings::decision::{self, DecisionRow};
use crate::rulings::gate::{TracksByScope, TracksError};
use crate::transitions;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error("the store on the server lacks migrations ({0}): run `gotong migrate` first")]
    NotMigrated(String),
    #[error(
        "store_people_key (GOTONG_STORE_PEOPLE_KEY) is not set: on a server people read what is private to them in sessions that this key signs"
    )]
    NoPeopleKey,
    #[error(
        "the server admits nobody with this store_people_key: run `gotong migrate` with it once, as an owner of the database"
    )]
    PeopleNotAdmitted(#[source] StoreError),
    #[error(
        "the store does not let the login of store_url write: sign in as an editor of the database"
    )]
    MayNotWrite,
    #[error("the login of store_url is not an owner's: run it as an owner of the database")]
    NotAnOwner(#[source] StoreError),
    #[error(
        "the server loses writes: it acknowledged {acknowledged} that met in one row, and holds {kept} of them. Run it on RocksDB or TiKV"
    )]
    LosesWrites { acknowledged: u64, kept: u64 },
    #[error(
        "this is no store of a host of this version: it lacks migrations ({0}). Audit it with the version that wrote it"
    )]
    OtherSchema(String),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the policies in `{}` cannot be used", path.display())]
    Load {
        path: PathBuf,
        #[source]
        source: Box<LoadError>,
    },
    #[error(transparent)]
    Tracks(#[from] TracksError),
    #[error("the folder `{}` cannot be opened", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Keys(#[from] TokenKeyError),
    #[error(transparent)]
    CursorKey(#[from] CursorKeyError),
    #[error("lock_keys `{}` cannot be used: {why}", path.display())]
    LockKeys { path: PathBuf, why: String },
    #[error("the golden decisions in `{}` cannot be read: {why}", path.display())]
    Golden { path: PathBuf, why: String },
    #[error("decision {decision_id} ({from}) does not replay: {verdict}")]
    Diverged {
        decision_id: String,
        from: &'static str,
        verdict: String,
    },
    #[error("`{address}` cannot be listened on")]
    Listen {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the server stopped")]
    Serve(#[source] std::io::Error),
}

/// Opens the store and brings an embedded one up to date.
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    let target: Target = config.store_url.expose().parse()?;
    let people = config.people_key()?;
    let store = Store::open(&target, people.as_ref()).await?;
    if store.is_embedded() {
        let report = store.migrate(&Migrations::embedded()?).await?;
        tracing::info!(applied = report.applied.len(), "migrations");
    } else {
        // Hosts share it: the schema changes when an operator says so.
        let missing = store.missing_migrations(&Migrations::embedded()?).await?;
        if !missing.is_empty() {
            return Err(StartError::NotMigrated(missing.join(", ")));
        }
        may_write(&store).await?;
        keeps_commits(&store).await?;
        admits_people(&store).await?;
        if is_owner(&store).await {
            tracing::warn!(
                "the login of store_url is an owner's: give hosts an editor's, who cannot change anybody's rights"
            );
        }
    }
    if let Target::Directory(_) = target {
        let durability = format!("{:?}", Durability::current());
        tracing::info!(
            durability,
            "writes to disk: Synced survives power loss, Fast (GOTONG_STORE_SYNC=false) survives a crash of the process"
        );
    }
    Ok(store)
}

/// Whether the store lets this login write.
pub async fn may_write(store: &Store) -> Result<(), StartError> {
    store.may_write().await.map_err(|error| match error {
        StoreError::MayNotWrite => StartError::MayNotWrite,
        error => error.into(),
    })
}

/// Whether a server keeps what it acknowledges when hosts meet: some engines do not.
pub async fn keeps_commits(store: &Store) -> Result<(), StartError> {
    let id = Uuid::now_v7().to_string();
    let Race { acknowledged, kept } = store.race(&id, system_now_ms()).await?;
    match acknowledged == kept {
        true => Ok(()),
        false => Err(StartError::LosesWrites { acknowledged, kept }),
    }
}

/// Whether the store lets people in with the key that it was opened with.
pub async fn admits_people(store: &Store) -> Result<(), StartError> {
    match store.as_person("").await {
        Ok(_) => Ok(()),
        Err(StoreError::NoPeople) => Err(StartError::NoPeopleKey),
        Err(source) => Err(StartError::PeopleNotAdmitted(source)),
    }
}

/// Whether the login could let itself do anything.
pub async fn is_owner(store: &Store) -> bool {
    store.may_admit().await.is_ok()
}

/// Opens a stopped host's store for an auditor, who changes nothing: not its schema either.
pub async fn open_audited(config: &Config) -> Result<Store, StartError> {
    let target: Target = config.store_url.expose().parse()?;
    let store = Store::open_untouched(&target).await?;
    let migrations = Migrations::embedded()?;
    let missing = store.missing_migrations(&migrations).await?;
    if missing.is_empty() {
        Ok(store)
    } else {
        Err(StartError::OtherSchema(missing.join(", ")))
    }
}

/// Loads the lock and every module it pins.
pub fn load_policies(config: &Config) -> Result<Policies, StartError> {
    let path = config.policies_dir()?;
    let dir = Dir::open_ambient_dir(&path, ambient_authority());
    let dir = dir.map_err(|source| StartError::Folder {
        path: path.clone(),
        source,
    })?;
    let cache = open_cache(config);
    let engine = Engine::new()?;
    let loaded = if config.require_signed_lock {
        let keys = config.lock_keys.as_ref().ok_or(ConfigError::NoLockKeys)?;
        Policies::load_signed(&engine, &dir, cache.as_ref(), &trusted_keys(keys)?)
    } else {
        Policies::load(&engine, &dir, cache.as_ref())
    };
    loaded.map_err(|error| StartError::Load {
        path,
        source: Box::new(error),
    })
}

/// The keys that may sign the lock.
fn trusted_keys(path: &Path) -> Result<Vec<PublicKey>, StartError> {
    let unusable = |why: String| StartError::LockKeys {
        path: path.to_owned(),
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    PublicKey::all_from_pem(&text).map_err(|error| unusable(error.to_string()))
}

/// The cache is only speed: a host without one compiles.
fn open_cache(config: &Config) -> Option<Cache> {
    let path = config.cache_dir()?;
    let opened = std::fs::create_dir_all(&path)
        .and_then(|()| Dir::open_ambient_dir(&path, ambient_authority()))
        .map_err(|error| error.to_string())
        .and_then(|dir| Cache::open(dir).map_err(|error| error.to_string()));
    opened
        .inspect_err(|why| {
            tracing::warn!(
                why,
                "no cache of compiled modules: they are compiled at every start"
            )
        })
        .ok()
}

/// Everything, checked.
pub async fn start(config: Config) -> Result<App, StartError> {
    let started = Instant::now();
    for setting in config.unused() {
        tracing::warn!(setting, "a setting has no effect outside development");
    }
    let policies = Arc::new(load_policies(&config)?);
    let loaded_ms = elapsed_ms(started);
    let tracks = TracksByScope::read(&policies)?;
    let golden = replay_golden(&config, &policies)?;
    let tokens = Tokens::new(&config.auth)?;
    let cursors = Cursors::new(&config)?;
    let store = open_store(&config).await?;
    let checking = Instant::now();
    let recorded = replay_newest(&config, &policies, &store).await?;
    let lock = policies.lock();
    let overrides: Vec<String> = lock.overrides().iter().map(ToString::to_string).collect();
    tracing::info!(
        active = named(&policies, Mode::Active),
        shadow = named(&policies, Mode::Shadow),
        scoped = named(&policies, Mode::Scoped),
        overrides = overrides.join(", "),
        retired = lock.pins().len() - policies.modules().len(),
        signed_by = policies.signed_by().map(tracing::field::display),
        loaded_ms,
        golden,
        recorded,
        replayed_ms = elapsed_ms(checking),
        "policies are as they were"
    );
    let redis = Redis::connect(&config)?;
    if let Some(redis) = &redis {
        // Whether it is there is logged; a host without it starts all the same.
        let _ = redis.ping().await;
    }
    let rules = Rules { policies, tracks };
    let kinds = job_kinds();
    Ok(App::new(
        config, store, redis, kinds, rules, tokens, cursors,
    ))
}

/// What the host's jobs can be: each service names its own.
pub fn job_kinds() -> Kinds {
    Kinds::new([transitions::close::kind()])
}

/// `name@version` of every module in a mode.
fn named(policies: &Policies, mode: Mode) -> String {
    let of_mode = policies.lock().pins().iter().filter(|pin| pin.mode == mode);
    let names: Vec<String> = of_mode
        .map(|pin| format!("{}@{}", pin.name, pin.version))
        .collect();
    names.join(", ")
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Replays `fixtures/decisions/*.ndjson`; each line is a decision row.
pub fn replay_golden(config: &Config, policies: &Policies) -> Result<usize, StartError> {
    let folder = match &config.golden_dir {
        Some(folder) => folder.clone(),
        None => match config
            .policies_dir()?
            .parent()
            .map(|root| root.join("fixtures").join("decisions"))
        {
            Some(folder) if folder.is_dir() => folder,
            // A host that was installed without the project's fixtures has its recorded decisions to go by.
            _ => return Ok(0),
        },
    };
    let unreadable = |why: String| StartError::Golden {
        path: folder.clone(),
        why,
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .map_err(|error| unreadable(error.to_string()))?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "ndjson")
    });
    files.sort();
    let mut replayed = 0;
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| unreadable(format!("{}: {error}", file.display())))?;
        for (line, json) in text.lines().enumerate() {
            let row: DecisionRow = serde_json::from_str(json).map_err(|error| {
                unreadable(format!("{} line {}: {error}", file.display(), line + 1))
            })?;
            let verdict = decision::replay(row.clone(), policies);
            holds("golden", &row, verdict)?;
            replayed += 1;
        }
    }
    Ok(replayed)
}

/// Replays the decisions that the store recorded last.
pub async fn replay_newest(
    config: &Config,
    policies: &Policies,
    store: &Store,
) -> Result<usize, StartError> {
    let rows = store
        .newest_decisions(config.replay_at_start, system_now_ms())
        .await?;
    let replayed = rows.len();
    for row in rows {
        let row: DecisionRow =
            serde_json::from_value(row).map_err(|error| StartError::Diverged {
                decision_id: "?".into(),
                from: "recorded",
                verdict: error.to_string(),
            })?;
        let verdict = decision::replay(row.clone(), policies);
        holds("recorded", &row, verdict)?;
    }
    Ok(replayed)
}

/// Only a divergence stops a start: what depends on the machine is told by `gotong replay`.
fn holds(from: &'static str, row: &DecisionRow, verdict: Verdict) -> Result<(), StartError> {
    match verdict {
        Verdict::Diverged {
            field,
            recorded,
            replayed,
        } => Err(StartError::Diverged {
            decision_id: row.decision_id.clone(),
            from,
            verdict: format!("{field} was `{recorded}`, is `{replayed}`"),
        }),
        Verdict::NotReplayable { reason } if from == "golden" => Err(StartError::Diverged {
            decision_id: row.decision_id.clone(),
            from,
            verdict: reason,
        }),
        Verdict::Match | Verdict::NotReplayable { .. } => Ok(()),
    }
}
