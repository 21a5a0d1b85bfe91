//! What people do with jobs: look at them, set one going again, call one off. The last two are commands like any
//! other: authorised by the role matrix, recorded as events, once per request.

use gotong_engine::role_matrix::Action;
use gotong_engine::types::PrivacyLevel;
use gotong_store::{Due, JobRow, JobState, Moved, QueueDepth, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::command::Command;
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::ledger::event::{Event, EventKind};
use crate::problems::Code;
use crate::request::Actor;
use crate::rulings::authority::{self, Matter};

/// A job, as admins and services see it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobView {
    pub job_id: String,
    pub kind: String,
    /// `pending`, `done`, `cancelled` or `dead`.
    pub state: JobState,
    /// The stream the work is about.
    pub stream: String,
    /// When it was meant to run.
    pub due_at_ms: i64,
    /// When it may run next: its due time, a retry, or the end of a lease.
    pub wake_at_ms: i64,
    /// How often it was tried since it was set, or set going again.
    pub attempts: u32,
    /// The worker that has it in hand, and until when it is that worker's.
    pub lease_owner: Option<String>,
    pub lease_until_ms: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The request its work is done under, whoever does it.
    pub request_id: String,
    /// Of the request that set it.
    pub correlation_id: Option<String>,
    /// When it was done, called off or given up.
    pub ended_at_ms: Option<i64>,
    #[schema(value_type = Object)]
    pub payload: Value,
}

impl From<JobRow> for JobView {
    fn from(row: JobRow) -> Self {
        Self {
            request_id: super::request_id(&row.job_id),
            job_id: row.job_id,
            kind: row.kind,
            state: row.state,
            stream: row.stream,
            due_at_ms: row.due_at_ms,
            wake_at_ms: row.wake_at_ms,
            attempts: row.attempts,
            lease_owner: row.lease_owner,
            lease_until_ms: row.lease_until_ms,
            last_error: row.last_error,
            correlation_id: row.correlation_id,
            ended_at_ms: row.ended_at_ms,
            payload: row.payload,
        }
    }
}

/// How the queue stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QueueView {
    /// Jobs that wait or are worked on.
    pub waiting: u64,
    /// Those of them that may run now.
    pub due: u64,
    /// Jobs that were given up and wait for a person.
    pub dead: u64,
    /// For how long the first of those that may run now has been allowed to.
    pub lag_ms: i64,
    /// How long ago the oldest job that is not done was meant to run.
    pub age_ms: i64,
}

impl From<QueueDepth> for QueueView {
    fn from(depth: QueueDepth) -> Self {
        Self {
            waiting: depth.waiting,
            due: depth.due,
            dead: depth.dead,
            lag_ms: depth.lag_ms,
            age_ms: depth.age_ms,
        }
    }
}

/// A page of jobs.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobsPage {
    /// On the first page; null on those behind it.
    #[schema(required)]
    pub queue: Option<QueueView>,
    /// Of a state that few jobs have, a page can hold fewer than `limit`, or none, and not be the last.
    pub jobs: Vec<JobView>,
    /// Give it back as `after`; null: that is all.
    #[schema(required)]
    pub next: Option<String>,
}

/// A page of jobs: those that wait in the order of their waking, others by id. With it where the next begins.
pub async fn page(
    store: &Store,
    now_ms: i64,
    state: Option<JobState>,
    after: Option<&Due>,
    limit: usize,
) -> Result<(JobsPage, Option<Due>), StoreError> {
    let queue = store.jobs();
    let behind = after.map(|due| due.job_id.as_str());
    let listed = match state {
        Some(JobState::Pending) => queue.pending(after, limit).await?,
        Some(JobState::Dead) => queue.dead(behind, limit).await?,
        state => queue.all(state, behind, limit).await?,
    };
    // Counting the queue takes as long as it is: once for a list.
    let depth = match after {
        None => Some(queue.depth(now_ms).await?.into()),
        Some(_) => None,
    };
    let page = JobsPage {
        queue: depth,
        jobs: listed.jobs.into_iter().map(JobView::from).collect(),
        next: None,
    };
    Ok((page, listed.next))
}

/// Sets a job going again that is dead, or that failed and waits for its next attempt.
#[derive(Debug)]
pub struct Retry {
    pub job_id: String,
}

/// Calls a job off that is not over.
#[derive(Debug)]
pub struct Cancel {
    pub job_id: String,
    /// Also when its work then is left undone.
    pub force: bool,
}

impl Command for Retry {
    type Output = JobView;

    fn scope(&self, _: &Actor) -> String {
        scope(&self.job_id)
    }

    async fn run(&self, work: &mut Work) -> Result<JobView, Refusal> {
        let job = load(work, &self.job_id).await?;
        let now_ms = work.now_ms();
        let in_hand = job.lease_until_ms.is_some_and(|until| until > now_ms);
        match job.state {
            JobState::Dead => {}
            JobState::Pending if in_hand => {
                return Err(Refusal::Conflict {
                    code: Code::JobRunning,
                    detail: "a worker has this job in hand; its attempt has to end first",
                });
            }
            JobState::Pending if job.attempts > 0 => {}
            JobState::Pending => {
                return Err(Refusal::Conflict {
                    code: Code::JobWaits,
                    detail: "this job has not been tried yet; it runs when it is due",
                });
            }
            JobState::Done | JobState::Cancelled => return Err(over()),
        }
        // Never before its time: a gate has its window.
        let wake_at_ms = now_ms.max(job.due_at_ms);
        work.move_job(&job, Moved::Retried(wake_at_ms));
        record(work, EventKind::JobRetried, &job)?;
        Ok(JobView::from(JobRow {
            state: JobState::Pending,
            attempts: 0,
            wake_at_ms,
            lease_owner: None,
            lease_until_ms: None,
            ended_at_ms: None,
            ..job
        }))
    }
}

impl Command for Cancel {
    type Output = JobView;

    fn scope(&self, _: &Actor) -> String {
        scope(&self.job_id)
    }

    async fn run(&self, work: &mut Work) -> Result<JobView, Refusal> {
        let job = load(work, &self.job_id).await?;
        if matches!(job.state, JobState::Done | JobState::Cancelled) {
            return Err(over());
        }
        let kind = work.app.jobs.kinds().get(&job.kind);
        if !self.force && kind.is_some_and(|kind| kind.is_needed) {
            return Err(Refusal::Conflict {
                code: Code::JobNeeded,
                detail: "nobody else does this job's work: without it, it stays undone for ever; send `force` to call it off all the same",
            });
        }
        let at_ms = work.now_ms();
        work.move_job(&job, Moved::Cancelled(at_ms));
        record(work, EventKind::JobCancelled, &job)?;
        Ok(JobView::from(JobRow {
            state: JobState::Cancelled,
            lease_owner: None,
            lease_until_ms: None,
            ended_at_ms: Some(at_ms),
            ..job
        }))
    }
}

const STREAM: &str = "job:";

/// Where requests about a job are told apart, and what is decided when there is none. By digest: the id is the caller's
/// word until a job is found under it, and what is kept with an answer is kept for good.
fn scope(job_id: &str) -> String {
    format!("{STREAM}{}", hex::encode(Sha256::digest(job_id)))
}

fn stream_of(job: &JobRow) -> String {
    format!("{STREAM}{}", job.job_id)
}

/// Where the answers to requests about a stream were kept, if it is a job's.
pub fn scope_of(stream: &str) -> Option<String> {
    stream.strip_prefix(STREAM).map(scope)
}

/// The job, for one who may do something about it: the role matrix rules as on dead letters of the outbox.
async fn load(work: &mut Work, job_id: &str) -> Result<JobRow, Refusal> {
    let job = work.app.store.jobs().get(job_id).await?;
    let stream = job.as_ref().map_or_else(|| scope(job_id), stream_of);
    // The job itself may move on after this: the commit holds only if it did not.
    work.watch(&stream).await?;
    let nothing_in_particular = Matter::of_a_new_seed(PrivacyLevel::Open);
    let standing = authority::standing(work.actor(), work.context.trigger, &nothing_in_particular);
    let facts = authority::facts(Action::OutboxManage, standing);
    authority::authorize(work, &stream, &facts, &[])?;
    job.ok_or(Refusal::NotFound("job"))
}

fn over() -> Refusal {
    Refusal::Conflict {
        code: Code::JobOver,
        detail: "this job is done or was called off; nothing can be done about it any more",
    }
}

fn record(work: &mut Work, kind: EventKind, job: &JobRow) -> Result<(), Refusal> {
    let payload = json!({
        "job_id": job.job_id,
        "kind": job.kind,
        "about": job.stream,
        "state": job.state,
        "attempts": job.attempts,
    });
    work.append(&stream_of(job), Event::new(kind, payload))
        .map(drop)
}
