//! What holds for every input.

use gotong_policy::moderation::{
    Action, AssessFacts, Assessment, Category, ExpireFacts, Expiry, MediaScan, Moderation,
    Obligation, Severity, Status, Verdict, ViewFacts, Viewer, Violation, Warnings,
};
use gotong_policy::types::{Effect, TokenRole, TrustTier};
use proptest::prelude::*;
use proptest::sample::select;

use super::{line, people, scans::doubt};
use crate::GotongModeration as Policy;
use crate::findings::{Gravity, gravity};
use crate::limits::{FLAG_REPORTS, TIME_OUT_MINUTES};

const CATEGORIES: [Category; 8] = [
    Category::Hate,
    Category::Violence,
    Category::Harassment,
    Category::Illegal,
    Category::ChildSafety,
    Category::Misinformation,
    Category::Spam,
    Category::Other,
];
const SEVERITIES: [Severity; 4] = [
    Severity::Low,
    Severity::Medium,
    Severity::High,
    Severity::Critical,
];
const SCANS: [MediaScan; 5] = [
    MediaScan::None,
    MediaScan::Safe,
    MediaScan::Review,
    MediaScan::Unsafe,
    MediaScan::Unavailable,
];
const TIERS: [TrustTier; 5] = [
    TrustTier::Bayangan,
    TrustTier::Pemula,
    TrustTier::Kontributor,
    TrustTier::Pilar,
    TrustTier::Kunci,
];
const STATUSES: [Status; 4] = [
    Status::Processing,
    Status::UnderReview,
    Status::Published,
    Status::Rejected,
];
const ACTIONS: [Action; 4] = [
    Action::PublishNow,
    Action::PublishWithWarning,
    Action::HoldForReview,
    Action::Block,
];
const VERDICTS: [Verdict; 4] = [
    Verdict::Publish,
    Verdict::PublishWithWarning,
    Verdict::Hold,
    Verdict::Reject,
];
const ROLES: [TokenRole; 6] = [
    TokenRole::Anonymous,
    TokenRole::User,
    TokenRole::Moderator,
    TokenRole::Admin,
    TokenRole::System,
    TokenRole::Service,
];

fn violation() -> impl Strategy<Value = Violation> {
    (select(&CATEGORIES[..]), select(&SEVERITIES[..]))
        .prop_map(|(category, severity)| Violation { category, severity })
}

/// Around the edges of the rules as often as anywhere.
fn confidence() -> impl Strategy<Value = u32> {
    prop_oneof![
        select(&[0, 599, 600, 949, 950, 1000, 1001][..]),
        0_u32..=1000,
        any::<u32>()
    ]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..7, 1 => any::<u32>()]
}

fn minutes() -> impl Strategy<Value = u32> {
    prop_oneof![
        select(&[0, 14, 15, 1439, 1440][..]),
        0_u32..3000,
        any::<u32>()
    ]
}

fn assess_facts() -> impl Strategy<Value = AssessFacts> {
    (
        any::<bool>(),
        confidence(),
        prop::collection::vec(violation(), 0..4),
        select(&SCANS[..]),
        select(&TIERS[..]),
        count(),
    )
        .prop_map(
            |(ai_answered, confidence_permille, violations, media, author_tier, reports)| {
                AssessFacts {
                    ai_answered,
                    confidence_permille,
                    violations,
                    media,
                    author_tier,
                    reports,
                }
            },
        )
}

fn expire_facts() -> impl Strategy<Value = ExpireFacts> {
    (
        // Of holds and blocks under review more often: they are what time is about.
        prop_oneof![select(&ACTIONS[2..]), select(&ACTIONS[..])],
        prop_oneof![Just(Status::UnderReview), select(&STATUSES[..])],
        confidence(),
        select(&SCANS[..]),
        (
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
        ),
        minutes(),
        count(),
    )
        .prop_map(
            |(action, status, confidence_permille, media, flags, minutes_held, reports)| {
                ExpireFacts {
                    action,
                    status,
                    ai_answered: flags.0,
                    confidence_permille,
                    media,
                    auto_release: flags.1,
                    by_moderator: flags.2,
                    minutes_held,
                    superseded: flags.3,
                    escalated: flags.4,
                    reports,
                }
            },
        )
}

/// How far content is kept from its readers: the higher the stricter.
fn strictness(it: &Assessment) -> u8 {
    match (it.action, it.shown, it.auto_release_minutes) {
        (Action::PublishNow, ..) => 0,
        (Action::PublishWithWarning, ..) => 1,
        (Action::HoldForReview, true, _) => 2,
        (Action::HoldForReview, false, Some(_)) => 3,
        (Action::HoldForReview, false, None) => 4,
        (Action::Block, ..) => 5,
    }
}

fn is_grave(facts: &AssessFacts) -> bool {
    facts
        .violations
        .iter()
        .any(|found| gravity(found.category) >= Gravity::Blocked)
}

/// The facts a time-out of this assessment has.
fn after(facts: &AssessFacts, it: &Assessment, minutes_held: u32) -> ExpireFacts {
    ExpireFacts {
        action: it.action,
        status: it.status,
        ai_answered: facts.ai_answered,
        media: facts.media,
        auto_release: it.auto_release_minutes.is_some(),
        reports: facts.reports,
        ..doubt(facts.confidence_permille, minutes_held)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_assessment_is_consistent(facts in assess_facts()) {
        line(&Policy::assess(facts));
    }

    #[test]
    fn the_grave_is_blocked_and_never_released_by_time(facts in assess_facts(), minutes in minutes()) {
        let assessed = Policy::assess(facts.clone());
        if is_grave(&facts) {
            prop_assert_eq!(assessed.action, Action::Block);
            prop_assert!(assessed.obligations.contains(&Obligation::ModeratorMustAct));
        }
        if assessed.action == Action::Block {
            prop_assert!(!assessed.shown);
            let ruling = Policy::expire(after(&facts, &assessed, minutes));
            prop_assert_ne!(ruling.expiry, Expiry::Release);
        }
    }

    #[test]
    fn nothing_is_forgotten(facts in assess_facts()) {
        let assessed = Policy::assess(facts.clone());
        if let Some(minutes) = assessed.time_out_minutes {
            let ruling = Policy::expire(after(&facts, &assessed, minutes));
            prop_assert_ne!(ruling.expiry, Expiry::Nothing);
        }
        if let Some(minutes) = assessed.auto_release_minutes {
            let ruling = Policy::expire(after(&facts, &assessed, minutes));
            prop_assert_eq!(ruling.expiry, Expiry::Release);
            let early = Policy::expire(after(&facts, &assessed, minutes - 1));
            prop_assert_eq!(early.due_in_minutes, Some(1));
        }
    }

    #[test]
    fn a_block_is_never_shown(action in select(&ACTIONS[..]), status in select(&STATUSES[..]), shown: bool) {
        let ruling = Policy::view(ViewFacts { viewer: Viewer::Public, action, status, shown });
        if action == Action::Block || status == Status::Rejected || !shown {
            prop_assert!(!ruling.visible);
        }
    }

    #[test]
    fn more_reports_never_show_more(facts in assess_facts(), more in count()) {
        let before = Policy::assess(facts.clone());
        let reports = facts.reports.saturating_add(more);
        let then = Policy::assess(AssessFacts { reports, ..facts });
        prop_assert!(strictness(&before) <= strictness(&then));
        prop_assert!(before.shown || !then.shown);
    }

    #[test]
    fn more_reports_never_release(facts in expire_facts(), more in count()) {
        let before = Policy::expire(facts);
        let reports = facts.reports.saturating_add(more);
        let then = Policy::expire(ExpireFacts { reports, ..facts });
        prop_assert!(then.expiry != Expiry::Release || before.expiry == Expiry::Release);
    }

    #[test]
    fn a_worse_severity_is_never_milder(
        facts in assess_facts(), first in violation(), which: prop::sample::Index, to in select(&SEVERITIES[..])
    ) {
        let mut facts = facts;
        facts.violations.push(first);
        let mut worse = facts.clone();
        let found = which.get_mut(&mut worse.violations);
        found.severity = found.severity.max(to);
        let (before, then) = (Policy::assess(facts), Policy::assess(worse));
        prop_assert!(strictness(&before) <= strictness(&then));
        let due = |it: &Assessment| it.review_due_minutes.unwrap_or(u32::MAX);
        prop_assert!(due(&then) <= due(&before));
        let escalates = |it: &Assessment| it.obligations.contains(&Obligation::Escalate);
        prop_assert!(!escalates(&before) || escalates(&then));
    }

    #[test]
    fn a_further_finding_is_never_milder(facts in assess_facts(), further in violation()) {
        let mut worse = facts.clone();
        worse.violations.push(further);
        prop_assert!(strictness(&Policy::assess(facts)) <= strictness(&Policy::assess(worse)));
    }

    #[test]
    fn the_order_of_findings_does_not_matter(facts in assess_facts()) {
        let mut turned = facts.clone();
        turned.violations.reverse();
        prop_assert_eq!(Policy::assess(facts), Policy::assess(turned));
    }

    #[test]
    fn a_surer_clean_scan_never_shows_less(facts in assess_facts(), to in 0_u32..=1000) {
        let clean = AssessFacts { violations: [].into(), ..facts };
        let from = clean.confidence_permille.min(to);
        let before = Policy::assess(AssessFacts { confidence_permille: from, ..clean.clone() });
        let then = Policy::assess(AssessFacts { confidence_permille: to, ..clean });
        prop_assert!(strictness(&then) <= strictness(&before));
    }

    #[test]
    fn a_newcomer_is_never_shown_more(facts in assess_facts()) {
        let newcomer = AssessFacts { author_tier: TrustTier::Bayangan, ..facts.clone() };
        prop_assert!(strictness(&Policy::assess(facts)) <= strictness(&Policy::assess(newcomer)));
    }

    #[test]
    fn time_releases_only_a_hold_of_a_scan_that_nothing_speaks_against(facts in expire_facts()) {
        let ruling = Policy::expire(facts);
        prop_assert_eq!(ruling.assessment.is_some(), ruling.expiry == Expiry::Release);
        if ruling.expiry == Expiry::Release {
            prop_assert_eq!((facts.action, facts.status), (Action::HoldForReview, Status::UnderReview));
            prop_assert!(facts.ai_answered && !facts.by_moderator && !facts.superseded);
            prop_assert!(facts.reports < FLAG_REPORTS && facts.media != MediaScan::Unsafe);
            prop_assert!(facts.minutes_held >= 15);
        }
        if ruling.expiry == Expiry::Escalate {
            prop_assert!(facts.minutes_held >= TIME_OUT_MINUTES && !facts.escalated);
        }
        if facts.superseded || facts.status != Status::UnderReview {
            prop_assert_eq!((ruling.expiry, ruling.due_in_minutes), (Expiry::Nothing, None));
            prop_assert!(ruling.obligations.is_empty());
        }
    }

    #[test]
    fn nobody_decides_on_what_they_wrote_or_on_an_appeal_against_themselves(
        verdict in select(&VERDICTS[..]), role in select(&ROLES[..]), status in select(&STATUSES[..]),
        violations in prop::collection::vec(violation(), 0..4), is_author: bool, appealed: bool, decided_before: bool,
    ) {
        let facts = gotong_policy::moderation::ActFacts {
            verdict, role, status, violations: violations.clone(), warnings: Warnings::all(),
            is_author, appealed, decided_before,
        };
        let ruling = Policy::act(facts);
        if let Some(left) = &ruling.assessment {
            prop_assert!(matches!(role, TokenRole::Moderator | TokenRole::Admin));
            prop_assert!(!(is_author || appealed && decided_before));
            let child = violations.iter().any(|found| found.category == Category::ChildSafety);
            prop_assert!(!left.shown || !child || role == TokenRole::Admin);
            prop_assert!(!appealed || left.appeal_window_hours == 0);
            prop_assert!(!left.warnings.contains(Warnings::UNREVIEWED));
            line(left);
        }
    }

    #[test]
    fn reports_of_one_s_own_and_second_ones_do_nothing(
        reports in count(), shown: bool, reporter_verified: bool, repeated: bool, is_author: bool,
    ) {
        let ruling = Policy::report(gotong_policy::moderation::ReportFacts {
            shown, reporter_verified, repeated, is_author, ..people::reports(reports)
        });
        let counts = shown && reporter_verified && !repeated && !is_author;
        prop_assert_eq!(ruling.effect == Effect::Allow, counts);
        prop_assert!(ruling.assessment.is_none_or(|left| !left.shown));
    }
}

#[test]
fn every_decision_that_can_be_appealed_says_until_when() {
    for (facts, _) in people::acted() {
        let Some(left) = Policy::act(facts).assessment else {
            continue;
        };
        let appeal = gotong_policy::moderation::AppealFacts {
            action: left.action,
            status: left.status,
            answers_appeal: left.rule == "appeal_answer",
            ..people::appeals(0)
        };
        let open = Policy::appeal(appeal).effect == Effect::Allow;
        assert_eq!(open, left.appeal_window_hours > 0, "{left:?}");
    }
}
