//! How much of a community must have voted, and how much one ballot weighs.
//!
//! Integers only; every result saturates instead of overflowing.

use gotong_policy::gate::GateType;

/// Half of yes and no.
pub const STANDARD_THRESHOLD_PERMILLE: u32 = 500;
/// 60 % of yes and no.
pub const WEIGHTED_THRESHOLD_PERMILLE: u32 = 600;

const STANDARD_PERCENT: u64 = 30;
const STANDARD_MOST: u32 = 50;
const WEIGHTED_PERCENT: u64 = 40;

/// The largest influence whose cube fits an u64: 2,642 full votes. More influence weighs the same.
const MOST_INFLUENCE_PERMILLE: u32 = 2_642_245;

/// Those who could vote, counted as the mechanism counts.
#[derive(Debug, Clone, Copy)]
pub struct Electorate {
    /// People.
    pub eligible: u32,
    /// Their weight, in permille of one full vote.
    pub weight_permille: u32,
}

/// The quorum of a mechanism: people, or weight in permille.
#[must_use]
pub fn quorum(gate_type: GateType, electorate: Electorate) -> u32 {
    match gate_type {
        GateType::Vote => share(electorate.eligible, STANDARD_PERCENT).clamp(1, STANDARD_MOST),
        GateType::WeightedVote => share(electorate.weight_permille, WEIGHTED_PERCENT).max(1),
        GateType::Consent | GateType::Emergency => 0,
    }
}

/// One and a half times the quorum, rounded up, and not more than there are.
#[must_use]
pub fn raised_quorum(gate_type: GateType, electorate: Electorate) -> u32 {
    let base = quorum(gate_type, electorate);
    let raised = u32::try_from((u64::from(base) * 3).div_ceil(2)).unwrap_or(u32::MAX);
    let all = match gate_type {
        GateType::WeightedVote => electorate.weight_permille,
        GateType::Vote | GateType::Consent | GateType::Emergency => electorate.eligible,
    };
    raised.min(all).max(base.min(1))
}

/// What the yes share must be above.
#[must_use]
pub const fn threshold_permille(gate_type: GateType) -> u32 {
    match gate_type {
        GateType::WeightedVote => WEIGHTED_THRESHOLD_PERMILLE,
        GateType::Vote => STANDARD_THRESHOLD_PERMILLE,
        GateType::Consent | GateType::Emergency => 0,
    }
}

/// I^1.5 in permille, rounded down: an influence of 4 full votes weighs 8.
#[must_use]
pub fn weight(influence_permille: u32) -> u32 {
    let influence = u64::from(influence_permille.min(MOST_INFLUENCE_PERMILLE));
    u32::try_from((influence * influence * influence / 1000).isqrt()).unwrap_or(u32::MAX)
}

/// A percentage of `whole`, rounded up; never more than `whole`.
fn share(whole: u32, percent: u64) -> u32 {
    u32::try_from((u64::from(whole) * percent).div_ceil(100)).unwrap_or(whole)
}
