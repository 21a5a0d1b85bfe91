//! The rules of `gotong-role-matrix` behind Extism's own ABI: bytes in, bytes out.
//!
//! It speaks to Extism's kernel directly, without `extism-pdk`: no JSON, no allocation, so that nothing is measured
//! but the rules and the way in and out. Outside WebAssembly it is empty.
//!
//! The input is 24 bytes: action, role, verified, tier, trigger, relations, privacy, has-pic; nomination, snapshot,
//! approvals, sought, subject, subject-is-actor, two zeros; the seed's age in milliseconds as little-endian `u64`.
//! The output: effect, obligation plus one (0: none), the length of the rule, the length of the reason; the rule;
//! the reason; zeros up to a multiple of eight.
#![cfg(target_arch = "wasm32")]
#![no_std]

use gotong_policy::role_matrix::{Action, AuthorizeFacts, Nomination, Standing};
use gotong_policy::types::{PrivacyLevel, Relations, TokenRole, Trigger, TrustTier};
use gotong_role_matrix::matrix;

#[link(wasm_import_module = "extism:host/env")]
#[allow(unsafe_code)]
unsafe extern "C" {
    safe fn input_load_u64(offset: u64) -> u64;
    safe fn alloc(length: u64) -> u64;
    safe fn store_u64(offset: u64, value: u64);
    safe fn output_set(offset: u64, length: u64);
}

/// The longest answer, in words of eight bytes: two words of a rule and a reason fit well.
const WORDS: usize = 10;

const ROLES: [TokenRole; 6] = [
    TokenRole::Anonymous,
    TokenRole::User,
    TokenRole::Moderator,
    TokenRole::Admin,
    TokenRole::System,
    TokenRole::Service,
];
const TIERS: [TrustTier; 5] = [
    TrustTier::Bayangan,
    TrustTier::Pemula,
    TrustTier::Kontributor,
    TrustTier::Pilar,
    TrustTier::Kunci,
];
const TRIGGERS: [Trigger; 3] = [Trigger::UserAction, Trigger::Timer, Trigger::Webhook];
const LEVELS: [PrivacyLevel; 5] = [
    PrivacyLevel::Open,
    PrivacyLevel::L1,
    PrivacyLevel::L2,
    PrivacyLevel::L3,
    PrivacyLevel::Vault,
];
const NOMINATIONS: [Nomination; 3] = [Nomination::None, Nomination::SomeoneElse, Nomination::Actor];

/// Extism's entry: 0 is success.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
pub extern "C" fn authorize() -> i32 {
    match answer() {
        Some(()) => 0,
        None => 1,
    }
}

fn answer() -> Option<()> {
    let first = input_load_u64(0).to_le_bytes();
    let second = input_load_u64(8).to_le_bytes();
    let word = |byte: u8| usize::from(byte);
    let facts = AuthorizeFacts {
        action: *Action::ALL.get(word(first[0]))?,
        standing: Standing {
            role: *ROLES.get(word(first[1]))?,
            verified: first[2] != 0,
            tier: *TIERS.get(word(first[3]))?,
            trigger: *TRIGGERS.get(word(first[4]))?,
            relations: Relations::from_bits(first[5])?,
            privacy: *LEVELS.get(word(first[6]))?,
            has_pic: first[7] != 0,
            nomination: *NOMINATIONS.get(word(second[0]))?,
            seed_age_ms: input_load_u64(16),
        },
        snapshot: Relations::from_bits(second[1])?,
        approvals: Relations::from_bits(second[2])?,
        sought: Relations::from_bits(second[3])?,
        subject: Relations::from_bits(second[4])?,
        subject_is_actor: second[5] != 0,
    };
    let (effect, reason, obligation) = match matrix::decide(&facts) {
        Ok(grant) => (
            0,
            grant.reason,
            grant.obligation.map_or(0, |each| each as u8 + 1),
        ),
        Err(reason) => (1, reason, 0),
    };
    let (rule, reason) = (reason.rule.as_bytes(), reason.code.as_bytes());
    let mut bytes = [0_u8; WORDS * 8];
    bytes[0] = effect;
    bytes[1] = obligation;
    bytes[2] = u8::try_from(rule.len()).ok()?;
    bytes[3] = u8::try_from(reason.len()).ok()?;
    bytes.get_mut(4..4 + rule.len())?.copy_from_slice(rule);
    let end = 4 + rule.len() + reason.len();
    bytes.get_mut(4 + rule.len()..end)?.copy_from_slice(reason);
    let words = end.div_ceil(8);
    let length = u64::try_from(words).ok()? * 8;
    let output = alloc(length);
    let mut offset = output;
    for word in bytes.as_chunks::<8>().0.iter().take(words) {
        store_u64(offset, u64::from_le_bytes(*word));
        offset += 8;
    }
    output_set(output, length);
    Some(())
}
