//! What a scan's result means, and what time does to a hold.

use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::moderation::{
    Action, AssessFacts,
    Category::*,
    ExpireFacts, ExpiryRuling,
    MediaScan::{self, Review, Safe, Unavailable, Unsafe},
    Moderation,
    Severity::{self, *},
    Status,
};
use gotong_policy::types::TrustTier::{self, *};

use super::{duties, found, line, word};
use crate::GotongModeration as Policy;

/// A clean text without media by a contributor, as sure as the number says.
#[derive(Clone)]
pub(super) struct Scan(pub(super) AssessFacts);

pub(super) fn scan(confidence_permille: u32) -> Scan {
    Scan(AssessFacts {
        ai_answered: true,
        confidence_permille,
        violations: Vec::new(),
        media: MediaScan::None,
        author_tier: Kontributor,
        reports: 0,
    })
}

impl Scan {
    fn with(&self, change: impl FnOnce(&mut AssessFacts)) -> Self {
        let mut facts = self.0.clone();
        change(&mut facts);
        Self(facts)
    }
    fn found(&self, category: gotong_policy::moderation::Category, severity: Severity) -> Self {
        self.with(|facts| facts.violations.push(found(category, severity)))
    }
    fn media(&self, media: MediaScan) -> Self {
        self.with(|facts| facts.media = media)
    }
    fn by(&self, tier: TrustTier) -> Self {
        self.with(|facts| facts.author_tier = tier)
    }
    fn reported(&self, reports: u32) -> Self {
        self.with(|facts| facts.reports = reports)
    }
    fn unanswered(&self) -> Self {
        self.with(|facts| facts.ai_answered = false)
    }
}

#[rustfmt::skip]
pub(super) fn assessed() -> Vec<(Scan, &'static str)> {
    let sure = scan(1000);
    let silent = scan(0).unanswered();
    let published = "clean clean: publish published shown";
    let unsure = "doubt unsure: hold underreview hidden, release 15, out 15, appeal 168h +review";
    let doubtful = "doubt doubtful: hold underreview hidden, release 15, out 15, appeal 168h +author +review";
    let hidden = "reports hidden_by_reports: hold underreview hidden, out 1440, review 60, appeal 168h +act +author +review";
    let child = "child_safety child_safety_found: block underreview hidden, out 1440, review 60, appeal 168h +act +escalate +review";
    let hate = "grave_finding hate_found: block underreview hidden, out 1440, review 1440, appeal 168h +act +author +review";
    let unsafe_media = "unsafe_media media_unsafe: block underreview hidden, out 1440, review 1440, appeal 168h +act +author +review";
    let spam = "finding spam_found: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review";
    let not_shown = "no_answer ai_unavailable_not_shown: hold underreview hidden, out 1440, review 60, appeal 168h +author +review";
    Vec::from([
        // clean: 950 and more publishes
        (sure.clone(), published),
        (scan(950), published),
        (sure.media(Safe), published),
        (sure.by(Bayangan), published),
        (sure.reported(2), published),
        // 600 to 949: held 15 minutes; below 600 the author is told
        (scan(949), unsure),
        (scan(600), unsure),
        (scan(949).reported(2), unsure),
        (scan(700).media(Review), unsure),
        (scan(700).media(Unavailable), unsure),
        (scan(599), doubtful),
        (scan(0), doubtful),
        (scan(599).by(Bayangan), doubtful),
        // child safety: the admins at once; nothing outweighs it
        (sure.found(ChildSafety, Low), child),
        (scan(0).found(ChildSafety, Low), child),
        (silent.found(ChildSafety, Critical).media(Unsafe).reported(9), child),
        (sure.found(Hate, Critical).found(ChildSafety, Low), child),
        // hate, violence, harassment, illegal: block, whatever the confidence
        (sure.found(Hate, Low), hate),
        (scan(0).found(Hate, High), hate),
        (silent.found(Hate, Medium), hate),
        (sure.found(Spam, Critical).found(Hate, Low), hate),
        (sure.found(Hate, Low).found(Misinformation, Critical), hate),
        (sure.found(Hate, Low).found(Harassment, Low), hate),
        (sure.found(Hate, Low).reported(9), hate),
        (sure.found(Hate, Low).media(Unsafe), hate),
        (sure.found(Hate, Critical), "grave_finding hate_found: block underreview hidden, out 1440, review 60, appeal 168h +act +escalate +author +review"),
        (sure.found(Harassment, Low), "grave_finding harassment_found: block underreview hidden, out 1440, review 1440, appeal 168h +act +author +review"),
        (sure.found(Hate, Low).found(Harassment, High), "grave_finding harassment_found: block underreview hidden, out 1440, review 1440, appeal 168h +act +author +review"),
        (sure.found(Violence, Low).found(Hate, Low), "grave_finding violence_found: block underreview hidden, out 1440, review 1440, appeal 168h +act +author +review"),
        (sure.found(Violence, Low).found(Illegal, Low), "grave_finding illegal_found: block underreview hidden, out 1440, review 1440, appeal 168h +act +author +review"),
        // unsafe media: block
        (sure.media(Unsafe), unsafe_media),
        (scan(0).media(Unsafe), unsafe_media),
        (silent.media(Unsafe), unsafe_media),
        (sure.found(Spam, Critical).media(Unsafe), unsafe_media),
        (sure.media(Unsafe).reported(9), unsafe_media),
        // reports while it is assessed: 3 flag, 5 hide
        (sure.reported(3), "reports flagged_by_reports: publish published shown, review 1440 +review"),
        (sure.reported(4), "reports flagged_by_reports: publish published shown, review 1440 +review"),
        (scan(949).reported(3), "reports flagged_by_reports: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (scan(599).reported(4), "reports flagged_by_reports: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (sure.reported(5), hidden),
        (sure.reported(u32::MAX), hidden),
        (silent.reported(5), hidden),
        (sure.found(Spam, Low).reported(5), hidden),
        // misinformation and spam: held for review
        (sure.found(Spam, Low), spam),
        (scan(0).found(Spam, Medium), spam),
        (silent.found(Spam, Low), spam),
        (sure.found(Spam, Medium).found(Misinformation, Low), spam),
        (sure.found(Spam, Low).reported(4), spam),
        (sure.found(Spam, High), "finding spam_found: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        (sure.found(Spam, Low).found(Other, Critical), "finding spam_found: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        (sure.found(Misinformation, Low).found(Spam, Low), "finding misinformation_found: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (sure.found(Misinformation, Critical), "finding misinformation_found: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        // other: held too, but for a low one that the scan is sure of
        (sure.found(Other, Medium), "finding other_found: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (scan(949).found(Other, Low), "finding other_found: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (scan(1001).found(Other, Low), "finding other_found: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (sure.found(Other, Low).unanswered(), "finding other_found: hold underreview hidden, out 1440, review 1440, appeal 168h +author +review"),
        (sure.found(Other, Critical), "finding other_found: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        (scan(950).found(Other, Low), "finding slight_finding: warn published shown, content, appeal 168h"),
        (sure.found(Other, Low).found(Other, Low), "finding slight_finding: warn published shown, content, appeal 168h"),
        (sure.found(Other, Low).media(Review), "finding slight_finding: warn published shown, media, content, review 1440, appeal 168h +review"),
        (sure.found(Other, Low).reported(3), "finding slight_finding: warn published shown, content, review 1440, appeal 168h +review"),
        // no answer: a person looks; newcomers are not shown
        (silent.clone(), "no_answer ai_unavailable: hold underreview shown, unreviewed, out 1440, review 1440, appeal 168h +review"),
        (silent.by(Kunci), "no_answer ai_unavailable: hold underreview shown, unreviewed, out 1440, review 1440, appeal 168h +review"),
        (sure.unanswered(), "no_answer ai_unavailable: hold underreview shown, unreviewed, out 1440, review 1440, appeal 168h +review"),
        (silent.media(Review), "no_answer ai_unavailable: hold underreview shown, media, unreviewed, out 1440, review 1440, appeal 168h +review"),
        (silent.media(Unavailable), "no_answer ai_unavailable: hold underreview shown, unreviewed, out 1440, review 1440, appeal 168h +review"),
        (silent.reported(2), "no_answer ai_unavailable: hold underreview shown, unreviewed, out 1440, review 1440, appeal 168h +review"),
        (silent.reported(3), not_shown),
        (silent.by(Bayangan), not_shown),
        (silent.by(Pemula), not_shown),
        (scan(1001), "no_answer confidence_out_of_bounds: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        (scan(u32::MAX), "no_answer confidence_out_of_bounds: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        // media: to be reviewed, or not scanned
        (sure.media(Review), "sensitive_media media_under_review: warn published shown, media, review 1440, appeal 168h +review"),
        (sure.media(Review).reported(3), "sensitive_media media_under_review: warn published shown, media, review 1440, appeal 168h +review"),
        (sure.media(Unavailable), "unscanned_media media_unscanned: warn published shown, unreviewed, review 1440, appeal 168h +review"),
        (sure.media(Unavailable).by(Pemula), "unscanned_media media_unscanned_not_shown: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
        (scan(700).media(Unavailable).by(Bayangan), "unscanned_media media_unscanned_not_shown: hold underreview hidden, out 1440, review 60, appeal 168h +author +review"),
    ])
}

#[test]
fn a_scan_means_what_the_domain_says() {
    for (scan, expected) in assessed() {
        let facts = scan.0;
        assert_eq!(line(&Policy::assess(facts.clone())), expected, "{facts:?}");
    }
}

/// A hold in doubt, that ends after 15 minutes by itself.
pub(super) fn doubt(confidence_permille: u32, minutes_held: u32) -> ExpireFacts {
    ExpireFacts {
        action: Action::HoldForReview,
        status: Status::UnderReview,
        ai_answered: true,
        confidence_permille,
        media: MediaScan::None,
        auto_release: true,
        by_moderator: false,
        minutes_held,
        superseded: false,
        escalated: false,
        reports: 0,
    }
}

/// "EXPIRY RULE REASON[: what it is left at][, in MINUTES] [OBLIGATIONS]".
fn expiry_line(ruling: &ExpiryRuling) -> String {
    let expiry = word(ruling.expiry);
    let rest = match &ruling.assessment {
        Some(left) => {
            assert_eq!(
                (&left.rule, &left.reason, &left.obligations),
                (&ruling.rule, &ruling.reason, &ruling.obligations)
            );
            line(left)
        }
        None => format!(
            "{} {}{}",
            ruling.rule,
            ruling.reason,
            duties(&ruling.obligations)
        ),
    };
    match ruling.due_in_minutes {
        Some(minutes) => format!("{expiry} {rest} in {minutes}"),
        None => format!("{expiry} {rest}"),
    }
}

#[rustfmt::skip]
pub(super) fn expired() -> Vec<(ExpireFacts, &'static str)> {
    let spam = |confidence, minutes| ExpireFacts { auto_release: false, ..doubt(confidence, minutes) };
    let block = |confidence, minutes| ExpireFacts { action: Action::Block, ..spam(confidence, minutes) };
    let released = "release auto_release nobody_acted: publish published shown +author";
    let after_a_day = "release time_out released_after_a_day: publish published shown +author";
    let hold = "escalate time_out hold_escalated +act +escalate +review";
    let blocked = "escalate time_out block_escalated +act +escalate +review";
    let stale = "nothing stale superseded";
    let not_held = "nothing stale not_held";
    Vec::from([
        // 15 minutes
        (doubt(700, 0), "nothing auto_release release_not_due in 15"),
        (doubt(700, 14), "nothing auto_release release_not_due in 1"),
        (doubt(700, 15), released),
        (doubt(0, 15), released),
        (doubt(949, 9999), released),
        (doubt(700, u32::MAX), released),
        (ExpireFacts { reports: 2, ..doubt(700, 15) }, released),
        (ExpireFacts { escalated: true, ..doubt(700, 15) }, released),
        (ExpireFacts { media: Safe, ..doubt(700, 15) }, released),
        (ExpireFacts { media: Review, ..doubt(700, 15) }, "release auto_release nobody_acted: warn published shown, media, review 1440, appeal 168h +author +review"),
        (ExpireFacts { media: Unavailable, ..doubt(700, 15) }, "release auto_release nobody_acted: warn published shown, unreviewed, review 1440, appeal 168h +author +review"),
        // flagged meanwhile: a moderator decides, not the clock
        (ExpireFacts { reports: 3, ..doubt(700, 15) }, "nothing auto_release flagged_meanwhile in 1425"),
        (ExpireFacts { reports: 3, ..doubt(700, 1439) }, "nothing auto_release flagged_meanwhile in 1"),
        (ExpireFacts { reports: 3, ..doubt(0, 1440) }, hold),
        // 24 hours: a doubtful hold is released, any other goes to the admins
        (spam(599, 0), "nothing time_out time_out_not_due in 1440"),
        (spam(599, 1439), "nothing time_out time_out_not_due in 1"),
        (spam(599, 1440), after_a_day),
        (spam(0, u32::MAX), after_a_day),
        (ExpireFacts { media: Review, ..spam(599, 1440) }, "release time_out released_after_a_day: warn published shown, media, review 1440, appeal 168h +author +review"),
        (spam(600, 1439), "nothing time_out time_out_not_due in 1"),
        (spam(600, 1440), hold),
        (spam(1000, 1440), hold),
        (ExpireFacts { escalated: true, ..spam(600, 1440) }, "nothing time_out escalated_before"),
        (ExpireFacts { reports: 2, ..spam(599, 1440) }, after_a_day),
        (ExpireFacts { reports: 3, ..spam(599, 1440) }, hold),
        (ExpireFacts { ai_answered: false, ..spam(0, 1440) }, hold),
        (ExpireFacts { ai_answered: false, ..doubt(0, 15) }, "nothing time_out time_out_not_due in 1425"),
        (ExpireFacts { by_moderator: true, ..spam(0, 1440) }, hold),
        (ExpireFacts { by_moderator: true, ..doubt(700, 15) }, "nothing time_out time_out_not_due in 1425"),
        (ExpireFacts { media: Unsafe, ..spam(0, 1440) }, hold),
        (ExpireFacts { media: Unsafe, ..doubt(700, 15) }, "nothing time_out time_out_not_due in 1425"),
        (ExpireFacts { media: Unavailable, ..spam(0, 1440) }, hold),
        (doubt(1001, 1440), hold),
        // a block is never released
        (block(0, 15), "nothing time_out time_out_not_due in 1425"),
        (block(0, 1439), "nothing time_out time_out_not_due in 1"),
        (block(0, 1440), blocked),
        (block(1000, u32::MAX), blocked),
        (ExpireFacts { auto_release: true, ..block(0, 1440) }, blocked),
        (ExpireFacts { escalated: true, ..block(0, 1440) }, "nothing time_out escalated_before"),
        // stale
        (ExpireFacts { superseded: true, ..doubt(700, 15) }, stale),
        (ExpireFacts { superseded: true, ..block(0, 1440) }, stale),
        (ExpireFacts { status: Status::Published, action: Action::PublishNow, ..doubt(700, 15) }, not_held),
        (ExpireFacts { status: Status::Published, ..doubt(700, 15) }, not_held),
        (ExpireFacts { status: Status::Rejected, ..block(700, 1440) }, not_held),
        (ExpireFacts { status: Status::Processing, ..doubt(700, 1440) }, not_held),
        (ExpireFacts { action: Action::PublishNow, ..doubt(700, 15) }, not_held),
    ])
}

#[test]
fn time_does_what_the_domain_says() {
    for (facts, expected) in expired() {
        assert_eq!(expiry_line(&Policy::expire(facts)), expected, "{facts:?}");
    }
}

#[test]
fn a_sweep_is_answered_in_its_order() {
    let items: Vec<ExpireFacts> = expired().into_iter().map(|(facts, _)| facts).collect();
    let many = Policy::expire_many(gotong_policy::moderation::ExpireManyFacts {
        items: items.clone(),
    });
    let each: Vec<ExpiryRuling> = items.into_iter().map(Policy::expire).collect();
    assert_eq!(many, each);
}

#[test]
fn the_next_look_is_when_something_happens() {
    for (facts, _) in expired() {
        let Some(minutes) = Policy::expire(facts).due_in_minutes else {
            continue;
        };
        let then = ExpireFacts {
            minutes_held: facts.minutes_held + minutes,
            ..facts
        };
        let ruling = Policy::expire(then);
        assert_eq!(ruling.due_in_minutes, None, "{ruling:?}");
        assert_ne!(word(ruling.expiry), "nothing");
    }
}
