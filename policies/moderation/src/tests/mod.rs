//! Moderation as the domain page has it: a table for each question, and what must hold for every input.

mod invariants;
mod people;
mod scans;

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::moderation::{
    Action, Assessment, Moderation, Obligation, Status, Violation, Warnings,
};

use crate::{GotongModeration as Policy, rules};

/// The name of a word without the type's.
fn word(value: impl std::fmt::Debug) -> String {
    let name = format!("{value:?}");
    String::from(name.rsplit(':').next().unwrap()).to_lowercase()
}

/// "RULE REASON: ACTION STATUS [shown][, WARNINGS][, release M][, out M][, review M][, appeal H] [OBLIGATIONS]".
fn line(assessment: &Assessment) -> String {
    let action = match assessment.action {
        Action::PublishNow => "publish",
        Action::PublishWithWarning => "warn",
        Action::HoldForReview => "hold",
        Action::Block => "block",
    };
    let shown = if assessment.shown { "shown" } else { "hidden" };
    let mut line = format!(
        "{} {}: {action} {} {shown}",
        assessment.rule,
        assessment.reason,
        word(assessment.status)
    );
    for (name, warning) in [
        ("media", Warnings::SENSITIVE_MEDIA),
        ("content", Warnings::SENSITIVE_CONTENT),
        ("unreviewed", Warnings::UNREVIEWED),
    ] {
        if assessment.warnings.contains(warning) {
            line += &format!(", {name}");
        }
    }
    for (name, minutes) in [
        ("release", assessment.auto_release_minutes),
        ("out", assessment.time_out_minutes),
        ("review", assessment.review_due_minutes),
    ] {
        if let Some(minutes) = minutes {
            line += &format!(", {name} {minutes}");
        }
    }
    if assessment.appeal_window_hours > 0 {
        line += &format!(", appeal {}h", assessment.appeal_window_hours);
    }
    consistent(assessment);
    line + &duties(&assessment.obligations)
}

/// " +act +escalate +author +review +reporters", as far as they are there.
fn duties(obligations: &[Obligation]) -> String {
    let distinct: BTreeSet<_> = obligations.iter().map(word).collect();
    assert_eq!(distinct.len(), obligations.len(), "each once");
    [
        (Obligation::ModeratorMustAct, " +act"),
        (Obligation::Escalate, " +escalate"),
        (Obligation::TellAuthor, " +author"),
        (Obligation::QueueReview, " +review"),
        (Obligation::TellReporters, " +reporters"),
    ]
    .into_iter()
    .filter(|(duty, _)| obligations.contains(duty))
    .map(|(_, name)| name)
    .collect()
}

/// What no assessment may contradict, whichever question it answers.
fn consistent(it: &Assessment) {
    match it.action {
        Action::PublishNow | Action::PublishWithWarning => {
            assert_eq!((it.status, it.shown), (Status::Published, true));
            assert_eq!(
                it.warnings.is_empty(),
                it.action == Action::PublishNow,
                "a warning is what sets the two apart"
            );
            assert_eq!((it.auto_release_minutes, it.time_out_minutes), (None, None));
        }
        Action::HoldForReview => {
            assert_eq!(it.status, Status::UnderReview);
            assert!(it.time_out_minutes.is_some(), "no hold is forgotten");
            assert!(!it.shown || it.warnings.contains(Warnings::UNREVIEWED));
        }
        Action::Block => {
            assert!(matches!(it.status, Status::UnderReview | Status::Rejected));
            assert_eq!((it.shown, it.auto_release_minutes), (false, None));
        }
    }
    if let Some(release) = it.auto_release_minutes {
        assert_eq!(it.time_out_minutes, Some(release));
    }
    let named = rules::REASONS
        .iter()
        .any(|reason| (reason.rule, reason.code) == (it.rule.as_str(), it.reason.as_str()));
    assert!(named, "{} {}", it.rule, it.reason);
}

/// Every text of a table as "RULE REASON".
fn reached<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let pair = |line: &str| {
        let mut words = line.split(' ').filter(|word| {
            !matches!(
                *word,
                "allow" | "deny" | "flag" | "hide" | "nothing" | "release" | "escalate"
            )
        });
        let (rule, reason) = (words.next().unwrap(), words.next().unwrap());
        format!("{rule} {}", reason.trim_end_matches(':'))
    };
    lines.into_iter().map(pair).collect()
}

#[test]
fn every_reason_is_reached_by_a_case() {
    let mut all = reached(scans::assessed().iter().map(|(_, line)| *line));
    all.extend(reached(scans::expired().iter().map(|(_, line)| *line)));
    all.extend(reached(people::reported().iter().map(|(_, line)| *line)));
    all.extend(reached(people::acted().iter().map(|(_, line)| *line)));
    all.extend(reached(people::appealed().iter().map(|(_, line)| *line)));
    all.extend(reached(people::viewed().iter().map(|(_, line)| *line)));
    let declared: BTreeSet<String> = rules::REASONS
        .iter()
        .map(|reason| format!("{} {}", reason.rule, reason.code))
        .collect();
    assert_eq!(all, declared);
}

#[test]
fn describe_tells_every_rule_once() {
    let told: Vec<String> = Policy::describe().into_iter().map(|rule| rule.id).collect();
    let distinct: BTreeSet<&String> = told.iter().collect();
    assert_eq!(distinct.len(), told.len());
    for reason in rules::REASONS {
        assert!(told.iter().any(|id| id == reason.rule));
    }
    assert!(
        Policy::describe()
            .iter()
            .all(|rule| !rule.text.contains('\n')),
        "one line each"
    );
}

/// One finding.
fn found(
    category: gotong_policy::moderation::Category,
    severity: gotong_policy::moderation::Severity,
) -> Violation {
    Violation { category, severity }
}
