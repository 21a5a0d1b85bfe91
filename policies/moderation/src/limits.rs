//! The constants: a community that wants others ships another module.

use gotong_policy::types::TrustTier;

/// From here on a clean scan publishes.
pub const SURE_PERMILLE: u32 = 950;
/// Below this a scan is doubtful: the author is told, and a day's hold ends in release.
pub const DOUBTFUL_PERMILLE: u32 = 600;
/// No scan is surer than this.
pub const CERTAIN_PERMILLE: u32 = 1000;
/// A hold in doubt ends after so long if nobody acts.
pub const AUTO_RELEASE_MINUTES: u32 = 15;
/// Nothing waits longer than 24 hours without anybody being told.
pub const TIME_OUT_MINUTES: u32 = 24 * 60;
/// How soon the urgent is reviewed.
pub const URGENT_REVIEW_MINUTES: u32 = 60;
/// From so many reports on a moderator is asked to look.
pub const FLAG_REPORTS: u32 = 3;
/// From so many reports on nobody sees the content until a moderator has looked.
pub const HIDE_REPORTS: u32 = 5;
/// How long a decision may be appealed: 7 days.
pub const APPEAL_WINDOW_HOURS: u32 = 7 * 24;

/// Tiers 0 and 1: the community hardly knows the author yet.
#[must_use]
pub const fn is_newcomer(tier: TrustTier) -> bool {
    matches!(tier, TrustTier::Bayangan | TrustTier::Pemula)
}
