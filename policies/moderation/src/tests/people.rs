//! What readers report, moderators decide and authors appeal, and who is told what.

use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::moderation::{
    ActFacts, ActRuling,
    Action::{self, *},
    AppealFacts,
    Category::*,
    Moderation, Parts, ReportFacts, ReportRuling, Response, Severity, Status,
    Verdict::{self, Hold, Publish, Reject},
    ViewFacts, ViewManyFacts, ViewRuling,
    Viewer::{self, *},
    Warnings,
};
use gotong_policy::types::{Effect, TokenRole};

use super::{duties, found, line, word};
use crate::GotongModeration as Policy;

/// A verified reader's first report of something shown.
pub(super) fn reports(reports: u32) -> ReportFacts {
    ReportFacts {
        reports,
        shown: true,
        reporter_verified: true,
        repeated: false,
        is_author: false,
    }
}

fn report_line(ruling: &ReportRuling) -> String {
    assert_eq!(
        ruling.assessment.is_some(),
        ruling.response == Response::Hide
    );
    let effect = word(ruling.effect);
    let response = word(ruling.response);
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
    format!("{effect} {response} {rest}")
}

#[rustfmt::skip]
pub(super) fn reported() -> Vec<(ReportFacts, &'static str)> {
    let counted = "allow nothing reports report_counted";
    let flagged = "allow flag reports flagged_by_reports +review";
    let hidden = "allow hide reports hidden_by_reports: hold underreview hidden, out 1440, review 60, appeal 168h +act +author +review";
    Vec::from([
        (reports(0), counted),
        (reports(1), counted),
        (reports(2), counted),
        (reports(3), flagged),
        (reports(4), flagged),
        (reports(5), hidden),
        (reports(u32::MAX), hidden),
        (ReportFacts { reporter_verified: false, ..reports(5) }, "deny nothing reporting not_verified"),
        (ReportFacts { is_author: true, ..reports(5) }, "deny nothing reporting own_content"),
        (ReportFacts { shown: false, ..reports(5) }, "deny nothing reporting not_shown"),
        (ReportFacts { repeated: true, ..reports(5) }, "deny nothing reporting already_reported"),
        // who may not see it does not learn of an earlier report
        (ReportFacts { repeated: true, shown: false, ..reports(5) }, "deny nothing reporting not_shown"),
    ])
}

#[test]
fn three_reports_flag_and_five_hide() {
    for (facts, expected) in reported() {
        assert_eq!(report_line(&Policy::report(facts)), expected, "{facts:?}");
    }
}

/// A moderator decides on spam that is held.
pub(super) fn decides(verdict: Verdict) -> ActFacts {
    ActFacts {
        verdict,
        role: TokenRole::Moderator,
        status: Status::UnderReview,
        violations: Vec::from([found(Spam, Severity::Medium)]),
        warnings: Warnings::empty(),
        is_author: false,
        appealed: false,
        decided_before: false,
    }
}

fn act_line(ruling: &ActRuling) -> String {
    assert_eq!(ruling.assessment.is_some(), ruling.effect == Effect::Allow);
    match &ruling.assessment {
        Some(left) => {
            assert_eq!(
                (&left.rule, &left.reason, &left.obligations),
                (&ruling.rule, &ruling.reason, &ruling.obligations)
            );
            format!("allow {}", line(left))
        }
        None => {
            assert!(ruling.obligations.is_empty());
            format!("deny {} {}", ruling.rule, ruling.reason)
        }
    }
}

#[rustfmt::skip]
pub(super) fn acted() -> Vec<(ActFacts, &'static str)> {
    let admin = |verdict| ActFacts { role: TokenRole::Admin, ..decides(verdict) };
    let warn = |warnings| ActFacts { warnings, ..decides(Verdict::PublishWithWarning) };
    let child = |verdict| ActFacts { violations: Vec::from([found(Spam, Severity::Critical), found(ChildSafety, Severity::Low)]), ..decides(verdict) };
    let on_appeal = |verdict| ActFacts { appealed: true, warnings: Warnings::SENSITIVE_CONTENT, ..decides(verdict) };
    let published = "allow verdict published_by_moderator: publish published shown +author +reporters";
    let rejected = "allow verdict rejected_by_moderator: block rejected hidden, appeal 168h +author +reporters";
    let held = "allow verdict held_by_moderator: hold underreview hidden, out 1440, review 1440, appeal 168h +act +author +review";
    Vec::from([
        (decides(Publish), published),
        (admin(Publish), published),
        (ActFacts { status: Status::Published, ..decides(Publish) }, published),
        (ActFacts { status: Status::Rejected, ..decides(Publish) }, published),
        (ActFacts { decided_before: true, ..decides(Publish) }, published),
        (ActFacts { warnings: Warnings::all(), ..decides(Publish) }, published),
        (warn(Warnings::SENSITIVE_MEDIA), "allow verdict warned_by_moderator: warn published shown, media, appeal 168h +author +reporters"),
        (warn(Warnings::all()), "allow verdict warned_by_moderator: warn published shown, media, content, appeal 168h +author +reporters"),
        (warn(Warnings::empty()), "deny verdict warning_required"),
        (warn(Warnings::UNREVIEWED), "deny verdict warning_required"),
        (decides(Hold), held),
        (ActFacts { status: Status::Published, ..decides(Hold) }, held),
        (ActFacts { status: Status::Processing, ..decides(Hold) }, held),
        (decides(Reject), rejected),
        (ActFacts { status: Status::Processing, ..decides(Reject) }, rejected),
        (ActFacts { status: Status::Published, ..decides(Reject) }, rejected),
        // moderators and admins, never on their own content
        (ActFacts { role: TokenRole::User, ..decides(Reject) }, "deny moderators not_a_moderator"),
        (ActFacts { role: TokenRole::Anonymous, ..decides(Reject) }, "deny moderators not_a_moderator"),
        (ActFacts { role: TokenRole::Service, ..decides(Reject) }, "deny moderators not_a_moderator"),
        (ActFacts { role: TokenRole::System, ..decides(Publish) }, "deny moderators not_a_moderator"),
        (ActFacts { is_author: true, ..decides(Publish) }, "deny moderators own_content"),
        (ActFacts { is_author: true, ..admin(Reject) }, "deny moderators own_content"),
        // child safety: an admin publishes, any moderator rejects
        (child(Publish), "deny child_safety admin_required"),
        (ActFacts { warnings: Warnings::SENSITIVE_CONTENT, ..child(Verdict::PublishWithWarning) }, "deny child_safety admin_required"),
        (ActFacts { role: TokenRole::Admin, ..child(Publish) }, published),
        (child(Reject), rejected),
        (child(Hold), held),
        // a scan under way
        (ActFacts { status: Status::Processing, ..decides(Publish) }, "deny unfinished_scan still_processing"),
        (ActFacts { status: Status::Processing, ..warn(Warnings::SENSITIVE_CONTENT) }, "deny unfinished_scan still_processing"),
        // the answer to an appeal
        (on_appeal(Publish), "allow appeal_answer appeal_granted: publish published shown +author +reporters"),
        (on_appeal(Verdict::PublishWithWarning), "allow appeal_answer appeal_partly_granted: warn published shown, content +author +reporters"),
        (on_appeal(Reject), "allow appeal_answer appeal_dismissed: block rejected hidden +author +reporters"),
        (on_appeal(Hold), "deny appeal_answer answer_required"),
        (ActFacts { decided_before: true, ..on_appeal(Publish) }, "deny appeal_answer own_decision"),
        (ActFacts { decided_before: true, role: TokenRole::Admin, ..on_appeal(Reject) }, "deny appeal_answer own_decision"),
        (ActFacts { is_author: true, ..on_appeal(Publish) }, "deny moderators own_content"),
    ])
}

#[test]
fn a_moderator_decides_as_the_domain_says() {
    for (facts, expected) in acted() {
        assert_eq!(act_line(&Policy::act(facts.clone())), expected, "{facts:?}");
    }
}

/// The author appeals against a block within the hour.
pub(super) fn appeals(hours_since_decision: u32) -> AppealFacts {
    AppealFacts {
        action: Block,
        status: Status::UnderReview,
        is_author: true,
        hours_since_decision,
        answers_appeal: false,
        appeals: 0,
    }
}

#[rustfmt::skip]
pub(super) fn appealed() -> Vec<(AppealFacts, &'static str)> {
    let open = "allow appeal appeal_open +review";
    Vec::from([
        (appeals(0), open),
        (appeals(167), open),
        (appeals(168), "deny appeal appeal_window_over"),
        (appeals(u32::MAX), "deny appeal appeal_window_over"),
        (AppealFacts { status: Status::Rejected, ..appeals(1) }, open),
        (AppealFacts { action: HoldForReview, ..appeals(1) }, open),
        (AppealFacts { action: PublishWithWarning, status: Status::Published, ..appeals(1) }, open),
        (AppealFacts { action: PublishNow, status: Status::Published, ..appeals(1) }, "deny appeal nothing_to_appeal"),
        (AppealFacts { status: Status::Processing, ..appeals(0) }, "deny appeal nothing_to_appeal"),
        (AppealFacts { is_author: false, ..appeals(1) }, "deny appeal not_the_author"),
        (AppealFacts { answers_appeal: true, status: Status::Rejected, ..appeals(1) }, "deny appeal decision_final"),
        (AppealFacts { appeals: 1, ..appeals(1) }, "deny appeal already_appealed"),
    ])
}

#[test]
fn an_author_appeals_once_within_seven_days() {
    for (facts, expected) in appealed() {
        let ruling = Policy::appeal(facts);
        let effect = word(ruling.effect);
        let line = format!(
            "{effect} {} {}{}",
            ruling.rule,
            ruling.reason,
            duties(&ruling.obligations)
        );
        assert_eq!(line, expected, "{facts:?}");
    }
}

pub(super) fn views(viewer: Viewer, action: Action, status: Status, shown: bool) -> ViewFacts {
    ViewFacts {
        viewer,
        action,
        status,
        shown,
    }
}

#[rustfmt::skip]
fn view_line(ruling: &ViewRuling) -> String {
    let names = [
        ("id", Parts::CONTENT_ID), ("status", Parts::STATUS), ("published", Parts::PUBLISHED_AT),
        ("label", Parts::WARNING_LABEL), ("summary", Parts::REDACTED_SUMMARY), ("expires", Parts::HOLD_EXPIRES_AT),
        ("release", Parts::AUTO_RELEASE_IF_NO_ACTION), ("reason", Parts::REASON_CODE), ("categories", Parts::CATEGORIES),
        ("appeal", Parts::APPEAL_WINDOW_UNTIL), ("confidence", Parts::CONFIDENCE), ("reports", Parts::REPORTS),
        ("author", Parts::AUTHOR), ("trail", Parts::TRAIL),
    ];
    assert_eq!(ruling.visible, !ruling.parts.is_empty());
    let parts = names.iter().filter(|(_, part)| ruling.parts.contains(*part)).map(|(name, _)| format!(" {name}"));
    format!("{} {}:{}", ruling.rule, ruling.reason, parts.collect::<String>())
}

#[rustfmt::skip]
pub(super) fn viewed() -> Vec<(ViewFacts, &'static str)> {
    let all = "moderator_view told_moderator: id status published label summary expires release reason categories appeal confidence reports author trail";
    let hidden = "public_view hidden_from_all:";
    let shown = "public_view shown_to_all: id status published label";
    let behind = "public_view shown_to_all: id status published label summary";
    Vec::from([
        (views(Public, PublishNow, Status::Published, true), shown),
        (views(Public, PublishWithWarning, Status::Published, true), behind),
        (views(Public, HoldForReview, Status::UnderReview, true), behind),
        (views(Public, HoldForReview, Status::UnderReview, false), hidden),
        (views(Public, Block, Status::UnderReview, false), hidden),
        (views(Public, Block, Status::UnderReview, true), hidden),
        (views(Public, Block, Status::Rejected, true), hidden),
        (views(Public, PublishNow, Status::Rejected, true), hidden),
        (views(Public, HoldForReview, Status::Processing, true), hidden),
        (views(Public, PublishNow, Status::Published, false), hidden),
        (views(Author, HoldForReview, Status::Processing, false), "author_view scan_under_way: id status"),
        (views(Author, HoldForReview, Status::UnderReview, false), "author_view told_held_author: id status published label summary expires release reason categories appeal"),
        (views(Author, Block, Status::UnderReview, false), "author_view told_held_author: id status published label expires release reason categories appeal"),
        (views(Author, Block, Status::Rejected, false), "author_view told_author: id status published label reason categories appeal"),
        (views(Author, PublishNow, Status::Published, true), "author_view told_author: id status published label reason categories appeal"),
        (views(Author, PublishWithWarning, Status::Published, true), "author_view told_author: id status published label summary reason categories appeal"),
        (views(Moderator, PublishNow, Status::Published, true), all),
        (views(Moderator, Block, Status::Rejected, false), all),
        (views(Moderator, HoldForReview, Status::Processing, false), all),
    ])
}

#[test]
fn who_is_told_what() {
    for (facts, expected) in viewed() {
        assert_eq!(view_line(&Policy::view(facts)), expected, "{facts:?}");
    }
}

#[test]
fn a_queue_is_answered_in_its_order() {
    let items: Vec<ViewFacts> = viewed().into_iter().map(|(facts, _)| facts).collect();
    let many = Policy::view_many(ViewManyFacts {
        items: items.clone(),
    });
    let each: Vec<ViewRuling> = items.into_iter().map(Policy::view).collect();
    assert_eq!(many, each);
}
