//! The questions that everything measured must answer alike: facts in the engine's types, in the SDK's, and which
//! of them a row of the matrix reads at all.

use std::collections::BTreeSet;

use gotong_engine::role_matrix::{
    Action, AuthorizeFacts, Nomination, Obligation, Ruling, Standing,
};
use gotong_engine::types::{Effect, PrivacyLevel, Relations, TokenRole, Trigger, TrustTier};
use gotong_policy::role_matrix as native;
use gotong_policy::types as native_types;

/// A ruling, in the form in which answers are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    pub allowed: bool,
    pub rule: String,
    pub reason: String,
    pub obligations: Vec<String>,
}

impl From<&Ruling> for Answer {
    fn from(ruling: &Ruling) -> Self {
        Self {
            allowed: ruling.effect == Effect::Allow,
            rule: ruling.rule.clone(),
            reason: ruling.reason.clone(),
            obligations: ruling
                .obligations
                .iter()
                .map(|each| each.as_str().to_owned())
                .collect(),
        }
    }
}

impl From<&native::Ruling> for Answer {
    fn from(ruling: &native::Ruling) -> Self {
        Self {
            allowed: ruling.effect == native_types::Effect::Allow,
            rule: ruling.rule.clone(),
            reason: ruling.reason.clone(),
            obligations: ruling
                .obligations
                .iter()
                .map(|each| obligation(*each).to_owned())
                .collect(),
        }
    }
}

/// The contract's word for an obligation of the SDK.
fn obligation(obligation: native::Obligation) -> &'static str {
    Obligation::ALL[obligation as usize].as_str()
}

/// Relations as bits, in the order of the contract.
pub fn bits(relations: Relations) -> u8 {
    Relations::ALL
        .iter()
        .enumerate()
        .filter(|(_, each)| relations.contains(**each))
        .fold(0, |bits, (place, _)| bits | 1 << place)
}

/// Relations from bits, in the order of the contract.
pub fn relations(bits: u8) -> Relations {
    Relations::ALL
        .iter()
        .enumerate()
        .filter(|(place, _)| bits >> place & 1 == 1)
        .map(|(_, each)| *each)
        .collect()
}

/// The same facts in the SDK's types.
pub fn natively(facts: &AuthorizeFacts) -> native::AuthorizeFacts {
    let here = &facts.standing;
    let held = |relations| native_types::Relations::from_bits_truncate(bits(relations));
    native::AuthorizeFacts {
        action: native::Action::ALL[facts.action as usize],
        standing: native::Standing {
            role: match here.role {
                TokenRole::Anonymous => native_types::TokenRole::Anonymous,
                TokenRole::User => native_types::TokenRole::User,
                TokenRole::Moderator => native_types::TokenRole::Moderator,
                TokenRole::Admin => native_types::TokenRole::Admin,
                TokenRole::System => native_types::TokenRole::System,
                TokenRole::Service => native_types::TokenRole::Service,
            },
            verified: here.verified,
            tier: match here.tier {
                TrustTier::Bayangan => native_types::TrustTier::Bayangan,
                TrustTier::Pemula => native_types::TrustTier::Pemula,
                TrustTier::Kontributor => native_types::TrustTier::Kontributor,
                TrustTier::Pilar => native_types::TrustTier::Pilar,
                TrustTier::Kunci => native_types::TrustTier::Kunci,
            },
            trigger: match here.trigger {
                Trigger::UserAction => native_types::Trigger::UserAction,
                Trigger::Timer => native_types::Trigger::Timer,
                Trigger::Webhook => native_types::Trigger::Webhook,
            },
            relations: held(here.relations),
            privacy: match here.privacy {
                PrivacyLevel::Open => native_types::PrivacyLevel::Open,
                PrivacyLevel::L1 => native_types::PrivacyLevel::L1,
                PrivacyLevel::L2 => native_types::PrivacyLevel::L2,
                PrivacyLevel::L3 => native_types::PrivacyLevel::L3,
                PrivacyLevel::Vault => native_types::PrivacyLevel::Vault,
            },
            has_pic: here.has_pic,
            nomination: match here.nomination {
                Nomination::None => native::Nomination::None,
                Nomination::SomeoneElse => native::Nomination::SomeoneElse,
                Nomination::Actor => native::Nomination::Actor,
            },
            seed_age_ms: here.seed_age_ms,
        },
        snapshot: held(facts.snapshot),
        approvals: held(facts.approvals),
        sought: held(facts.sought),
        subject: held(facts.subject),
        subject_is_actor: facts.subject_is_actor,
    }
}

/// The facts that a row reads beyond role, privacy level, verified and relations: a peer's request holds those and no
/// others, as its author would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    None,
    SeedAge,
    Trigger,
    Snapshot,
    Nomination,
    Approvals,
    /// has-pic, sought, subject, subject-is-actor
    Person,
}

impl Extra {
    pub const fn of(action: Action) -> Self {
        match action {
            Action::EntityEdit => Self::SeedAge,
            Action::TransitionPropose => Self::Trigger,
            Action::TransitionVote => Self::Snapshot,
            Action::PicAccept => Self::Nomination,
            Action::DisbursementApprove => Self::Approvals,
            Action::Appoint | Action::RelationEnd | Action::PicNominate => Self::Person,
            _ => Self::None,
        }
    }
}

/// Every action, as asked by every token role, with relations and the other facts drawn anew for each of
/// `draws` questions: the same ones in every run.
pub fn sample(draws: usize) -> Vec<AuthorizeFacts> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut questions = Vec::new();
    for action in Action::ALL {
        for role in TokenRole::ALL {
            for draw in 0..draws {
                questions.push(question(&mut random, *action, *role, draw));
            }
        }
        // A person in an open matter, with one relation at a time and with none.
        for held in std::iter::once(Relations::empty()).chain(Relations::ALL.iter().copied()) {
            let mut plain = question(&mut random, *action, TokenRole::User, 0);
            plain.standing.relations = held;
            plain.snapshot = held;
            questions.push(plain);
        }
    }
    questions
}

fn question(random: &mut Random, action: Action, role: TokenRole, draw: usize) -> AuthorizeFacts {
    // Every other question is one that gets past visibility, so that rows are compared and not only their gate.
    let plain = draw.is_multiple_of(2);
    let mut some = || {
        // Mostly one or two relations, as people have; sometimes any set.
        let set = match random.below(4) {
            0 => random.below(128),
            1 => 0,
            2 => 1 << random.below(7),
            _ => 1 << random.below(7) | 1 << random.below(7),
        };
        relations(u8::try_from(set).unwrap_or(u8::MAX))
    };
    let (held, snapshot, approvals, subject) = (some(), some(), some(), some());
    let sought = match random.below(4) {
        0 => Relations::BENDAHARA,
        1 => Relations::HUMAS,
        2 => relations(1 << random.below(7)),
        _ => relations(u8::try_from(random.below(128)).unwrap_or(0)),
    };
    AuthorizeFacts {
        action,
        standing: Standing {
            role,
            verified: plain || random.below(2) == 0,
            tier: TrustTier::ALL[random.below(5)],
            trigger: Trigger::ALL[random.below(3)],
            relations: held,
            privacy: if plain {
                PrivacyLevel::Open
            } else {
                PrivacyLevel::ALL[random.below(5)]
            },
            has_pic: random.below(2) == 0,
            nomination: Nomination::ALL[random.below(3)],
            seed_age_ms: [0, 900_000, 900_001, 86_400_000][random.below(4)],
        },
        snapshot,
        approvals,
        sought,
        subject,
        subject_is_actor: random.below(2) == 0,
    }
}

/// How much of the matrix a sample reaches: the pairs of rule and reason among the answers.
pub fn reasons<'a>(answers: impl Iterator<Item = &'a Answer>) -> usize {
    answers
        .map(|answer| (&answer.rule, &answer.reason))
        .collect::<BTreeSet<_>>()
        .len()
}

/// xorshift64: the questions must be the same everywhere, not unpredictable.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_survive_their_bits() {
        for set in 0..128 {
            assert_eq!(bits(relations(set)), set);
        }
    }

    #[test]
    fn the_sample_reaches_nearly_every_reason_and_both_effects() {
        let answers: Vec<Answer> = sample(12)
            .iter()
            .map(|facts| Answer::from(&crate::authorize_natively(natively(facts))))
            .collect();
        assert!(answers.len() > 2_000, "{}", answers.len());
        let allowed = answers.iter().filter(|answer| answer.allowed).count();
        assert!(
            allowed * 5 > answers.len(),
            "{allowed} of {}",
            answers.len()
        );
        assert!(reasons(answers.iter()) > 80, "{}", reasons(answers.iter()));
    }
}
