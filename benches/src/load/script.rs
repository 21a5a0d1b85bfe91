//! What people do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::pace::Pace;
use super::record::Record;
use crate::BenchError;
use crate::host::Host;

/// People of a matter beside its author.
const PEOPLE: usize = 8;

/// Keys of writes differ over a whole run.
static KEYS: AtomicU64 = AtomicU64::new(0);

/// A matter that was carried to its vote.
#[derive(Clone, Debug)]
pub struct Matter {
    entity_id: String,
    transition_id: String,
    author: String,
}

/// Those that there are, for reading.
#[derive(Debug, Default)]
pub struct Matters(Mutex<Vec<Matter>>);

impl Matters {
    pub fn add(&self, matter: Matter) {
        self.lock().push(matter);
    }

    fn get(&self, place: usize) -> Option<Matter> {
        let matters = self.lock();
        matters.get(place % matters.len().max(1)).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Matter>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Carries one matter from its seed to its last vote: 19 writes.
#[derive(Debug)]
pub struct Writer<'a> {
    host: &'a Host,
    user: usize,
    pace: &'a Pace,
}

impl<'a> Writer<'a> {
    pub fn new(host: &'a Host, user: usize, pace: &'a Pace) -> Self {
        Self { host, user, pace }
    }

    /// `None` when the time ran out before the matter was at its vote.
    ///
    /// # Errors
    /// When an answer is not what the API promises.
    pub async fn carry(&mut self, record: &mut Record) -> Result<Option<Matter>, BenchError> {
        let author = format!("author-{}", self.user);
        let seed = json!({"track": "tuntaskan", "title": "The gutter overflows", "text": "Since the rain of last week.", "scope_id": format!("id/load/{}", self.user)});
        let Some(shared) = self
            .write(record, "share", &author, "/v1/entities".into(), seed)
            .await?
        else {
            return Ok(None);
        };
        let entity_id = text(&shared, "entity_id")?;
        for person in 0..PEOPLE {
            let path = format!("/v1/entities/{entity_id}/relations");
            let body = json!({"relation": "participant"});
            self.write(record, "join", &self.person(person), path, body)
                .await?;
        }
        let step = json!({"entity_id": entity_id, "to_stage": "bahas"});
        let path = "/v1/transitions".to_owned();
        let Some(proposed) = self.write(record, "propose", &author, path, step).await? else {
            return Ok(None);
        };
        let transition_id = text(&proposed, "transition_id")?;
        let path = format!("/v1/transitions/{transition_id}/objections");
        let reason = json!({"reason": "Let us vote."});
        self.write(record, "object", &self.person(0), path, reason)
            .await?;
        for person in 0..PEOPLE {
            let path = format!("/v1/transitions/{transition_id}/votes");
            let choice = json!({"choice": if person % 3 == 0 { "no" } else { "yes" }});
            self.write(record, "vote", &self.person(person), path, choice)
                .await?;
        }
        Ok(Some(Matter {
            entity_id,
            transition_id,
            author,
        }))
    }

    fn person(&self, person: usize) -> String {
        format!("person-{}-{person}", self.user)
    }

    /// `None`: the time is over, or it was refused, which is recorded.
    async fn write(
        &self,
        record: &mut Record,
        operation: &'static str,
        who: &str,
        path: String,
        body: Value,
    ) -> Result<Option<Value>, BenchError> {
        let Some(due) = self.pace.next().await else {
            return Ok(None);
        };
        let key = format!("load-{:012}", KEYS.fetch_add(1, Ordering::Relaxed));
        let answer = self.host.post(who, &path, &key, &body).await;
        Ok(record
            .note(operation, due, answer)
            .map(|answer| answer.body))
    }
}

/// Reads what a client's pages ask for, in turn, of one matter after another.
#[derive(Debug)]
pub struct Reader<'a> {
    host: &'a Host,
    matters: &'a Matters,
    user: usize,
    turn: usize,
}

impl<'a> Reader<'a> {
    pub fn new(host: &'a Host, matters: &'a Matters, user: usize) -> Self {
        Self {
            host,
            matters,
            user,
            turn: user,
        }
    }

    /// # Errors
    /// When there is nothing to read.
    pub async fn ask(&mut self, due: Instant, record: &mut Record) -> Result<(), BenchError> {
        // A prime step, so that neighbours in time are no neighbours in the store.
        let place = self.turn / 5 * 7_919 + self.user;
        let matter = self
            .matters
            .get(place)
            .ok_or("no matter was carried to its vote")?;
        let Matter {
            entity_id,
            transition_id,
            author,
        } = &matter;
        let (operation, path) = match self.turn % 5 {
            0 => ("entity", format!("/v1/entities/{entity_id}")),
            1 => ("transition", format!("/v1/transitions/{transition_id}")),
            2 => ("timeline", format!("/v1/entities/{entity_id}/timeline")),
            3 => (
                "permissions",
                format!("/v1/entities/{entity_id}/permissions"),
            ),
            _ => ("stage", format!("/v1/entities/{entity_id}/stage")),
        };
        self.turn += 1;
        let answer = self.host.get(author, &path).await;
        record.note(operation, due, answer);
        Ok(())
    }
}

fn text(answer: &Value, field: &str) -> Result<String, BenchError> {
    answer[field]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("no `{field}` in {answer}").into())
}
