//! The connection.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use surrealdb::IndexedResults;
use surrealdb::Surreal;
use surrealdb::engine::any::{self, Any};
use surrealdb::opt::auth::Database;
use surrealdb::types::Variables;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::breakage::Breakage;
use crate::error::{EngineError, Failure, StoreError};
use crate::people::{self, People, Place};
use crate::read::Read;
use crate::session::{ANSWERS_WITHIN, Session, Silence, first_asked};
use crate::target::{Secret, Server, Target};
use crate::wrote::wrote;

/// Namespace and database of an embedded store, which holds nothing else.
const EMBEDDED: &str = "gotong";

/// A process that was asked to end may hold its directory for a moment longer.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// An open store. Clones share one connection.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Session,
    // Neither embedded engine of the lock may be written by two transactions at once: both look for
    // conflicts and apply the writes in separate steps, and acknowledged commits were lost between them
    // (tests/concurrency.rs). The data belongs to this process alone, so one writer at a time is enough.
    one_writer: Option<Mutex<()>>,
    breakage: Breakage,
    people: Option<People>,
    failed: FailureCounts,
}

/// Counts what a store refused.
#[derive(Debug, Default)]
pub(crate) struct FailureCounts {
    conflicts: AtomicU64,
    others: AtomicU64,
}

impl FailureCounts {
    pub(crate) fn note(&self, failure: &Failure) {
        let count = match failure {
            Failure::Conflict(_) | Failure::Stale { .. } => &self.conflicts,
            // Somebody else did the same first: what a unique index is for.
            Failure::Exists { .. } | Failure::Unique { .. } => return,
            _ => &self.others,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A session that was not let in.
    pub(crate) fn note_sign_in(&self) {
        self.others.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many queries this store refused since it was opened, those of people's own sessions among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Two transactions met, or a stream had moved on: the work is tried again.
    pub conflicts: u64,
    /// Everything else.
    pub others: u64,
}

impl Store {
    /// Opens the store. A fresh one has no tables yet: see [`Store::migrate`](crate::Store::migrate).
    ///
    /// An embedded store is opened by its owner, who lets people in and then goes on as an editor: what the
    /// host does later, it does without the right to change anybody's rights. On a server the login is
    /// meant to be an editor's, and `people` is the key that [`Store::admit_people`] was called with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process has the directory, [`StoreError::Open`] otherwise.
    pub async fn open(target: &Target, people: Option<&Secret>) -> Result<Store, StoreError> {
        let db = connect(target).await?;
        let opened = match target {
            Target::Server(server) => Ok((people.cloned(), server.place())),
            Target::Memory | Target::Directory(_) => step_down(&db, "Editor")
                .await
                .map(|key| (Some(key), embedded_place())),
        };
        let (key, place) = opened.map_err(|source| StoreError::Open {
            target: target.to_string(),
            source,
        })?;
        let people = match key {
            Some(key) => Some(People::new(place, &key, begin_people(target, &db).await?)),
            None => None,
        };
        Ok(Store::new(db, target, people))
    }

    /// Opens the store as it is, for an auditor: nothing is defined in it, and nobody but the host is let in.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_untouched(target: &Target) -> Result<Store, StoreError> {
        Ok(Store::new(connect(target).await?, target, None))
    }

    fn new(db: Surreal<Any>, target: &Target, people: Option<People>) -> Store {
        let one_writer = target.is_embedded().then(|| Mutex::new(()));
        Store {
            inner: Arc::new(Inner {
                session: Session::new(db, !target.is_embedded()),
                one_writer,
                breakage: Breakage::none(),
                people,
                failed: FailureCounts::default(),
            }),
        }
    }

    #[cfg(test)]
    pub(crate) fn session(&self) -> &Session {
        &self.inner.session
    }

    pub(crate) fn failed(&self) -> &FailureCounts {
        &self.inner.failed
    }

    pub(crate) fn people(&self) -> Option<&People> {
        self.inner.people.as_ref()
    }

    /// Whether the database runs inside this process.
    pub fn is_embedded(&self) -> bool {
        !self.inner.session.is_remote()
    }

    /// Whether it can no longer be written. Only an embedded store comes to that, and only opening it again helps.
    pub fn is_broken(&self) -> bool {
        self.inner.breakage.is_there()
    }

    /// Waits until it can no longer be written: why.
    pub async fn broken(&self) -> Arc<EngineError> {
        self.inner.breakage.wait().await
    }

    /// Begins a read: SurrealQL with `$name` parameters, awaited for its rows.
    pub fn read<'a>(&'a self, query: &'a str) -> Read<'a> {
        Read::new(&self.inner.session, query, &self.inner.failed)
    }

    /// Runs a query and takes all of its errors.
    pub(crate) async fn run(
        &self,
        query: &str,
        variables: Variables,
    ) -> Result<IndexedResults, Failure> {
        let ran = self.inner.session.run(query, variables).await;
        ran.inspect_err(|failure| self.inner.failed.note(failure))
    }

    /// Whether this login may write: tried in a transaction that is thrown away, so that it leaves nothing and meets
    /// nobody.
    ///
    /// # Errors
    ///
    /// [`StoreError::MayNotWrite`] when it may not; otherwise when the store fails.
    pub async fn may_write(&self) -> Result<(), StoreError> {
        self.tried(wrote!(
            "UPSERT stream:doctor SET stream = 'doctor', seq = 0, hash = ''"
        ))
        .await
    }

    /// Whether the store can serve a host now. Cheap: an embedded one, which has no login to lose, is only read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Broken`] when it can no longer be written; otherwise as [`Store::may_write`].
    pub async fn ready(&self) -> Result<(), StoreError> {
        if self.is_broken() {
            return Err(StoreError::Broken);
        }
        if self.is_embedded() {
            return self.head("health").await.map(drop);
        }
        self.may_write().await
    }

    /// Whether this login may say who is let in, which a host's own must not: tried as [`Store::may_write`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`] with what the engine says to the contrary.
    pub async fn may_admit(&self) -> Result<(), StoreError> {
        self.tried("DEFINE ACCESS OVERWRITE gotong_doctor ON DATABASE TYPE JWT ALGORITHM HS256 KEY 'none';")
            .await
    }

    /// Runs a statement, then throws its effect away.
    async fn tried(&self, statement: &str) -> Result<(), StoreError> {
        const DONE: &str = "gotong may do this";
        let query = format!("BEGIN; {statement} THROW '{DONE}'; COMMIT;");
        // Not by `run`, which counts failures: this is meant to fail. Nor in the writers' turn: nothing is committed.
        match self.inner.session.run(&query, Variables::new()).await {
            Err(Failure::Other(error)) if error.to_string().contains(DONE) => Ok(()),
            Err(failure) => {
                self.inner.failed.note(&failure);
                Err(failure.into())
            }
            // A transaction that was to fail and did not.
            Ok(_) => Err(StoreError::Query(EngineError::new("nothing was thrown"))),
        }
    }

    /// The time of the machine that the database runs on, in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn clock_ms(&self) -> Result<i64, StoreError> {
        let mut rows = self.read("RETURN time::millis(time::now())").await?;
        rows.first(0)?.ok_or(StoreError::NoResult { index: 0 })
    }

    /// How many queries failed since the store was opened.
    pub fn failures(&self) -> Failures {
        Failures {
            conflicts: self.inner.failed.conflicts.load(Ordering::Relaxed),
            others: self.inner.failed.others.load(Ordering::Relaxed),
        }
    }

    /// Runs a query that writes, in a task of its own: a caller that goes away (a time-out, a closed
    /// connection) neither stops the transaction nor gives the writer's turn away before it ended. An embedded
    /// store that does not end it is broken.
    pub(crate) async fn write(
        &self,
        query: &str,
        variables: Variables,
    ) -> Result<IndexedResults, Failure> {
        self.write_with(query, variables, false).await
    }

    /// The same for what may take as long as it takes: a change of the schema, before anybody is served.
    pub(crate) async fn write_at_leisure(
        &self,
        query: &str,
        variables: Variables,
    ) -> Result<IndexedResults, Failure> {
        self.write_with(query, variables, true).await
    }

    async fn write_with(
        &self,
        query: &str,
        variables: Variables,
        at_leisure: bool,
    ) -> Result<IndexedResults, Failure> {
        let (store, query) = (self.clone(), query.to_owned());
        let writing = tokio::spawn(async move {
            let Some(one_writer) = &store.inner.one_writer else {
                return store.run(&query, variables).await;
            };
            let _turn = one_writer.lock().await;
            let breakage = &store.inner.breakage;
            if breakage.is_there() {
                return Err(Failure::Broken);
            }
            // A panic ends before the turn does: nobody writes to an engine in pieces.
            let running = tokio::spawn({
                let store = store.clone();
                async move { store.run(&query, variables).await }
            });
            let write = async {
                let ended = running.await;
                ended.unwrap_or_else(|panicked| Err(breakage.note(EngineError::new(panicked))))
            };
            if at_leisure {
                write.await
            } else {
                breakage.watch(write).await
            }
        });
        let ended = writing.await;
        ended.unwrap_or_else(|panicked| Err(Failure::Other(EngineError::new(panicked))))
    }
}

async fn connect(target: &Target) -> Result<Surreal<Any>, StoreError> {
    let opened = match target {
        Target::Memory => open_embedded("mem://").await,
        Target::Directory(path) => open_directory(path).await?,
        Target::Server(server) => timeout(ANSWERS_WITHIN, open_server(server))
            .await
            .unwrap_or_else(|_| Err(EngineError::new(Silence))),
    };
    opened.map_err(|source| StoreError::Open {
        target: target.to_string(),
        source,
    })
}

/// What people's sessions are cloned from.
///
/// A client of a server signs in again by itself when the connection was lost, step by step, without looking whether a
/// step succeeds: a clone of the host's own client would go on with the host's rights where a person's token was refused. So
/// on a server they come from a client that never signed in, and a server that lets such a one in is refused.
async fn begin_people(target: &Target, host: &Surreal<Any>) -> Result<Session, StoreError> {
    let Target::Server(server) = target else {
        return Ok(Session::new(host.clone(), false));
    };
    let failed = |error| StoreError::Open {
        target: target.to_string(),
        source: EngineError::new(error),
    };
    let nobody = first_asked(|| any::connect(&server.url).into_future());
    let nobody = nobody.await.map_err(failed)?;
    let may_use = nobody
        .use_ns(&server.namespace)
        .use_db(&server.database)
        .await
        .is_ok();
    let nobody = Session::new(nobody, true);
    // Anything at all: where strangers may ask, a session that lost its sign-in would be shown nothing, and no error.
    match may_use && nobody.run("RETURN 1", Variables::new()).await.is_ok() {
        true => Err(StoreError::Unguarded),
        false => Ok(nobody),
    }
}

fn embedded_place() -> Place {
    Place {
        namespace: EMBEDDED.to_owned(),
        database: EMBEDDED.to_owned(),
    }
}

/// From the owner of an embedded store to a lesser role, an editor's. Returns the key of people's sessions.
pub(crate) async fn step_down(db: &Surreal<Any>, role: &str) -> Result<Secret, EngineError> {
    let (host, people) = (people::fresh_key()?, people::fresh_key()?);
    let define = [people::define_host(&host), people::define_people(&people)].join(";");
    let response = db.query(define).await.map_err(EngineError::new)?;
    response.check().map_err(EngineError::new)?;
    let token = people::host_token(&embedded_place(), &host, role)?;
    db.authenticate(token).await.map_err(EngineError::new)?;
    Ok(people)
}

async fn open_embedded(address: &str) -> Result<Surreal<Any>, EngineError> {
    let db = any::connect(address).await.map_err(EngineError::new)?;
    let setup = format!(
        "DEFINE NAMESPACE IF NOT EXISTS {EMBEDDED}; USE NS {EMBEDDED}; DEFINE DATABASE IF NOT EXISTS {EMBEDDED}"
    );
    let response = first_asked(|| db.query(setup.as_str()).into_future()).await;
    let response = response.map_err(EngineError::new)?;
    response.check().map_err(EngineError::new)?;
    db.use_ns(EMBEDDED)
        .use_db(EMBEDDED)
        .await
        .map_err(EngineError::new)?;
    Ok(db)
}

async fn open_directory(path: &Path) -> Result<Result<Surreal<Any>, EngineError>, StoreError> {
    let address = format!("surrealkv://{}", path.display());
    for _ in 0..LOCK_TRIES {
        match open_embedded(&address).await {
            Err(error)
                if error
                    .to_string()
                    .contains("already locked by another process") =>
            {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            opened => return Ok(opened),
        }
    }
    Err(StoreError::Locked {
        directory: path.to_owned(),
    })
}

async fn open_server(server: &Server) -> Result<Surreal<Any>, EngineError> {
    // That it is a server is asked in the new session already.
    let db = first_asked(|| any::connect(&server.url).into_future()).await;
    let db = db.map_err(EngineError::new)?;
    db.signin(Database {
        namespace: server.namespace.clone(),
        database: server.database.clone(),
        username: server.username.clone(),
        password: server.password.reveal().to_owned(),
    })
    .await
    .map_err(EngineError::new)?;
    db.use_ns(&server.namespace)
        .use_db(&server.database)
        .await
        .map_err(EngineError::new)?;
    Ok(db)
}
