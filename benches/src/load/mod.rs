//! Scripted people who use a host over HTTP, and what that took.
//!
//! Writes: each user carries matters through their life, from a shared seed to the last vote; every write is a
//! governed one, ruled, chained and committed. Reads: what the pages of a client ask for, over those matters.
//!
//! *As fast as they go*: so many users, each sending its next request when it has the answer to the last. *At a rate*:
//! requests are due at fixed times, whoever is late; a request's time counts from when it was due, so that a
//! host that stalls is not spared the requests that would have come meanwhile. Those that were due and that nobody got
//! to send before the end are counted apart.

pub mod pace;
pub mod record;
pub mod script;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::BenchError;
use crate::conditions::Conditions;
use crate::host::Host;
use pace::Pace;
use record::{Figures, Record};
use script::{Matters, Reader, Writer};

/// What to drive, and how hard.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plan {
    /// People who send at the same time, as fast as they go.
    pub users: usize,
    /// Writes a second, at a rate.
    pub writes_per_second: u32,
    /// Reads a second, at a rate.
    pub reads_per_second: u32,
    /// Of each phase.
    pub seconds: u64,
}

/// People that wait for their turn when requests come at a rate: more than are ever under way at once.
const PATIENT_USERS: usize = 64;

/// How long after one another people begin to write.
const APART: Duration = Duration::from_millis(38);

/// One engine's figures.
#[derive(Debug, Serialize)]
pub struct Engine {
    pub engine: &'static str,
    pub writes: Figures,
    pub writes_at_a_rate: Figures,
    pub reads: Figures,
    pub reads_at_a_rate: Figures,
    pub audit: Option<Audit>,
}

/// `gotong audit verify` of what the run left.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Audit {
    pub events: u64,
    pub decisions: u64,
    pub seconds: f64,
    pub events_per_second: f64,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub conditions: Conditions,
    pub plan: Plan,
    pub engines: Vec<Engine>,
}

/// Drives a host on the memory engine, or on a folder when one is given.
///
/// # Errors
/// When the host cannot be started, or does not end well.
pub async fn drive(gotong: &Path, data: Option<&Path>, plan: Plan) -> Result<Engine, BenchError> {
    let host = Arc::new(Host::start(gotong, data)?);
    let matters = Arc::new(Matters::default());
    // Connections, tokens, caches: what a host has warm after its first second.
    let brief = Duration::from_millis(500);
    write(&host, &matters, plan.users, Pace::none(brief)).await?;

    let phase = Duration::from_secs(plan.seconds);
    let at_once = || Pace::none(phase);
    let writes = write(&host, &matters, plan.users, at_once()).await?;
    let pace = Pace::per_second(plan.writes_per_second, phase);
    let writes_at_a_rate = write(&host, &matters, PATIENT_USERS, pace).await?;
    let reads = read(&host, &matters, plan.users, at_once()).await?;
    let pace = Pace::per_second(plan.reads_per_second, phase);
    let reads_at_a_rate = read(&host, &matters, PATIENT_USERS, pace).await?;

    let host = Arc::into_inner(host).ok_or("somebody still uses the host")?;
    host.stop()?;
    let audit = data.map(|data| audit(gotong, data)).transpose()?;
    Ok(Engine {
        engine: data.map_or("memory", |_| "surrealkv"),
        writes,
        writes_at_a_rate,
        reads,
        reads_at_a_rate,
        audit,
    })
}

async fn write(
    host: &Arc<Host>,
    matters: &Arc<Matters>,
    users: usize,
    pace: Pace,
) -> Result<Figures, BenchError> {
    people(users, pace, |user, pace| {
        let (host, matters) = (host.clone(), matters.clone());
        async move {
            let mut record = Record::default();
            // People do not all begin in the same instant, and then take every step together.
            tokio::time::sleep(APART * u32::try_from(user).unwrap_or_default()).await;
            while !pace.is_over() {
                let mut writer = Writer::new(&host, user, &pace);
                if let Some(matter) = writer.carry(&mut record).await? {
                    matters.add(matter);
                }
            }
            Ok(record)
        }
    })
    .await
}

async fn read(
    host: &Arc<Host>,
    matters: &Arc<Matters>,
    users: usize,
    pace: Pace,
) -> Result<Figures, BenchError> {
    people(users, pace, |user, pace| {
        let (host, matters) = (host.clone(), matters.clone());
        async move {
            let mut record = Record::default();
            let mut reader = Reader::new(&host, &matters, user);
            while let Some(due) = pace.next().await {
                reader.ask(due, &mut record).await?;
            }
            Ok(record)
        }
    })
    .await
}

/// So many people at once, until the phase is over; what they met with.
async fn people<F>(
    users: usize,
    pace: Pace,
    mut each: impl FnMut(usize, Arc<Pace>) -> F,
) -> Result<Figures, BenchError>
where
    F: Future<Output = Result<Record, BenchError>> + Send + 'static,
{
    let pace = Arc::new(pace);
    let users: Vec<_> = (0..users)
        .map(|user| tokio::spawn(each(user, pace.clone())))
        .collect();
    let mut all = Record::default();
    for user in users {
        all.add(user.await??);
    }
    Ok(all.figures(pace.elapsed(), pace.never_sent()))
}

/// Verifies every chain, in a process of its own.
fn audit(gotong: &Path, data: &Path) -> Result<Audit, BenchError> {
    let started = Instant::now();
    let output = std::process::Command::new(gotong)
        .args(["audit", "verify", "--json", "--data"])
        .arg(data)
        .current_dir(crate::root())
        .env("RUST_LOG", "error")
        .output()?;
    let seconds = started.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("the ledger does not hold: {said}").into());
    }
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| told[name].as_u64().ok_or_else(|| format!("no `{name}`"));
    let events = number("events")?;
    Ok(Audit {
        events,
        decisions: number("decisions")?,
        seconds,
        events_per_second: events as f64 / seconds,
    })
}
