//! The measured cases, shared by the criterion benches and the `gotong-benches` program: one question to each
//! family, as the host asks it of the module and as Rust asks it of the same rules natively.

use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::{Engine, Policies, gate, role_matrix, types};
use gotong_policy::gate::{self as native_gate, Gate};
use gotong_policy::role_matrix::{self as native_matrix, RoleMatrix};
use gotong_policy::types as native_types;

pub mod comparison;
pub mod conditions;
pub mod evaluation;
pub mod growth;
pub mod host;
pub mod inputs;
pub mod load;
pub mod memory;
#[cfg(feature = "peers")]
pub mod peers;
pub mod percentiles;
pub mod plots;
pub mod report;
pub mod rounds;
pub mod threads;
pub mod tiers;
pub mod votes;

/// Anything that keeps a measurement from being made.
pub type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// The project's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pinned policies, loaded as the host loads them, without a cache.
pub fn policies() -> Result<Policies, BenchError> {
    let dir = Dir::open_ambient_dir(root().join("policies"), ambient_authority())?;
    Ok(Policies::load(&Engine::new()?, &dir, None)?)
}

/// A participant votes: the question of the hottest path.
pub fn may_vote() -> role_matrix::AuthorizeFacts {
    role_matrix::AuthorizeFacts {
        action: role_matrix::Action::TransitionVote,
        standing: role_matrix::Standing {
            role: types::TokenRole::User,
            verified: true,
            tier: types::TrustTier::Pemula,
            trigger: types::Trigger::UserAction,
            relations: types::Relations::PARTICIPANT,
            privacy: types::PrivacyLevel::Open,
            has_pic: true,
            nomination: role_matrix::Nomination::None,
            seed_age_ms: 86_400_000,
        },
        snapshot: types::Relations::PARTICIPANT,
        approvals: types::Relations::empty(),
        sought: types::Relations::empty(),
        subject: types::Relations::empty(),
        subject_is_actor: false,
    }
}

/// `may_vote`, in the SDK's types.
pub fn may_vote_natively() -> native_matrix::AuthorizeFacts {
    native_matrix::AuthorizeFacts {
        action: native_matrix::Action::TransitionVote,
        standing: native_matrix::Standing {
            role: native_types::TokenRole::User,
            verified: true,
            tier: native_types::TrustTier::Pemula,
            trigger: native_types::Trigger::UserAction,
            relations: native_types::Relations::PARTICIPANT,
            privacy: native_types::PrivacyLevel::Open,
            has_pic: true,
            nomination: native_matrix::Nomination::None,
            seed_age_ms: 86_400_000,
        },
        snapshot: native_types::Relations::PARTICIPANT,
        approvals: native_types::Relations::empty(),
        sought: native_types::Relations::empty(),
        subject: native_types::Relations::empty(),
        subject_is_actor: false,
    }
}

/// The same rules without a module around them.
pub fn authorize_natively(facts: native_matrix::AuthorizeFacts) -> native_matrix::Ruling {
    gotong_role_matrix::GotongRoleMatrix::authorize(facts)
}

/// A step to a vote: rancang to garap.
pub fn plan_a_vote() -> gate::PlanFacts {
    gate::PlanFacts {
        track: types::Track::Tuntaskan,
        from_stage: types::Stage::Rancang,
        to_track: types::Track::Tuntaskan,
        to_stage: types::Stage::Garap,
        members: 12,
        eligible: 9,
        eligible_weight_permille: 9_000,
        has_pic: true,
        evidence: 0,
        challenge_window_hours: None,
        emergency: false,
        weighted: false,
    }
}

/// `plan_a_vote`, in the SDK's types.
pub fn plan_a_vote_natively() -> native_gate::PlanFacts {
    native_gate::PlanFacts {
        track: native_types::Track::Tuntaskan,
        from_stage: native_types::Stage::Rancang,
        to_track: native_types::Track::Tuntaskan,
        to_stage: native_types::Stage::Garap,
        members: 12,
        eligible: 9,
        eligible_weight_permille: 9_000,
        has_pic: true,
        evidence: 0,
        challenge_window_hours: None,
        emergency: false,
        weighted: false,
    }
}

/// The same rules without a module around them.
pub fn plan_natively(facts: native_gate::PlanFacts) -> native_gate::TermsRuling {
    gotong_gate::GotongGate::plan(facts)
}
