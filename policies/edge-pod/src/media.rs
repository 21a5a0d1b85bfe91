//! What a scan of media leads to. Whatever is not plainly shown, a moderator looks at.

use gotong_policy::Reason;
use gotong_policy::edge_pod::{Display, MediaFacts, MediaRuling, Obligation, Safety, Severity};

use crate::rules::{media_doubtful, media_safe, media_unsafe};

/// A doubt below this is slight.
pub const DOUBT_FROM_PERMILLE: u32 = 500;
/// A critical finding from here on keeps media from being shown.
pub const WITHHOLD_FROM_PERMILLE: u32 = 900;

/// How media are shown.
#[must_use]
pub fn media(facts: &MediaFacts) -> MediaRuling {
    let score = facts.score_permille;
    let grave = matches!(facts.worst, Some(Severity::High | Severity::Critical));
    match facts.overall {
        // A scan that contradicts itself is a doubt.
        Safety::Safe if grave || score >= WITHHOLD_FROM_PERMILLE && facts.worst.is_some() => {
            blur(media_doubtful::safe_but_found)
        }
        Safety::Safe => MediaRuling::of(Display::Show, media_safe::safe, &[]),
        Safety::Review if !grave && score < DOUBT_FROM_PERMILLE => MediaRuling::of(
            Display::Show,
            media_doubtful::slight_doubt,
            &[Obligation::QueueModeration],
        ),
        Safety::Review => blur(media_doubtful::doubtful),
        Safety::Unsafe
            if facts.worst == Some(Severity::Critical) && score >= WITHHOLD_FROM_PERMILLE =>
        {
            MediaRuling::of(
                Display::Withhold,
                media_unsafe::critical_media,
                &[Obligation::QueueModeration],
            )
        }
        Safety::Unsafe => blur(media_unsafe::unsafe_media),
    }
}

fn blur(reason: &'static Reason) -> MediaRuling {
    let obligations = [Obligation::BlurMedia, Obligation::QueueModeration];
    MediaRuling::of(Display::Blur, reason, &obligations)
}
