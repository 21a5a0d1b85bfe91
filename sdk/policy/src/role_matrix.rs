//! The family `role-matrix`: who may do what, what a viewer sees, what a person may do here.

use alloc::vec::Vec;

pub use crate::bindings::exports::gotong::policy::role_matrix::{
    Action, AuthorizeFacts, Fields, Guest as RoleMatrix, Nomination, Obligation, PermittedFacts,
    ProjectFacts, ProjectManyFacts, Projection, Ruling, Standing, ViewingObligation,
};
use crate::{Reason, types::Effect};

impl Ruling {
    /// The actor may.
    #[must_use]
    pub fn allow(reason: &'static Reason) -> Self {
        Self::of(Effect::Allow, reason)
    }

    /// The actor may not.
    #[must_use]
    pub fn deny(reason: &'static Reason) -> Self {
        Self::of(Effect::Deny, reason)
    }

    /// The same ruling, with what the host must also do.
    #[must_use]
    pub fn obliging(self, obligations: &[Obligation]) -> Self {
        Self {
            obligations: obligations.to_vec(),
            ..self
        }
    }

    fn of(effect: Effect, reason: &'static Reason) -> Self {
        Self {
            effect,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: Vec::new(),
        }
    }
}

impl Projection {
    /// The viewer is told that there is no such entity.
    #[must_use]
    pub fn hidden(reason: &'static Reason) -> Self {
        Self {
            visible: false,
            ..Self::of(Fields::empty(), reason, &[])
        }
    }

    /// The viewer sees these fields, and the host does what it is obliged to.
    #[must_use]
    pub fn of(fields: Fields, reason: &'static Reason, obligations: &[ViewingObligation]) -> Self {
        Self {
            visible: true,
            fields,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            obligations: obligations.to_vec(),
        }
    }
}

impl Action {
    /// Every action, in the order of the contract.
    pub const ALL: [Self; 29] = [
        Self::EntityCreate,
        Self::EntityRead,
        Self::EntityEdit,
        Self::CoWitness,
        Self::Participate,
        Self::StandAsVerifikator,
        Self::Appoint,
        Self::RelationEnd,
        Self::Discuss,
        Self::EvidenceSubmit,
        Self::TransitionPropose,
        Self::TransitionObject,
        Self::TransitionVote,
        Self::TransitionEmergency,
        Self::ResultChallenge,
        Self::PicNominate,
        Self::PicAccept,
        Self::TaskAssign,
        Self::TaskClaim,
        Self::TaskHeartbeat,
        Self::FundsManage,
        Self::DisbursementApprove,
        Self::Broadcast,
        Self::CompletionVerify,
        Self::PrivacySet,
        Self::Dispute,
        Self::Moderate,
        Self::OutboxManage,
        Self::AuditRead,
    ];
}

#[cfg(test)]
mod tests {
    use super::Action;

    #[test]
    fn the_list_of_actions_is_the_contract_s() {
        for (place, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, place);
        }
    }
}
