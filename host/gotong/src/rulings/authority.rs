//! The role-matrix policy's facts, and its door for every entity action.

use gotong_engine::role_matrix::{Action, AuthorizeFacts, Nomination, Obligation, Standing};
use gotong_engine::types::{Effect, PrivacyLevel, Relations, Trigger, TrustTier};

use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::request::{Actor, Caller};

/// What a policy may know of an entity and of the actor in it: no person, no text.
#[derive(Clone, Debug)]
pub struct Matter {
    pub relations: Relations,
    pub privacy: PrivacyLevel,
    pub has_pic: bool,
    pub nominee: Nominee,
    pub seed_age_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Nominee {
    Nobody,
    SomeoneElse,
    Actor,
}

impl Matter {
    pub fn of_a_new_seed(privacy: PrivacyLevel) -> Self {
        Self {
            relations: Relations::empty(),
            privacy,
            has_pic: false,
            nominee: Nominee::Nobody,
            seed_age_ms: 0,
        }
    }
}

/// What the actor is here.
pub fn standing(actor: &Actor, trigger: Trigger, matter: &Matter) -> Standing {
    Standing {
        role: actor.role,
        verified: actor.is_verified(),
        // Tandang's reputation is read by a later service; until then everybody is new, the lowest tier.
        tier: TrustTier::Bayangan,
        trigger,
        relations: matter.relations,
        privacy: matter.privacy,
        has_pic: matter.has_pic,
        nomination: match matter.nominee {
            Nominee::Nobody => Nomination::None,
            Nominee::SomeoneElse => Nomination::SomeoneElse,
            Nominee::Actor => Nomination::Actor,
        },
        seed_age_ms: matter.seed_age_ms,
    }
}

/// The same for a reader, who may be nobody in particular.
pub fn viewing(caller: &Caller, matter: &Matter) -> Standing {
    let nobody = Actor {
        user_id: String::new(),
        username: String::new(),
        role: caller.role(),
    };
    standing(
        caller.actor().unwrap_or(&nobody),
        Trigger::UserAction,
        matter,
    )
}

/// Facts for an action that concerns nobody but the actor.
pub fn facts(action: Action, standing: Standing) -> AuthorizeFacts {
    AuthorizeFacts {
        action,
        standing,
        snapshot: Relations::empty(),
        approvals: Relations::empty(),
        sought: Relations::empty(),
        subject: Relations::empty(),
        subject_is_actor: false,
    }
}

/// An allowed action, and what the policy wants done with it.
#[derive(Debug)]
pub struct Allowed {
    obligations: Vec<Obligation>,
}

impl Allowed {
    pub fn obliges(&self, obligation: Obligation) -> bool {
        self.obligations.contains(&obligation)
    }
}

/// Asks, records, and refuses unless the ruling allows and asks for nothing but what the caller carries out.
pub fn authorize(
    work: &mut Work,
    entity_id: &str,
    facts: &AuthorizeFacts,
    carried_out: &[Obligation],
) -> Result<Allowed, Refusal> {
    let given = work.rule(entity_id, facts)?;
    if given.ruling.effect == Effect::Deny {
        return Err(given.refusal(&work.app, &given.ruling.reason, &given.ruling.rule));
    }
    given.discharge(&given.ruling.obligations, carried_out)?;
    Ok(Allowed {
        obligations: given.ruling.obligations,
    })
}
