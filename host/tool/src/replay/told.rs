//! What was found, in words.

use std::fmt::Write as _;

use gotong_engine::whatif::{Group, Kind, Report};
use gotong_engine::{Summary, Verdict, printable};

/// The longest value that is shown in full.
const LONGEST: usize = 600;

/// How many decisions of a group are named.
const NAMED: usize = 3;

pub(super) fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = told(&mut text, summary);
    text
}

fn told(text: &mut String, summary: &Summary) -> std::fmt::Result {
    let tally = &summary.tally;
    writeln!(
        text,
        "{} decisions: {} match, {} diverged, {} not replayable",
        tally.total(),
        tally.matching,
        tally.diverged,
        tally.not_replayable
    )?;
    for (module, tally) in &summary.modules {
        writeln!(
            text,
            "  {}: {} match, {} diverged, {} not replayable",
            printable(module),
            tally.matching,
            tally.diverged,
            tally.not_replayable
        )?;
    }
    for (reason, count) in &summary.reasons {
        writeln!(text, "  {count} not replayable: {}", printable(reason))?;
    }
    if summary.fuel_not_compared > 0 {
        writeln!(
            text,
            "  {} were made under another engine: their fuel was not compared",
            summary.fuel_not_compared
        )?;
    }
    for listed in &summary.listed {
        write!(
            text,
            "  {} {}.{}: ",
            printable(&listed.decision_id),
            printable(&listed.family),
            printable(&listed.function)
        )?;
        match &listed.verdict {
            Verdict::Diverged {
                field,
                recorded,
                replayed,
            } => writeln!(
                text,
                "diverged: {field} was `{}`, is `{}`",
                short(recorded),
                short(replayed)
            )?,
            Verdict::NotReplayable { reason } => {
                writeln!(text, "not replayable: {}", printable(reason))?
            }
            Verdict::Match => writeln!(text, "match")?,
        }
    }
    let unlisted = tally.total() - tally.matching - summary.listed.len() as u64;
    if unlisted > 0 {
        writeln!(text, "  … and {unlisted} more that do not match")?;
    }
    Ok(())
}

pub(crate) fn report(report: &Report) -> String {
    let mut text = String::new();
    let _ = reported(&mut text, report);
    text
}

fn reported(text: &mut String, report: &Report) -> std::fmt::Result {
    let candidate = &report.candidate;
    writeln!(
        text,
        "What if {} {} had decided in the place of {}?\n  {}",
        candidate.name,
        candidate.version,
        printable(&report.name),
        candidate.digest
    )?;
    writeln!(
        text,
        "\n{} decisions asked again: {} the same, {} not.",
        report.decisions, report.same, report.changed
    )?;
    for (module, count) in &report.recorded_by {
        writeln!(text, "  {count} were made by {}", printable(module))?;
    }
    for (why, count) in &report.not_compared {
        writeln!(text, "  {count} could not be compared: {}", printable(why))?;
    }
    if report.unsound > 0 {
        writeln!(
            text,
            "  A record that does not hold proves nothing: replay it without a candidate."
        )?;
    }
    for (title, groups) in [
        ("The verdict would have been another", &report.flips),
        (
            "The candidate fails; the host would have refused",
            &report.failures,
        ),
        (
            "The candidate rules where no ruling was given",
            &report.repairs,
        ),
        ("The same verdict, but otherwise", &report.others),
    ] {
        if groups.is_empty() {
            continue;
        }
        let rulings: u64 = groups.iter().map(|group| group.rulings).sum();
        writeln!(text, "\n{title}: {rulings}")?;
        for one in groups {
            group(text, report, one)?;
        }
    }
    if report.further > 0 {
        writeln!(
            text,
            "\n{} further changes, of more kinds than are told apart",
            report.further
        )?;
    }
    if report.changed == 0 && report.unsound == 0 {
        writeln!(text, "\nNothing would have changed.")?;
    }
    if let Some(fuel) = &report.fuel {
        writeln!(
            text,
            "\nFuel of {} decisions: {:+.2} % in all; of one decision {:+} at least, {:+} in the middle, {:+} at p99, {:+} at most",
            fuel.compared, fuel.total_percent, fuel.min, fuel.median, fuel.p99, fuel.max
        )?;
    }
    Ok(())
}

fn group(text: &mut String, report: &Report, group: &Group) -> std::fmt::Result {
    let kind = &group.kind;
    writeln!(text, "  {:>6}  {}", group.rulings, printable(&change(kind)))?;
    rule(text, report, "was:  ", kind.from_rule.as_deref(), false)?;
    rule(text, report, "would:", kind.to_rule.as_deref(), true)?;
    let named: Vec<&str> = group
        .listed
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect();
    let more = group.decisions - named.len() as u64;
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let named = printable(&named.join(", "));
    writeln!(text, "          decisions {named}{more}")?;
    if let Some(smallest) = &group.smallest {
        writeln!(
            text,
            "          smallest facts, of {}:",
            printable(&smallest.decision_id)
        )?;
        three(
            text,
            &smallest.input,
            &smallest.recorded,
            &smallest.candidate,
        )?;
    }
    if let Some(plain) = &group.minimised {
        writeln!(
            text,
            "          generated: the plainest facts with this difference, never asked of anybody:"
        )?;
        three(text, &plain.input, &plain.recorded, &plain.candidate)?;
    }
    Ok(())
}

/// What changes, in one line.
fn change(kind: &Kind) -> String {
    let none = "(none)";
    let from = kind.from.as_deref().unwrap_or(none);
    let to = kind.to.as_deref().unwrap_or(none);
    let verdict = kind.verdict.as_deref().unwrap_or("ruling");
    if !kind.fields.is_empty() {
        let stays = kind
            .from
            .as_deref()
            .map(|word| format!("{verdict} {word}, "));
        return format!(
            "{}: {}{} differs",
            kind.function,
            stays.unwrap_or_default(),
            kind.fields.join(", ")
        );
    }
    format!("{}: {verdict} {from} -> {to}", kind.function)
}

fn rule(
    text: &mut String,
    report: &Report,
    label: &str,
    id: Option<&str>,
    by_candidate: bool,
) -> std::fmt::Result {
    let Some(id) = id else {
        return Ok(());
    };
    let texts = report.rules.get(id);
    let says = texts.and_then(|texts| match by_candidate {
        true => texts.candidate.as_deref(),
        false => texts.recorded.as_deref(),
    });
    let id = printable(id);
    match says {
        Some(says) => writeln!(text, "          {label} rule `{id}`: {}", printable(says)),
        None => writeln!(text, "          {label} rule `{id}`"),
    }
}

fn three(
    text: &mut String,
    input: &impl ToString,
    recorded: &impl ToString,
    candidate: &impl ToString,
) -> std::fmt::Result {
    for (label, value) in [
        ("facts", input.to_string()),
        ("was  ", recorded.to_string()),
        ("would", candidate.to_string()),
    ] {
        writeln!(text, "            {label}  {}", short(&value))?;
    }
    Ok(())
}

fn short(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return printable(value);
    }
    let begins: String = value.chars().take(LONGEST).collect();
    let begins = printable(&begins);
    format!("{begins}… ({} bytes)", value.len())
}
