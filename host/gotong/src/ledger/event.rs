//! The one list of event kinds.

use serde::Serialize;
use serde_json::Value;

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal),+ $(,)?) => {
        /// What can happen in a stream. A kind, once committed, keeps its word for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind { $($(#[$doc])* $kind),+ }

        impl EventKind {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),+ }
            }
        }
    };
}

event_kinds! {
    EntityShared = "entity_shared",
    RelationStarted = "relation_started",
    RelationEnded = "relation_ended",
    PicNominated = "pic_nominated",
    PicAccepted = "pic_accepted",
    EvidenceSubmitted = "evidence_submitted",
    TransitionProposed = "transition_proposed",
    /// A consent gate became a vote.
    TransitionObjected = "transition_objected",
    /// That somebody voted; who and how is in no public field.
    BallotCast = "ballot_cast",
    /// The vote is won and waits for challenges.
    TransitionWon = "transition_won",
    /// A won vote is voted on again.
    TransitionChallenged = "transition_challenged",
    TransitionApplied = "transition_applied",
    TransitionRejected = "transition_rejected",
    /// A person set a job going again.
    JobRetried = "job_retried",
    /// A person called a job off.
    JobCancelled = "job_cancelled",
}

/// An event as a service words it; the ledger adds order, time, actor and hash.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: EventKind,
    /// Public: no person, no free text.
    pub payload: Value,
    /// Personal: committed to, kept apart, erasable.
    pub private: Vec<(&'static str, Value)>,
}

impl Event {
    pub fn new(kind: EventKind, payload: Value) -> Self {
        Self {
            kind,
            payload,
            private: Vec::new(),
        }
    }

    /// Adds a personal field. A value that has no JSON form is recorded as null.
    pub fn private(mut self, name: &'static str, value: impl Serialize) -> Self {
        self.private
            .push((name, serde_json::to_value(value).unwrap_or(Value::Null)));
        self
    }
}
