//! `gotong jobs`

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use gotong_policy_tool::{complain, say};
use gotong_store::{Due, JobState};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CliError, Where};
use crate::clock::system_now_ms;
use crate::config::Config;
use crate::jobs::admin::{self, JobView, JobsPage};
use crate::ledger::source::{Host, Source, SourceError};

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// Jobs and how the queue stands: of a running host, or of a stopped one's store
    List(List),
    /// Everything about one job
    Show(Show),
    /// Set a dead job going again, or a failed one at once
    Retry(Retry),
    /// Call a job off
    Cancel(Cancel),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    source: Where,
    /// Only jobs of this state
    #[arg(long)]
    state: Option<State>,
    /// Begin behind here: what the page before named
    #[arg(long)]
    after: Option<String>,
    /// How many at most, 1 to 50
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=50))]
    limit: u16,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The job's id
    job_id: String,
    #[command(flatten)]
    source: Where,
}

#[derive(Debug, Args)]
pub struct Retry {
    /// The job's id
    job_id: String,
    #[command(flatten)]
    host: Running,
}

#[derive(Debug, Args)]
pub struct Cancel {
    /// The job's id
    job_id: String,
    /// Also when nobody else does its work: a gate without its timer stays open for ever
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    host: Running,
}

/// A running host: only it may change a job.
#[derive(Debug, Args)]
struct Running {
    /// Address of a running host
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Token with the role admin or service
    #[arg(long, env = "GOTONG_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The request's id: sent again, it has no second effect (default: a new one)
    #[arg(long)]
    key: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    Done,
    Cancelled,
    Dead,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Done => Self::Done,
            State::Cancelled => Self::Cancelled,
            State::Dead => Self::Dead,
        }
    }
}

impl JobsCommand {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        match self {
            Self::List(list) => list.run(config).await,
            Self::Show(show) => show.run(config).await,
            Self::Retry(retry) => {
                let path = path(&retry.job_id, "/retry");
                retry.host.send(&path, &json!({})).await
            }
            Self::Cancel(cancel) => {
                let path = path(&cancel.job_id, "/cancel");
                let body = json!({"force": cancel.force});
                cancel.host.send(&path, &body).await
            }
        }
    }
}

impl List {
    async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let (state, limit) = (self.state.map(JobState::from), usize::from(self.limit));
        let page = match self.source.open(config).await? {
            Source::Store(store) => {
                let after = self.after.as_deref().map(place).transpose()?;
                let now_ms = system_now_ms();
                let (mut page, next) =
                    admin::page(&store, now_ms, state, after.as_ref(), limit).await?;
                page.next = next.map(|next| format!("{}:{}", next.wake_at_ms, next.job_id));
                page
            }
            Source::Host(host) => {
                let mut query = vec![("limit", limit.to_string())];
                if let Some(Value::String(word)) = state.map(|state| json!(state)) {
                    query.push(("state", word));
                }
                query.extend(self.after.map(|after| ("after", after)));
                host.get("/v1/admin/jobs", &query).await?
            }
        };
        if self.json {
            say!("{}", json!(page));
        } else {
            tell(&page);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let found = match self.source.open(config).await? {
            Source::Store(store) => {
                let job = store.jobs().get(&self.job_id).await?;
                let Some(job) = job else {
                    return Ok(not_held("there is no such job"));
                };
                Ok(job.into())
            }
            Source::Host(host) => host.get(&path(&self.job_id, ""), &[]).await,
        };
        told(found)
    }
}

impl Running {
    async fn send(self, path: &str, body: &Value) -> Result<ExitCode, CliError> {
        let token = self.token.ok_or("a running host lets only admins and services at its jobs: give --token (or GOTONG_TOKEN)")?;
        let key = self.key.unwrap_or_else(|| Uuid::now_v7().to_string());
        told(Host::new(&self.url, token)?.post(path, &key, body).await)
    }
}

/// 0 with the job; 1 when the host answered that there is none, or that its state excludes it.
fn told(found: Result<JobView, SourceError>) -> Result<ExitCode, CliError> {
    match found {
        Ok(job) => {
            say!("{:#}", json!(job));
            Ok(ExitCode::SUCCESS)
        }
        Err(SourceError::Refused { status, says, .. })
            if status == StatusCode::NOT_FOUND || status == StatusCode::CONFLICT =>
        {
            Ok(not_held(&says))
        }
        Err(error) => Err(error.into()),
    }
}

fn not_held(why: &str) -> ExitCode {
    complain!("gotong: {why}");
    ExitCode::FAILURE
}

/// A place in a stopped host's list, as it was printed: when a job wakes, and its id.
fn place(text: &str) -> Result<Due, CliError> {
    let parts = text.split_once(':');
    let parts = parts.and_then(|(wake, job_id)| Some((wake.parse().ok()?, job_id)));
    let (wake_at_ms, job_id) = parts.ok_or("--after is not what the page before named")?;
    Ok(Due {
        wake_at_ms,
        job_id: job_id.to_owned(),
    })
}

/// An id is one segment of the path, whatever stands in it.
fn path(job_id: &str, then: &str) -> String {
    let mut segment = String::new();
    for byte in job_id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("/v1/admin/jobs/{segment}{then}")
}

fn tell(page: &JobsPage) {
    if let Some(queue) = &page.queue {
        say!(
            "{} waiting, {} of them due ({} ms late), {} dead",
            queue.waiting,
            queue.due,
            queue.lag_ms,
            queue.dead
        );
    }
    for job in &page.jobs {
        let state = json!(job.state);
        let last = job.last_error.as_deref();
        say!(
            "{}  {} {}, {} attempts, due {}, wakes {}{}",
            job.job_id,
            state.as_str().unwrap_or_default(),
            job.kind,
            job.attempts,
            job.due_at_ms,
            job.wake_at_ms,
            last.map_or(String::new(), |error| format!(": {error}"))
        );
    }
    if let Some(next) = &page.next {
        say!("more with --after {next}");
    }
}
