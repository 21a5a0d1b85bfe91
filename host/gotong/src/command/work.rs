//! The unit of work: what one command has read, ruled and caused so far.
//!
//! It writes nothing. `into_commit` hands everything over to the one commit.

use std::collections::BTreeMap;

use gotong_engine::{Digest, FindError, Module, Question};
use gotong_store::{Commit, Job, JobChange, JobRow, Key, Moved, RowChange, StoredResponse};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::refusal::{Fault, Refusal};
use crate::app::App;
use crate::clock::Millis;
use crate::ledger::event::Event;
use crate::ledger::{self, Circumstances, DecisionDigest, Tip};
use crate::problems::Code;
use crate::request::{Actor, CommandContext};
use crate::rulings::shadow::Observations;
use crate::rulings::{self, Given, NOWHERE};

#[derive(Debug)]
pub struct Work {
    pub app: App,
    pub context: CommandContext,
    tips: BTreeMap<String, Tip>,
    commit: Commit,
    /// Decisions that no event rests on yet.
    unattached: Vec<DecisionDigest>,
    /// Where a stream's matter lies: its scope.
    scopes: BTreeMap<String, String>,
    shadows: Observations,
}

/// Where an event came to stand.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub hash: String,
}

impl Work {
    pub fn open(app: App, context: CommandContext) -> Self {
        Self {
            app,
            context,
            tips: BTreeMap::new(),
            commit: Commit::default(),
            unattached: Vec::new(),
            scopes: BTreeMap::new(),
            shadows: Observations::default(),
        }
    }

    pub fn actor(&self) -> &Actor {
        &self.context.actor
    }

    pub fn now_ms(&self) -> Millis {
        self.context.now_ms
    }

    /// A new id, in time order (UUIDv7).
    pub fn mint(&self) -> String {
        Uuid::now_v7().to_string()
    }

    /// Notes the version of a stream, before its facts are read: if it changes until the commit, the
    /// command starts again.
    pub async fn watch(&mut self, stream: &str) -> Result<(), Refusal> {
        if self.tips.contains_key(stream) {
            return Ok(());
        }
        let head = self.app.store.head(stream).await?;
        let tip = if head.seq == 0 {
            Tip::genesis()
        } else {
            Tip {
                seq: head.seq,
                hash: head.hash,
            }
        };
        self.commit.reads.insert(stream.to_owned(), tip.seq);
        self.tips.insert(stream.to_owned(), tip);
        Ok(())
    }

    /// A stream that begins with this command.
    pub fn begin(&mut self, stream: &str) {
        self.commit.reads.insert(stream.to_owned(), 0);
        self.tips.insert(stream.to_owned(), Tip::genesis());
    }

    /// Says in which scope a stream's matter lies: the policy of that scope decides.
    pub fn locate(&mut self, stream: &str, scope: &str) {
        self.scopes.insert(stream.to_owned(), scope.to_owned());
    }

    /// Asks the policy that decides the question's family in the scope of a stream.
    pub fn rule<Q: Question>(
        &mut self,
        stream: &str,
        facts: &Q,
    ) -> Result<Given<Q::Ruling>, Refusal> {
        let app = self.app.clone();
        let scope = self.scopes.get(stream).map_or(NOWHERE, String::as_str);
        let module = app.policies.deciding(Q::FAMILY, scope);
        self.rule_by(stream, module, facts)
    }

    /// Asks the module a matter began under, whichever is active now.
    pub fn rule_under<Q: Question>(
        &mut self,
        stream: &str,
        digest: &Digest,
        facts: &Q,
    ) -> Result<Given<Q::Ruling>, Refusal> {
        let app = self.app.clone();
        match app.policies.find(digest) {
            Ok(module) => self.rule_by(stream, module, facts),
            Err(FindError::Unknown(_)) => {
                Err(Fault::Broken(format!("no pinned module has the digest {digest}")).into())
            }
            Err(FindError::Unusable(error)) => {
                let error = error.to_string();
                tracing::error!(error, "a retired policy cannot be loaded");
                // No evaluation, so no decision: the matter waits until the module can be loaded.
                Err(Refusal::PolicyFailed {
                    family: Q::FAMILY,
                    code: Code::PolicyEngineError,
                    decision_id: String::new(),
                })
            }
        }
    }

    fn rule_by<Q: Question>(
        &mut self,
        stream: &str,
        module: &Module,
        facts: &Q,
    ) -> Result<Given<Q::Ruling>, Refusal> {
        let (given, decision) = rulings::ask(&self.app, module, facts, stream, &self.context);
        self.shadows
            .ask(&self.app, module, facts, &decision, &self.context);
        let decision = serde_json::to_value(decision).map_err(Fault::from)?;
        let decision_id = decision["decision_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let digest = ledger::sha256_hex(ledger::canonical(&decision)?.as_bytes());
        self.unattached.push(DecisionDigest {
            decision_id,
            digest,
        });
        self.commit.decisions.push(decision);
        given
    }

    /// Adds an event to a stream that was watched or begun. The decisions taken since the last event are
    /// chained with it.
    pub fn append(&mut self, stream: &str, event: Event) -> Result<Recorded, Refusal> {
        let correlation_id = &self.context.correlation_id;
        let _step = tracing::debug_span!("append", correlation_id).entered();
        let tip = self.tips.get_mut(stream).ok_or_else(|| {
            Fault::Broken(format!("`{stream}` was appended to without being watched"))
        })?;
        let event = event.private(
            "actor",
            json!({"user_id": self.context.actor.user_id, "username": self.context.actor.username}),
        );
        let around = Circumstances {
            event_id: Uuid::now_v7().to_string(),
            stream,
            at_ms: self.context.now_ms,
            request_id: &self.context.request_id,
            correlation_id: &self.context.correlation_id,
            actor_role: self.context.actor.role.as_str(),
            mechanism: self.context.trigger.as_str(),
            decisions: std::mem::take(&mut self.unattached),
        };
        let (row, private) = ledger::chain(event, tip, around)?;
        *tip = Tip {
            seq: row.seq,
            hash: row.hash.clone(),
        };
        let recorded = Recorded {
            hash: row.hash.clone(),
        };
        self.commit.events.push(row);
        self.commit.private.extend(private);
        Ok(recorded)
    }

    /// A row that must be new.
    pub fn create(&mut self, key: Key, row: &impl Serialize) -> Result<(), Refusal> {
        self.commit.rows.push(RowChange::create(key, row)?);
        Ok(())
    }

    /// Some fields of a row.
    pub fn merge(&mut self, key: Key, fields: &impl Serialize) -> Result<(), Refusal> {
        self.commit.rows.push(RowChange::merge(key, fields)?);
        Ok(())
    }

    /// Sets a job, in the correlation of this request.
    pub fn schedule(&mut self, mut job: Job) {
        job.correlation_id
            .get_or_insert_with(|| self.context.correlation_id.clone());
        self.commit.jobs.push(JobChange::Schedule(job));
    }

    pub fn cancel_job(&mut self, job_id: &str) {
        self.commit.jobs.push(JobChange::Cancel {
            job_id: job_id.to_owned(),
            at_ms: self.context.now_ms,
        });
    }

    /// A person's word on a job: the commit holds only if the job is still as it was seen.
    pub fn move_job(&mut self, seen: &JobRow, to: Moved) {
        self.commit.jobs.push(JobChange::Move {
            job_id: seen.job_id.clone(),
            from: seen.state,
            token: seen.lease_token,
            to,
        });
    }

    /// Everything for the commit, and what shadows made of it. A refused command leaves its decisions, those of the
    /// shadows that differ, and its answer, nothing else.
    pub fn into_commit(
        self,
        succeeded: bool,
        response: Option<StoredResponse>,
    ) -> (Commit, Observations) {
        let mut commit = self.commit;
        if !succeeded {
            commit.events.clear();
            commit.private.clear();
            commit.rows.clear();
            commit.jobs.clear();
        } else if let Some(lease) = self.context.lease {
            // The work of a job: done in this very commit, or not at all.
            let at_ms = self.context.now_ms;
            commit.jobs.push(JobChange::Finish { lease, at_ms });
        }
        let mut shadows = self.shadows;
        shadows.add_to(&mut commit);
        commit.response = response;
        (commit, shadows)
    }
}
