//! {{name}}: who may do what, and what a viewer sees.
//!
//! A starting point with few rows: whoever takes part acts. Change the rules, their texts and the cases together;
//! `gotong policy test` says what does not fit.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;

use gotong_policy::Reason;
use gotong_policy::role_matrix::{
    Action, AuthorizeFacts, Fields, PermittedFacts, ProjectFacts, ProjectManyFacts, Projection,
    RoleMatrix, Ruling, Standing,
};
use gotong_policy::types::{PrivacyLevel, Relations, RuleDoc, TokenRole, Trigger};

gotong_policy::rules! {
    visibility: "What is open is shown to everybody, all else to the people who take part."
        [shown, not_visible];
    host_timer: "The host's own timers apply what their time has decided, and nothing else."
        [timer_applies, only_timers];
    reading: "Whoever may see an entity may read it."
        [visible];
    beginning: "A verified person shares a seed, witnesses, or joins."
        [verified, not_verified];
    taking_part: "Everything else is done by the people who take part."
        [takes_part, takes_no_part];
}

fn visible(here: &Standing) -> bool {
    here.privacy == PrivacyLevel::Open || !here.relations.is_empty()
}

fn decide(
    action: Action,
    here: &Standing,
    snapshot: Relations,
) -> Result<&'static Reason, &'static Reason> {
    if here.role == TokenRole::System {
        let applies = action == Action::TransitionPropose && here.trigger == Trigger::Timer;
        return if applies {
            Ok(host_timer::timer_applies)
        } else {
            Err(host_timer::only_timers)
        };
    }
    match action {
        Action::EntityCreate if here.verified => Ok(beginning::verified),
        Action::EntityCreate => Err(beginning::not_verified),
        _ if !visible(here) => Err(visibility::not_visible),
        Action::EntityRead => Ok(reading::visible),
        Action::CoWitness | Action::Participate if here.verified => Ok(beginning::verified),
        Action::CoWitness | Action::Participate => Err(beginning::not_verified),
        // A vote counts what people were when it opened.
        Action::TransitionVote if snapshot.is_empty() => Err(taking_part::takes_no_part),
        Action::TransitionVote => Ok(taking_part::takes_part),
        _ if here.relations.is_empty() => Err(taking_part::takes_no_part),
        _ => Ok(taking_part::takes_part),
    }
}

fn project(here: &Standing) -> Projection {
    if visible(here) {
        Projection::of(Fields::all(), visibility::shown, &[])
    } else {
        Projection::hidden(visibility::not_visible)
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy;

impl RoleMatrix for Policy {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(RULES)
    }

    fn authorize(facts: AuthorizeFacts) -> Ruling {
        match decide(facts.action, &facts.standing, facts.snapshot) {
            Ok(reason) => Ruling::allow(reason),
            Err(reason) => Ruling::deny(reason),
        }
    }

    fn permitted(facts: PermittedFacts) -> Vec<Action> {
        let permits = |action: &Action| decide(*action, &facts.standing, facts.snapshot).is_ok();
        Action::ALL.into_iter().filter(permits).collect()
    }

    fn project(facts: ProjectFacts) -> Projection {
        project(&facts.standing)
    }

    fn project_many(facts: ProjectManyFacts) -> Vec<Projection> {
        facts
            .items
            .iter()
            .map(|item| project(&item.standing))
            .collect()
    }
}

gotong_policy::export!(Policy as role_matrix);

#[cfg(test)]
mod tests {
    use super::*;
    use gotong_policy::role_matrix::Nomination;
    use gotong_policy::types::TrustTier;

    #[test]
    fn nobody_acts_on_what_they_cannot_see() {
        let outside = Standing {
            role: TokenRole::User,
            verified: true,
            tier: TrustTier::Kunci,
            trigger: Trigger::UserAction,
            relations: Relations::empty(),
            privacy: PrivacyLevel::Vault,
            has_pic: false,
            nomination: Nomination::None,
            seed_age_ms: 0,
        };
        for action in Action::ALL
            .into_iter()
            .filter(|action| *action != Action::EntityCreate)
        {
            assert!(
                decide(action, &outside, Relations::SAKSI).is_err(),
                "{action:?}"
            );
        }
    }
}
