//! The durable queue of timers. Setting, finishing and cancelling a job is part of a [`Commit`];
//! what is here is bookkeeping between commits: which job is due, who works on it, what went wrong.
//!
//! `job_due:[wake_at_ms, job_id]` orders the waiting jobs. Claiming one moves it to the end of its
//! lease, so that a job whose worker died becomes due again without anyone noticing the death. Each
//! lease has a higher number than the one before: a commit that finishes a job names the lease it was
//! worked on under, and fails when that is no longer the job's.
//!
//! [`Commit`]: crate::Commit

use serde::{Deserialize, Serialize};
use serde_json::Value;
use surrealdb::types::{Object, Variables};

use crate::error::{Failure, StoreError};
use crate::key::{Key, KeyRange};
use crate::read::Rows;
use crate::store::Store;
use crate::value::{int, object, seq, text};
use crate::wrote::wrote;

/// The queue, seen from a store.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    store: &'a Store,
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits, or someone works on it.
    Pending,
    /// Its work was committed.
    Done,
    /// It was called off.
    Cancelled,
    /// It failed too often; a person has to look.
    Dead,
}

/// A job as the queue knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its identity.
    pub job_id: String,
    /// What kind of work it is.
    pub kind: String,
    /// The stream the work is about.
    pub stream: String,
    /// When it was meant to run, in milliseconds since 1970.
    pub due_at_ms: i64,
    /// When it may run next: its due time, a retry, or the end of a lease.
    pub wake_at_ms: i64,
    /// What the worker needs to know.
    pub payload: Value,
    /// What became of it.
    pub state: JobState,
    /// How often it was claimed since it was set, or set going again by a person.
    pub attempts: u32,
    /// Who works on it.
    #[serde(default)]
    pub lease_owner: Option<String>,
    /// Until when nobody else may, in milliseconds since 1970.
    #[serde(default)]
    pub lease_until_ms: Option<i64>,
    /// The number of its last lease.
    #[serde(default)]
    pub lease_token: Option<u64>,
    /// What went wrong last.
    #[serde(default)]
    pub last_error: Option<String>,
    /// Ties it to the request that set it.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// When it was done, called off or given up, in milliseconds since 1970.
    #[serde(default)]
    pub ended_at_ms: Option<i64>,
}

/// The right to work on a job, as long as nobody else has claimed it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job_id: String,
    /// Who works on it.
    pub owner: String,
    /// Higher than that of every lease before it.
    pub token: u64,
}

/// A place in the order in which jobs wake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Due {
    /// When it may run next, in milliseconds since 1970.
    pub wake_at_ms: i64,
    /// The job.
    pub job_id: String,
}

/// A page of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// In order.
    pub jobs: Vec<JobRow>,
    /// Where the next page begins; none: there is none. In a list by id, only the id counts.
    pub next: Option<Due>,
}

/// What to do with a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again at this time, in milliseconds since 1970.
    RetryAt(i64),
    /// The same, and it counts as no attempt: this worker is not the one for it.
    PutOff(i64),
    /// Give up, at this time.
    Dead(i64),
}

/// How the queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueDepth {
    /// Jobs that wait or are worked on.
    pub waiting: u64,
    /// Those of them that may run now.
    pub due: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// For how long the first of those that may run now has been allowed to, in milliseconds; 0 for none.
    pub lag_ms: i64,
    /// How long ago the oldest job that is not done was meant to run, in milliseconds; 0 for none. Looked
    /// for among the first 256 that wake within a minute, where those that failed or are worked on stand.
    pub age_ms: i64,
}

/// Within how long a job that failed or is worked on wakes again.
const SOON_MS: i64 = 60_000;
const OLDEST_AMONG: usize = 256;

// Whoever claims a job says by which place in the order it was found. A place that is not the job's own (the job is over, or
// wakes at another time, or is not there) would be found again and again, and nothing else would take it away.
//
// The commit in between two claims makes the second see a later `wake_at_ms` or conflict on the row.
const CLAIM: &str = concat!(
    "BEGIN;
    IF $job.state = 'pending' AND $job.wake_at_ms <= $now {
        DELETE type::record('job_due', [$job.wake_at_ms, $job_id]) RETURN NONE;",
    wrote!(
        "INSERT { id: type::record('job_due', [$until, $job_id]), job_id: $job_id, wake_at_ms: $until }"
    ),
    wrote!(
        "UPDATE $job SET wake_at_ms = $until, lease_owner = $owner, lease_until_ms = $until,
            lease_token = (lease_token ?? 0) + 1, attempts = attempts + 1"
    ),
    "   IF $place != $job.wake_at_ms { DELETE type::record('job_due', [$place, $job_id]) RETURN NONE };
        SELECT * FROM ONLY $job
    } ELSE {
        IF $job.state != 'pending' OR $job.wake_at_ms != $place {
            DELETE type::record('job_due', [$place, $job_id]) RETURN NONE
        };
        LET $own = type::record('job_due', [$job.wake_at_ms, $job_id]);
        IF $job.state = 'pending' AND $own.job_id = NONE {",
    wrote!("INSERT { id: $own, job_id: $job_id, wake_at_ms: $job.wake_at_ms }"),
    "   };
        false
    };
    COMMIT;"
);

const RENEW: &str = concat!(
    "BEGIN;
    IF $job.state = 'pending' AND $job.lease_owner = $owner AND $job.lease_token = $number {
        DELETE type::record('job_due', [$job.wake_at_ms, $job_id]) RETURN NONE;",
    wrote!(
        "INSERT { id: type::record('job_due', [$until, $job_id]), job_id: $job_id, wake_at_ms: $until }"
    ),
    wrote!("UPDATE $job SET wake_at_ms = $until, lease_until_ms = $until"),
    "   true
    } ELSE { false };
    COMMIT;"
);

const RETRY: &str = concat!(
    "BEGIN;
    IF $job.state = 'pending' AND $job.lease_owner = $owner AND $job.lease_token = $number {
        DELETE type::record('job_due', [$job.wake_at_ms, $job_id]) RETURN NONE;",
    wrote!(
        "INSERT { id: type::record('job_due', [$wake, $job_id]), job_id: $job_id, wake_at_ms: $wake }"
    ),
    wrote!(
        "UPDATE $job SET wake_at_ms = $wake, attempts = attempts - $uncounted, lease_owner = NONE,
            lease_until_ms = NONE, last_error = $error"
    ),
    "   true
    } ELSE { false };
    COMMIT;"
);

const GIVE_UP: &str = concat!(
    "BEGIN;
    IF $job.state = 'pending' AND $job.lease_owner = $owner AND $job.lease_token = $number {
        DELETE type::record('job_due', [$job.wake_at_ms, $job_id]) RETURN NONE;",
    wrote!("INSERT { id: type::record('job_dead', $job_id), job_id: $job_id, at_ms: $at }"),
    wrote!(
        "UPDATE $job SET state = 'dead', ended_at_ms = $at, lease_owner = NONE, lease_until_ms = NONE,
            last_error = $error"
    ),
    "   true
    } ELSE { false };
    COMMIT;"
);

/// How many jobs one page is looked for among.
pub const LOOKED_AT: usize = 1_000;

const LIST: &str = "
    SELECT * FROM (SELECT * FROM $range LIMIT $among) WHERE $state = NULL OR state = $state LIMIT $limit;
    SELECT job_id FROM $range LIMIT 1 START $last;";

const DEPTH: &str = "
    SELECT count() FROM job_due GROUP ALL;
    SELECT count() FROM $due GROUP ALL;
    SELECT count() FROM job_dead GROUP ALL;
    SELECT * FROM $due LIMIT 1;
    SELECT VALUE due_at_ms FROM (SELECT VALUE type::record('job', job_id) FROM $soon LIMIT $among);";

impl Store {
    /// The queue of timers.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { store: self }
    }
}

impl JobRow {
    /// The lease it is worked on under, if it is.
    pub fn lease(&self) -> Option<Lease> {
        Some(Lease {
            job_id: self.job_id.clone(),
            owner: self.lease_owner.clone()?,
            token: self.lease_token?,
        })
    }
}

impl Jobs<'_> {
    /// The jobs that wake up to a time, earliest first, behind a place in that order. Up to now these are
    /// the jobs that may run, among them those whose lease ran out.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn waking(
        &self,
        through_ms: i64,
        after: Option<&Due>,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        let range = KeyRange::table("job_due").through(through_ms).limit(limit);
        self.store.scan(&behind(range, after)).await
    }

    /// Jobs in the order of their waking, behind a place in it: those that wait or are worked on.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn pending(&self, after: Option<&Due>, limit: usize) -> Result<Listed, StoreError> {
        let range = KeyRange::table("job_due").limit(limit);
        let places: Vec<Due> = self.store.scan(&behind(range, after)).await?;
        let next = places.last().filter(|_| places.len() == limit).cloned();
        let ids = places.into_iter().map(|due| due.job_id);
        Ok(Listed {
            jobs: self.rows(ids).await?,
            next,
        })
    }

    /// Jobs that were given up, behind an id.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn dead(&self, after: Option<&str>, limit: usize) -> Result<Listed, StoreError> {
        let range = KeyRange::plain("job_dead").limit(limit);
        let dead: Vec<DeadRow> = match after {
            Some(job_id) => self.store.scan(&range.after(job_id)).await?,
            None => self.store.scan(&range).await?,
        };
        let last = dead.last().filter(|_| dead.len() == limit);
        Ok(Listed {
            next: last.map(|row| by_id(&row.job_id)),
            jobs: self.rows(dead.into_iter().map(|row| row.job_id)).await?,
        })
    }

    /// Jobs of any state, or of one, by id, behind an id. It looks at [`LOOKED_AT`] jobs at most: of a state that few have, a
    /// page can hold fewer than `limit`, or none, and not be the last.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn all(
        &self,
        state: Option<JobState>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed, StoreError> {
        let range = KeyRange::plain("job");
        let range = match after {
            Some(job_id) => range.after(job_id),
            None => range,
        };
        let among = state.map_or(limit, |_| LOOKED_AT);
        let mut rows = self
            .store
            .read(LIST)
            .bind_range("range", &range)
            .bind("state", state)
            .bind("limit", limit)
            .bind("among", among)
            .bind("last", among.saturating_sub(1))
            .await?;
        let jobs: Vec<JobRow> = rows.take(0)?;
        let last_seen: Option<LastSeen> = rows.first(1)?;
        let last = jobs.last().filter(|_| jobs.len() == limit);
        let last = last.map(|row| row.job_id.clone());
        let next = last.or(last_seen.map(|row| row.job_id));
        Ok(Listed {
            jobs,
            next: next.as_deref().map(by_id),
        })
    }

    async fn rows(&self, ids: impl Iterator<Item = String>) -> Result<Vec<JobRow>, StoreError> {
        let keys: Vec<Key> = ids.map(|job_id| Key::new("job", job_id)).collect();
        if keys.is_empty() {
            Ok(Vec::new())
        } else {
            self.store.get_many(&keys).await
        }
    }

    /// Takes the job of a place in the order of waking, for `lease_ms`: the job under its new lease. None when it is not
    /// due, is done, or someone else was quicker. A place that is not the job's own is gone afterwards, and its own is there.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn claim(
        &self,
        place: &Due,
        owner: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Result<Option<JobRow>, StoreError> {
        let variables = [
            ("place", int(place.wake_at_ms)),
            ("now", int(now_ms)),
            ("until", int(now_ms.saturating_add(lease_ms))),
            ("owner", text(owner)),
        ];
        match self.run(CLAIM, &place.job_id, object(variables)).await {
            Ok(rows) => rows.any_row(),
            // Someone else moved it at the same time.
            Err(Failure::Conflict(_)) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Holds on to a job until a later time. False when the lease has gone to someone else, or the job is
    /// over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when someone moved the job at the same time: ask again. Otherwise when the store
    /// fails.
    pub async fn renew(&self, lease: &Lease, until_ms: i64) -> Result<bool, StoreError> {
        let variables = [("until", int(until_ms))];
        self.under(lease, RENEW, object(variables)).await
    }

    /// Gives a claimed job back. False when the lease has gone to someone else meanwhile, or the job is
    /// over.
    ///
    /// # Errors
    ///
    /// As for [`Jobs::renew`].
    pub async fn release_failed(
        &self,
        lease: &Lease,
        error: &str,
        then: AfterFailure,
    ) -> Result<bool, StoreError> {
        let (query, name, at_ms, uncounted) = match then {
            AfterFailure::RetryAt(at_ms) => (RETRY, "wake", at_ms, 0),
            AfterFailure::PutOff(at_ms) => (RETRY, "wake", at_ms, 1),
            AfterFailure::Dead(at_ms) => (GIVE_UP, "at", at_ms, 0),
        };
        let variables = [
            ("error", text(error)),
            ("uncounted", int(uncounted)),
            (name, int(at_ms)),
        ];
        self.under(lease, query, object(variables)).await
    }

    /// When the next job may run, in milliseconds since 1970; a lease counts by its end.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let first: Vec<Due> = self
            .store
            .scan(&KeyRange::table("job_due").limit(1))
            .await?;
        Ok(first.first().map(|row| row.wake_at_ms))
    }

    /// A job, whatever became of it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn get(&self, job_id: &str) -> Result<Option<JobRow>, StoreError> {
        self.store.get(&Key::new("job", job_id)).await
    }

    /// How the queue stands. It counts keys and reads 256 rows at most.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn depth(&self, now_ms: i64) -> Result<QueueDepth, StoreError> {
        #[derive(Deserialize)]
        struct Counted {
            count: u64,
        }
        let waking = KeyRange::table("job_due");
        let mut rows = self
            .store
            .read(DEPTH)
            .bind_range("due", &waking.clone().through(now_ms))
            .bind_range("soon", &waking.through(now_ms.saturating_add(SOON_MS)))
            .bind("among", OLDEST_AMONG)
            .await?;
        let mut count = |statement| -> Result<u64, StoreError> {
            let counted: Option<Counted> = rows.first(statement)?;
            Ok(counted.map_or(0, |counted| counted.count))
        };
        let (waiting, due, dead) = (count(0)?, count(1)?, count(2)?);
        let first: Option<Due> = rows.first(3)?;
        let meant: Vec<i64> = rows.take(4)?;
        let since = |then: Option<i64>| then.map_or(0, |then| (now_ms - then).max(0));
        Ok(QueueDepth {
            waiting,
            due,
            dead,
            lag_ms: since(first.map(|due| due.wake_at_ms)),
            age_ms: since(meant.into_iter().min()),
        })
    }

    /// Moves a job that is held under a lease. False when it no longer is.
    async fn under(
        &self,
        lease: &Lease,
        query: &str,
        mut variables: Object,
    ) -> Result<bool, StoreError> {
        variables.insert("owner".to_owned(), text(&lease.owner));
        variables.insert("number".to_owned(), seq(lease.token));
        let done = self.run(query, &lease.job_id, variables).await?;
        Ok(done.any_true())
    }

    /// Runs a conditional move of one job.
    async fn run(&self, query: &str, job_id: &str, variables: Object) -> Result<Rows, Failure> {
        let mut variables = Variables::from(variables);
        variables.insert("job", Key::new("job", job_id).to_value());
        variables.insert("job_id", text(job_id));
        self.store.write(query, variables).await.map(Rows::new)
    }
}

#[derive(Deserialize)]
struct DeadRow {
    job_id: String,
}

#[derive(Deserialize)]
struct LastSeen {
    job_id: String,
}

/// A place in a list by id, where no time counts.
fn by_id(job_id: &str) -> Due {
    Due {
        wake_at_ms: 0,
        job_id: job_id.to_owned(),
    }
}

fn behind(range: KeyRange, after: Option<&Due>) -> KeyRange {
    match after {
        Some(due) => range.after((due.wake_at_ms, &due.job_id)),
        None => range,
    }
}
