//! The action matrix: who may do what to an entity, what a viewer sees of it, and what a person may do here.
//!
//! A fact names no person. What the caller is to the entity was loaded by the host; nothing here trusts a
//! claim. The decision reads in three steps: is the entity visible at all ([`view`]), is the caller a
//! person ([`matrix`]), and what does the row of the action say.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod matrix;
pub mod rules;
pub mod view;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests;

use alloc::vec::Vec;

use gotong_policy::role_matrix::{
    Action, AuthorizeFacts, PermittedFacts, ProjectFacts, ProjectManyFacts, Projection, RoleMatrix,
    Ruling,
};
use gotong_policy::types::RuleDoc;

/// The role matrix of Gotong.
#[derive(Debug, Clone, Copy)]
pub struct GotongRoleMatrix;

impl RoleMatrix for GotongRoleMatrix {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(rules::RULES)
    }

    fn authorize(facts: AuthorizeFacts) -> Ruling {
        match matrix::decide(&facts) {
            Ok(grant) => match grant.obligation {
                Some(obligation) => Ruling::allow(grant.reason).obliging(&[obligation]),
                None => Ruling::allow(grant.reason),
            },
            Err(reason) => Ruling::deny(reason),
        }
    }

    fn permitted(facts: PermittedFacts) -> Vec<Action> {
        let mut permitted = Vec::with_capacity(Action::ALL.len());
        permitted.extend(
            Action::ALL
                .into_iter()
                .filter(|action| matrix::permits(*action, &facts)),
        );
        permitted
    }

    fn project(facts: ProjectFacts) -> Projection {
        view::project(&facts.standing)
    }

    fn project_many(facts: ProjectManyFacts) -> Vec<Projection> {
        facts
            .items
            .iter()
            .map(|facts| view::project(&facts.standing))
            .collect()
    }
}

gotong_policy::export!(GotongRoleMatrix as role_matrix);
