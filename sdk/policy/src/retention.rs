//! The family `retention`: what is kept, for how long, and what becomes of it.

use crate::Reason;
pub use crate::bindings::exports::gotong::policy::retention::{
    ClassifyFacts, ClassifyManyFacts, DueFacts, DueManyFacts, DueRuling, Guest as Retention, Kind,
    Measure, OnExpiry, State, Tag,
};

impl Kind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Self; 26] = [
        Self::Entity,
        Self::Relation,
        Self::Transition,
        Self::Ballot,
        Self::Decision,
        Self::Contribution,
        Self::Evidence,
        Self::Vouch,
        Self::FeedItem,
        Self::ModerationTrail,
        Self::ModerationSnippet,
        Self::SiagaBroadcast,
        Self::SiagaResponder,
        Self::VaultPayload,
        Self::VaultMetadata,
        Self::DeliveryLog,
        Self::Notification,
        Self::ChatMessage,
        Self::ChatDeletedBody,
        Self::IdempotentResponse,
        Self::MediaFile,
        Self::ModerationReport,
        Self::ModelAnswer,
        Self::OutboxEvent,
        Self::ReadCursor,
        Self::PrivateField,
    ];
}

impl Tag {
    /// Kept for ever, as it is.
    #[must_use]
    pub fn keep(name: &str, reason: &'static Reason) -> Self {
        Self::of(name, None, OnExpiry::Keep, reason)
    }

    /// Kept for so many hours; what happens then.
    #[must_use]
    pub fn until(
        name: &str,
        keep_hours: u32,
        on_expiry: OnExpiry,
        reason: &'static Reason,
    ) -> Self {
        Self::of(name, Some(keep_hours), on_expiry, reason)
    }

    fn of(
        name: &str,
        keep_hours: Option<u32>,
        on_expiry: OnExpiry,
        reason: &'static Reason,
    ) -> Self {
        Self {
            name: name.into(),
            keep_hours,
            on_expiry,
            reason: reason.code.into(),
            rule: reason.rule.into(),
        }
    }
}

impl DueRuling {
    /// There is nothing to do; `due_in_hours` says when there will be, if time alone brings it.
    #[must_use]
    pub fn nothing(reason: &'static Reason, due_in_hours: Option<u32>) -> Self {
        Self {
            measure: Measure::Nothing,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            due_in_hours,
        }
    }

    /// This is to be done now.
    #[must_use]
    pub fn now(measure: Measure, reason: &'static Reason) -> Self {
        Self {
            measure,
            reason: reason.code.into(),
            rule: reason.rule.into(),
            due_in_hours: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn the_list_of_kinds_is_the_contract_s() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
