//! Who asks, in which request, and when: what a command or a read has with it. `http` fills it in for a request, the
//! worker for a job; services take it as it is, and know nothing of either.

use std::any::Any;
use std::sync::Arc;

use gotong_engine::types::{TokenRole, Trigger};
use gotong_store::Lease;

use crate::clock::Millis;

/// Requests of the host's own timers begin so; nobody else's may.
pub const TIMER_PREFIX: &str = "timer:";

/// The person (or service) a valid token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user_id: String,
    pub username: String,
    pub role: TokenRole,
}

impl Actor {
    /// The host's own timers.
    pub fn system() -> Self {
        Self {
            user_id: "system".into(),
            username: "system".into(),
            role: TokenRole::System,
        }
    }

    /// A person whose identity the token's issuer vouches for.
    pub fn is_verified(&self) -> bool {
        matches!(
            self.role,
            TokenRole::User | TokenRole::Moderator | TokenRole::Admin
        )
    }
}

/// Who is asking: nobody in particular, or an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    Anonymous,
    Known(Actor),
}

impl Caller {
    pub fn actor(&self) -> Option<&Actor> {
        match self {
            Self::Anonymous => None,
            Self::Known(actor) => Some(actor),
        }
    }

    pub fn role(&self) -> TokenRole {
        self.actor()
            .map_or(TokenRole::Anonymous, |actor| actor.role)
    }

    pub fn user_id(&self) -> &str {
        self.actor().map_or("", |actor| actor.user_id.as_str())
    }
}

/// A write: what makes it one effect, whose it is, and when it happened.
#[derive(Clone, Debug)]
pub struct CommandContext {
    pub actor: Actor,
    /// The caller's `Idempotency-Key`.
    pub request_id: String,
    pub correlation_id: String,
    /// SHA-256 over method, path and canonical body: what "the same request" means.
    pub request_digest: String,
    pub now_ms: Millis,
    pub trigger: Trigger,
    /// A success has made something that was not there.
    pub creates: bool,
    /// Of the job this is the work of: its commit finishes the job.
    pub lease: Option<Lease>,
    /// What the request takes of the host, until the command has ended. A job's work takes its worker's slot.
    pub place: Option<Place>,
}

/// A read: who asks, and when.
#[derive(Clone, Debug)]
pub struct ReadContext {
    pub caller: Caller,
    pub now_ms: Millis,
}

/// What a request takes of the host, held until its work is done: a command goes on when nobody waits for it any more.
#[derive(Clone)]
pub struct Place {
    _held: Arc<dyn Any + Send + Sync>,
}

impl Place {
    /// Gives it back when the last clone is gone.
    pub fn holding(held: impl Any + Send + Sync) -> Self {
        Self {
            _held: Arc::new(held),
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// Some items of a list, and the place behind which the next ones follow; none: that is all.
#[derive(Debug)]
pub struct Listed<T, P> {
    pub items: Vec<T>,
    pub next: Option<P>,
}
