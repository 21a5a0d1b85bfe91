//! Every rule case by case, and what must hold whatever a model says.

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::edge_pod::{
    Course, CreditFacts, CreditRuling, Display, DuplicateFacts, DuplicateRuling, DuplicatesFacts,
    EdgePod, Endpoint, Failure, FallbackFacts, FallbackRuling, GamingFacts, GamingRuling, Measure,
    MediaFacts, MediaManyFacts, MediaRuling, Notice, Obligation, OverridePolicy, Recommendation,
    Route, Safety, Severity, SiagaFacts, SiagaRuling, Suggestion, Urgency,
};
use gotong_policy::types::TrustTier;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{GotongEdgePod as Policy, rules};

const ENDPOINTS: [Endpoint; 5] = [
    Endpoint::DuplicateDetection,
    Endpoint::GamingRisk,
    Endpoint::SensitiveMedia,
    Endpoint::CreditRecommendation,
    Endpoint::SiagaEvaluation,
];

const FAILURES: [Failure; 8] = [
    Failure::ModelUnavailable,
    Failure::InvalidInput,
    Failure::Timeout,
    Failure::SchemaViolation,
    Failure::RetryableTransient,
    Failure::PolicyBlock,
    Failure::Unreachable,
    Failure::SwitchedOff,
];

const SEVERITIES: [Severity; 4] = [
    Severity::Low,
    Severity::Medium,
    Severity::High,
    Severity::Critical,
];

/// `GoOnWithWarning` as `go_on_with_warning`.
fn word(value: impl std::fmt::Debug) -> String {
    let name = format!("{value:?}");
    let mut words = String::new();
    for letter in name.rsplit(':').next().unwrap().chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// "WHAT RULE REASON[ +OBLIGATION]…[ in NUMBER]".
fn line(
    what: impl std::fmt::Debug,
    (rule, reason): (&str, &str),
    obligations: &[Obligation],
    number: Option<u32>,
) -> String {
    let mut line = format!("{} {rule} {reason}", word(what));
    for obligation in obligations {
        line += &format!(" +{}", word(obligation));
    }
    if let Some(number) = number {
        line += &format!(" in {number}");
    }
    line
}

fn fallback_line(ruling: &FallbackRuling) -> String {
    let why = (&*ruling.rule, &*ruling.reason);
    line(
        ruling.course,
        why,
        &ruling.obligations,
        ruling.retry_after_seconds,
    )
}

fn failed(endpoint: Endpoint, failure: Failure, attempts: u32) -> FallbackFacts {
    FallbackFacts {
        endpoint,
        failure,
        retryable: false,
        attempts,
    }
}

fn asks_again(facts: FallbackFacts) -> FallbackFacts {
    FallbackFacts {
        retryable: true,
        ..facts
    }
}

#[rustfmt::skip]
fn fallbacks() -> Vec<(FallbackFacts, &'static str)> {
    use {Endpoint::*, Failure::*};
    Vec::from([
        // EP-03: go on, warn, async retry
        (failed(DuplicateDetection, Unreachable, 1), "go_on_with_warning duplicates_unchecked asked_again +warn_in_headers +retry_later in 30"),
        (failed(DuplicateDetection, Timeout, 0), "go_on_with_warning duplicates_unchecked asked_again +warn_in_headers +retry_later in 30"),
        (failed(DuplicateDetection, ModelUnavailable, 2), "go_on_with_warning duplicates_unchecked asked_again +warn_in_headers +retry_later in 60"),
        (failed(DuplicateDetection, RetryableTransient, 5), "go_on_with_warning duplicates_unchecked asked_again +warn_in_headers +retry_later in 480"),
        (failed(DuplicateDetection, RetryableTransient, 6), "go_on_with_warning duplicates_unchecked asked_often_enough +warn_in_headers +tell_operator"),
        (failed(DuplicateDetection, Timeout, u32::MAX), "go_on_with_warning duplicates_unchecked asked_often_enough +warn_in_headers +tell_operator"),
        (failed(DuplicateDetection, SchemaViolation, 1), "go_on_with_warning duplicates_unchecked asked_again +warn_in_headers +tell_operator +retry_later in 30"),
        (failed(DuplicateDetection, SchemaViolation, 2), "go_on_with_warning duplicates_unchecked asked_often_enough +warn_in_headers +tell_operator"),
        (asks_again(failed(DuplicateDetection, SchemaViolation, 5)), "go_on_with_warning duplicates_unchecked asked_again +warn_in_headers +tell_operator +retry_later in 480"),
        (asks_again(failed(DuplicateDetection, SchemaViolation, 6)), "go_on_with_warning duplicates_unchecked asked_often_enough +warn_in_headers +tell_operator"),
        (failed(DuplicateDetection, InvalidInput, 1), "go_on_with_warning duplicates_unchecked not_worth_asking_again +warn_in_headers +tell_operator"),
        (asks_again(failed(DuplicateDetection, PolicyBlock, 1)), "go_on_with_warning duplicates_unchecked not_worth_asking_again +warn_in_headers"),
        (failed(DuplicateDetection, SwitchedOff, 0), "go_on_with_warning duplicates_unchecked not_worth_asking_again +warn_in_headers"),
        // EP-05: go on, ignore
        (failed(GamingRisk, Unreachable, 1), "go_on gaming_unchecked not_asked_again +warn_in_headers"),
        (failed(GamingRisk, InvalidInput, 1), "go_on gaming_unchecked not_asked_again +warn_in_headers +tell_operator"),
        // EP-08: media stays, manual moderation queued
        (failed(SensitiveMedia, Timeout, 1), "manual_moderation media_unchecked asked_again +warn_in_headers +queue_moderation +retry_later in 30"),
        (failed(SensitiveMedia, Timeout, 6), "manual_moderation media_unchecked asked_often_enough +warn_in_headers +queue_moderation +tell_operator"),
        (failed(SensitiveMedia, SwitchedOff, 0), "manual_moderation media_unchecked not_worth_asking_again +warn_in_headers +queue_moderation"),
        (failed(SensitiveMedia, PolicyBlock, 1), "manual_moderation media_unchecked refused_by_model +warn_in_headers +queue_moderation +blur_media"),
        // EP-09: manual credit form
        (failed(CreditRecommendation, Timeout, 1), "manual_form credit_unadvised not_asked_again +warn_in_headers"),
        // EP-11: siaga draft in a human approval queue
        (failed(SiagaEvaluation, Unreachable, 1), "human_approval siaga_unjudged asked_again +warn_in_headers +call_approvers +retry_later in 5"),
        (failed(SiagaEvaluation, Unreachable, 4), "human_approval siaga_unjudged asked_again +warn_in_headers +call_approvers +retry_later in 40"),
        (failed(SiagaEvaluation, Unreachable, 5), "human_approval siaga_unjudged asked_again +warn_in_headers +call_approvers +retry_later in 60"),
        (failed(SiagaEvaluation, Unreachable, 6), "human_approval siaga_unjudged asked_often_enough +warn_in_headers +call_approvers +tell_operator"),
        (failed(SiagaEvaluation, SwitchedOff, 0), "human_approval siaga_unjudged not_worth_asking_again +warn_in_headers +call_approvers"),
    ])
}

#[test]
fn every_endpoint_has_its_fallback() {
    for (facts, expected) in fallbacks() {
        assert_eq!(
            fallback_line(&Policy::fallback(facts)),
            expected,
            "{facts:?}"
        );
    }
}

fn like(similarity_permille: u32, recommendation: Recommendation) -> DuplicateFacts {
    DuplicateFacts {
        similarity_permille,
        recommendation,
    }
}

fn duplicate_line(ruling: &DuplicateRuling) -> String {
    let why = (&*ruling.rule, &*ruling.reason);
    line(ruling.notice, why, &ruling.obligations, None)
}

#[rustfmt::skip]
fn duplicates() -> Vec<(DuplicateFacts, &'static str)> {
    use Recommendation::*;
    Vec::from([
        (like(1000, Warn), "warn_strongly likeness very_alike"),
        (like(u32::MAX, Allow), "warn_strongly likeness very_alike"),
        (like(800, Allow), "warn_strongly likeness very_alike"),
        (like(799, Warn), "inform likeness alike"),
        (like(500, Allow), "inform likeness alike"),
        (like(499, Warn), "silent likeness not_alike"),
        (like(0, Allow), "silent likeness not_alike"),
        (like(1000, Block), "warn_strongly author_decides block_not_followed"),
        (like(500, Block), "inform author_decides block_not_followed"),
        (like(0, Block), "silent author_decides block_not_followed"),
    ])
}

#[test]
fn an_author_is_told_by_likeness() {
    for (facts, expected) in duplicates() {
        assert_eq!(
            duplicate_line(&Policy::duplicate(facts)),
            expected,
            "{facts:?}"
        );
    }
}

fn signs(flag_count: u32, worst: Option<Severity>, suggestion: Suggestion) -> GamingFacts {
    GamingFacts {
        flag_count,
        critical_count: 0,
        worst,
        confidence_permille: None,
        suggestion,
    }
}

fn sure(permille: u32, facts: GamingFacts) -> GamingFacts {
    GamingFacts {
        confidence_permille: Some(permille),
        ..facts
    }
}

fn gaming_line(ruling: &GamingRuling) -> String {
    let why = (&*ruling.rule, &*ruling.reason);
    line(ruling.measure, why, &ruling.obligations, None)
}

#[rustfmt::skip]
fn gamings() -> Vec<(GamingFacts, &'static str)> {
    use {Severity::*, Suggestion::{ManualReview, SlowMode, SuspendActions}};
    let critical = GamingFacts { critical_count: 1, ..signs(1, None, Suggestion::None) };
    Vec::from([
        (signs(0, None, Suggestion::None), "none gaming_signs no_signs"),
        (sure(0, signs(0, None, Suggestion::None)), "none gaming_signs no_signs"),
        (sure(1000, signs(0, Some(Critical), SuspendActions)), "manual_review gaming_signs contradicts_itself +queue_moderation"),
        (sure(0, signs(0, None, SlowMode)), "manual_review gaming_signs contradicts_itself +queue_moderation"),
        (signs(0, None, ManualReview), "manual_review gaming_signs contradicts_itself +queue_moderation"),
        (signs(0, Some(Low), Suggestion::None), "manual_review gaming_signs contradicts_itself +queue_moderation"),
        (sure(499, GamingFacts { critical_count: 1, ..signs(0, None, Suggestion::None) }), "manual_review gaming_signs contradicts_itself +queue_moderation"),
        (sure(499, signs(1, Some(Low), ManualReview)), "note gaming_signs not_sure_enough"),
        (sure(499, signs(1, Some(Low), SlowMode)), "note gaming_signs not_sure_enough"),
        (signs(1, Some(Low), Suggestion::None), "note gaming_signs weak_signs"),
        (sure(500, signs(2, Some(Medium), Suggestion::None)), "note gaming_signs weak_signs"),
        (signs(3, Some(Low), Suggestion::None), "manual_review gaming_signs many_signs +queue_moderation"),
        (signs(1, Some(Medium), ManualReview), "manual_review gaming_signs review_advised +queue_moderation"),
        (signs(1, Some(High), Suggestion::None), "manual_review gaming_signs strong_signs +queue_moderation"),
        (signs(1, Some(Critical), ManualReview), "manual_review gaming_signs strong_signs +queue_moderation"),
        (critical, "manual_review gaming_signs strong_signs +queue_moderation"),
        (signs(1, Some(Low), SlowMode), "manual_review nobody_suspended suspension_not_followed +queue_moderation"),
        (signs(9, Some(Critical), SuspendActions), "manual_review nobody_suspended suspension_not_followed +queue_moderation"),
        (sure(1000, signs(9, Some(Critical), SuspendActions)), "manual_review nobody_suspended suspension_not_followed +queue_moderation"),
        (sure(500, signs(1, Some(High), Suggestion::None)), "manual_review gaming_signs strong_signs +queue_moderation"),
        (sure(499, signs(9, Some(Critical), SuspendActions)), "note gaming_signs not_sure_enough"),
    ])
}

#[test]
fn gaming_brings_a_moderator_at_most() {
    for (facts, expected) in gamings() {
        assert_eq!(gaming_line(&Policy::gaming(facts)), expected, "{facts:?}");
    }
}

fn scanned(overall: Safety, score_permille: u32, worst: Option<Severity>) -> MediaFacts {
    MediaFacts {
        overall,
        score_permille,
        worst,
    }
}

fn media_line(ruling: &MediaRuling) -> String {
    let why = (&*ruling.rule, &*ruling.reason);
    line(ruling.display, why, &ruling.obligations, None)
}

#[rustfmt::skip]
fn medias() -> Vec<(MediaFacts, &'static str)> {
    use {Safety::*, Severity::*};
    Vec::from([
        (scanned(Safe, 0, None), "show media_safe safe"),
        (scanned(Safe, 1000, None), "show media_safe safe"),
        (scanned(Safe, 899, Some(Medium)), "show media_safe safe"),
        (scanned(Safe, 900, Some(Low)), "blur media_doubtful safe_but_found +blur_media +queue_moderation"),
        (scanned(Safe, 0, Some(High)), "blur media_doubtful safe_but_found +blur_media +queue_moderation"),
        (scanned(Review, 499, Some(Medium)), "show media_doubtful slight_doubt +queue_moderation"),
        (scanned(Review, 499, Some(High)), "blur media_doubtful doubtful +blur_media +queue_moderation"),
        (scanned(Review, 500, None), "blur media_doubtful doubtful +blur_media +queue_moderation"),
        (scanned(Unsafe, 0, None), "blur media_unsafe unsafe_media +blur_media +queue_moderation"),
        (scanned(Unsafe, 899, Some(Critical)), "blur media_unsafe unsafe_media +blur_media +queue_moderation"),
        (scanned(Unsafe, 1000, Some(High)), "blur media_unsafe unsafe_media +blur_media +queue_moderation"),
        (scanned(Unsafe, 900, Some(Critical)), "withhold media_unsafe critical_media +queue_moderation"),
    ])
}

#[test]
fn media_are_shown_as_the_scan_says() {
    for (facts, expected) in medias() {
        assert_eq!(media_line(&Policy::media(facts)), expected, "{facts:?}");
    }
}

fn recommended(candidates: u32, weight_permille: u32, confidence: Option<u32>) -> CreditFacts {
    CreditFacts {
        candidates,
        weight_permille,
        confidence_permille: confidence,
        asks_for_oneself: false,
    }
}

fn for_oneself(facts: CreditFacts) -> CreditFacts {
    CreditFacts {
        asks_for_oneself: true,
        ..facts
    }
}

fn credit_line(ruling: &CreditRuling) -> String {
    let why = (&*ruling.rule, &*ruling.reason);
    line(
        ruling.course,
        why,
        &ruling.obligations,
        Some(ruling.dispute_window_hours),
    )
}

#[rustfmt::skip]
fn credits() -> Vec<(CreditFacts, &'static str)> {
    Vec::from([
        (recommended(2, 1000, Some(600)), "human_approval credit_suggestion suggested in 72"),
        (recommended(1, 1, None), "human_approval credit_suggestion suggested in 72"),
        (for_oneself(recommended(2, 1000, Some(1000))), "human_approval credit_suggestion asks_for_oneself in 168"),
        (recommended(2, 1000, Some(599)), "manual_form credit_form not_sure_enough in 72"),
        (for_oneself(recommended(2, 1000, Some(0))), "manual_form credit_form not_sure_enough in 168"),
        (recommended(2, 1001, Some(1000)), "manual_form credit_form weights_unusable in 72"),
        (recommended(2, 0, Some(1000)), "manual_form credit_form weights_unusable in 72"),
        (recommended(0, 1000, Some(1000)), "manual_form credit_form no_candidates in 72"),
    ])
}

#[test]
fn a_credit_is_for_people_to_give() {
    for (facts, expected) in credits() {
        assert_eq!(credit_line(&Policy::credit(facts)), expected, "{facts:?}");
    }
}

/// All that lets a siaga out by itself.
const CERTAIN: SiagaFacts = SiagaFacts {
    is_siaga: true,
    severity: Severity::Critical,
    confidence_permille: 950,
    override_policy: OverridePolicy::AutoIfThreshold,
    reported_urgency: Urgency::High,
    reporter_tier: TrustTier::Kontributor,
};

fn siaga_line(ruling: &SiagaRuling) -> String {
    let why = (&*ruling.rule, &*ruling.reason);
    line(
        ruling.route,
        why,
        &ruling.obligations,
        ruling.approval_due_minutes,
    )
}

#[rustfmt::skip]
fn siagas() -> Vec<(SiagaFacts, &'static str)> {
    use {OverridePolicy::*, Severity as S, TrustTier::*, Urgency as U};
    let none = SiagaFacts { is_siaga: false, reported_urgency: U::Normal, ..CERTAIN };
    Vec::from([
        (CERTAIN, "activate_at_once siaga_at_once critical_and_certain +call_approvers in 15"),
        (SiagaFacts { reporter_tier: Kunci, reported_urgency: U::Critical, confidence_permille: u32::MAX, ..CERTAIN }, "activate_at_once siaga_at_once critical_and_certain +call_approvers in 15"),
        (SiagaFacts { override_policy: HumanOnly, ..CERTAIN }, "urgent_approval_queue siaga_approval a_person_decides +call_approvers in 15"),
        (SiagaFacts { override_policy: ManualApproveOnly, ..CERTAIN }, "urgent_approval_queue siaga_approval a_person_decides +call_approvers in 15"),
        (SiagaFacts { severity: S::High, ..CERTAIN }, "urgent_approval_queue siaga_approval not_critical +call_approvers in 15"),
        (SiagaFacts { severity: S::Medium, ..CERTAIN }, "approval_queue siaga_approval not_critical in 60"),
        (SiagaFacts { severity: S::Low, reported_urgency: U::Critical, ..CERTAIN }, "urgent_approval_queue siaga_approval not_critical +call_approvers in 15"),
        (SiagaFacts { severity: S::Low, override_policy: HumanOnly, ..CERTAIN }, "approval_queue siaga_approval a_person_decides in 60"),
        (SiagaFacts { confidence_permille: 949, ..CERTAIN }, "urgent_approval_queue siaga_approval not_sure_enough +call_approvers in 15"),
        (SiagaFacts { reported_urgency: U::Normal, ..CERTAIN }, "urgent_approval_queue siaga_approval not_urgent_to_reporter +call_approvers in 15"),
        (SiagaFacts { reported_urgency: U::Low, ..CERTAIN }, "urgent_approval_queue siaga_approval not_urgent_to_reporter +call_approvers in 15"),
        (SiagaFacts { reporter_tier: Pemula, ..CERTAIN }, "urgent_approval_queue siaga_approval reporter_not_known_enough +call_approvers in 15"),
        (SiagaFacts { reporter_tier: Bayangan, ..CERTAIN }, "urgent_approval_queue siaga_approval reporter_not_known_enough +call_approvers in 15"),
        (none, "no_siaga no_siaga no_emergency"),
        (SiagaFacts { reported_urgency: U::Low, ..none }, "no_siaga no_siaga no_emergency"),
        (SiagaFacts { reported_urgency: U::High, ..none }, "approval_queue no_siaga reporter_disagrees in 60"),
        (SiagaFacts { reported_urgency: U::Critical, ..none }, "approval_queue no_siaga reporter_disagrees in 60"),
    ])
}

#[test]
fn a_siaga_goes_to_people_unless_all_is_certain() {
    for (facts, expected) in siagas() {
        assert_eq!(siaga_line(&Policy::siaga(facts)), expected, "{facts:?}");
    }
}

#[test]
fn every_reason_is_reached_by_a_case() {
    let lines = fallbacks().into_iter().map(|(_, line)| line);
    let lines = lines.chain(duplicates().into_iter().map(|(_, line)| line));
    let lines = lines.chain(gamings().into_iter().map(|(_, line)| line));
    let lines = lines.chain(medias().into_iter().map(|(_, line)| line));
    let lines = lines.chain(credits().into_iter().map(|(_, line)| line));
    let lines = lines.chain(siagas().into_iter().map(|(_, line)| line));
    let reached: BTreeSet<String> = lines
        .map(|line| {
            let mut words = line.split(' ').skip(1);
            format!("{} {}", words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let declared: BTreeSet<String> = rules::REASONS
        .iter()
        .map(|reason| format!("{} {}", reason.rule, reason.code))
        .collect();
    assert_eq!(reached, declared);
}

#[test]
fn describe_tells_every_rule_once_on_one_line() {
    let told = Policy::describe();
    let distinct: BTreeSet<&String> = told.iter().map(|rule| &rule.id).collect();
    assert_eq!(distinct.len(), told.len());
    for reason in rules::REASONS {
        assert!(distinct.iter().any(|id| *id == reason.rule));
    }
    assert!(told.iter().all(|rule| !rule.text.contains('\n')));
}

#[test]
fn the_back_off_only_grows() {
    for back_off in [crate::fallback::PATIENT, crate::fallback::URGENT] {
        let mut last = 0;
        for calls in 0..100 {
            let next = back_off.after(calls);
            assert!(last <= next && next <= back_off.most, "{calls}");
            last = next;
        }
        assert_eq!(back_off.after(u32::MAX), back_off.most);
    }
}

fn permille() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0_u32..=1000, 1 => any::<u32>()]
}

fn worst() -> impl Strategy<Value = Option<Severity>> {
    proptest::option::of(select(&SEVERITIES[..]))
}

prop_compose! {
    fn any_failure()(
        endpoint in select(&ENDPOINTS[..]),
        failure in select(&FAILURES[..]),
        retryable in any::<bool>(),
        attempts in prop_oneof![0_u32..9, any::<u32>()],
    ) -> FallbackFacts {
        FallbackFacts { endpoint, failure, retryable, attempts }
    }
}

prop_compose! {
    fn any_signs()(
        flag_count in prop_oneof![0_u32..5, any::<u32>()],
        critical_count in prop_oneof![0_u32..5, any::<u32>()],
        worst in worst(),
        confidence_permille in proptest::option::of(permille()),
        suggestion in select(&[
            Suggestion::None, Suggestion::ManualReview, Suggestion::SlowMode, Suggestion::SuspendActions,
        ][..]),
    ) -> GamingFacts {
        GamingFacts { flag_count, critical_count, worst, confidence_permille, suggestion }
    }
}

prop_compose! {
    fn any_media()(
        overall in select(&[Safety::Safe, Safety::Review, Safety::Unsafe][..]),
        score_permille in permille(),
        worst in worst(),
    ) -> MediaFacts {
        MediaFacts { overall, score_permille, worst }
    }
}

prop_compose! {
    fn any_match()(
        similarity_permille in permille(),
        recommendation in select(&[
            Recommendation::Allow, Recommendation::Warn, Recommendation::Block,
        ][..]),
    ) -> DuplicateFacts {
        DuplicateFacts { similarity_permille, recommendation }
    }
}

prop_compose! {
    fn any_report()(
        is_siaga in any::<bool>(),
        severity in select(&SEVERITIES[..]),
        confidence_permille in prop_oneof![940_u32..=1000, permille()],
        override_policy in select(&[
            OverridePolicy::HumanOnly, OverridePolicy::AutoIfThreshold, OverridePolicy::ManualApproveOnly,
        ][..]),
        reported_urgency in select(&[Urgency::Low, Urgency::Normal, Urgency::High, Urgency::Critical][..]),
        reporter_tier in select(&[
            TrustTier::Bayangan, TrustTier::Pemula, TrustTier::Kontributor, TrustTier::Pilar, TrustTier::Kunci,
        ][..]),
    ) -> SiagaFacts {
        SiagaFacts { is_siaga, severity, confidence_permille, override_policy, reported_urgency, reporter_tier }
    }
}

proptest! {
    #[test]
    fn a_failure_never_stops_a_matter(facts in any_failure()) {
        let ruling = Policy::fallback(facts);
        let course = match facts.endpoint {
            Endpoint::DuplicateDetection => Course::GoOnWithWarning,
            Endpoint::GamingRisk => Course::GoOn,
            Endpoint::SensitiveMedia => Course::ManualModeration,
            Endpoint::CreditRecommendation => Course::ManualForm,
            Endpoint::SiagaEvaluation => Course::HumanApproval,
        };
        prop_assert_eq!(ruling.course, course);
        prop_assert!(ruling.obligations.contains(&Obligation::WarnInHeaders));
        prop_assert_eq!(
            ruling.obligations.contains(&Obligation::RetryLater),
            ruling.retry_after_seconds.is_some()
        );
    }

    #[test]
    fn asking_ends(facts in any_failure()) {
        let facts = FallbackFacts { attempts: facts.attempts.max(crate::fallback::MOST_CALLS), ..facts };
        prop_assert_eq!(Policy::fallback(facts).retry_after_seconds, None);
    }

    #[test]
    fn a_model_never_suspends_anybody(facts in any_signs()) {
        let ruling = Policy::gaming(facts);
        prop_assert!(matches!(ruling.measure, Measure::None | Measure::Note | Measure::ManualReview));
        prop_assert_eq!(
            ruling.obligations.contains(&Obligation::QueueModeration),
            ruling.measure == Measure::ManualReview
        );
    }

    #[test]
    fn a_notice_goes_by_likeness_alone(facts in any_match(), other in any_match()) {
        let (one, two) = (Policy::duplicate(facts).notice, Policy::duplicate(other).notice);
        if facts.similarity_permille <= other.similarity_permille {
            prop_assert!(one as u8 <= two as u8);
        }
        prop_assert_eq!(one == Notice::Silent, facts.similarity_permille < 500);
    }

    #[test]
    fn what_is_not_plainly_shown_is_looked_at(facts in any_media()) {
        let ruling = Policy::media(facts);
        let queued = ruling.obligations.contains(&Obligation::QueueModeration);
        prop_assert!(queued || (ruling.display == Display::Show && facts.overall == Safety::Safe));
        prop_assert_eq!(
            ruling.obligations.contains(&Obligation::BlurMedia),
            ruling.display == Display::Blur
        );
        let higher = MediaFacts { score_permille: facts.score_permille.saturating_add(100), ..facts };
        prop_assert!(ruling.display as u8 <= Policy::media(higher).display as u8);
    }

    #[test]
    fn a_credit_is_never_booked(
        candidates in prop_oneof![0_u32..4, any::<u32>()],
        weight_permille in permille(),
        confidence in proptest::option::of(permille()),
        asks_for_oneself in any::<bool>(),
    ) {
        let facts = CreditFacts { asks_for_oneself, ..recommended(candidates, weight_permille, confidence) };
        let ruling = Policy::credit(facts);
        prop_assert!(matches!(ruling.course, Course::HumanApproval | Course::ManualForm));
        prop_assert!(ruling.dispute_window_hours >= 72);
    }

    #[test]
    fn a_siaga_goes_out_only_when_everything_says_so(facts in any_report()) {
        let ruling = Policy::siaga(facts);
        if ruling.route == Route::ActivateAtOnce {
            prop_assert_eq!(facts.override_policy, OverridePolicy::AutoIfThreshold);
            prop_assert_eq!(facts.severity, Severity::Critical);
            prop_assert!(facts.is_siaga && facts.confidence_permille >= 950);
        }
        prop_assert!(!facts.is_siaga || ruling.route != Route::NoSiaga);
        prop_assert_eq!(ruling.route == Route::NoSiaga, ruling.approval_due_minutes.is_none());
    }

    #[test]
    fn lists_answer_item_by_item_in_order(
        matches in proptest::collection::vec(any_match(), 0..20),
        scans in proptest::collection::vec(any_media(), 0..20),
    ) {
        let each: Vec<DuplicateRuling> = matches.iter().copied().map(Policy::duplicate).collect();
        prop_assert_eq!(Policy::duplicates(DuplicatesFacts { items: matches }), each);
        let each: Vec<MediaRuling> = scans.iter().copied().map(Policy::media).collect();
        prop_assert_eq!(Policy::media_many(MediaManyFacts { items: scans }), each);
    }
}
