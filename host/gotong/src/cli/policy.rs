//! `gotong policy`: the tools of a policy author, and what a host knows of its shadows.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use gotong_policy_tool::PolicyCommand as Tool;
use gotong_policy_tool::say;
use serde::Serialize;
use serde_json::json;

use super::{CliError, Where};
use crate::config::Config;
use crate::ledger::source::{PAGE, Source};
use crate::rulings::shadow::counts::{Kind, KindCount, ShadowView, most_frequent};
use crate::rulings::shadow::{DifferenceRow, Said};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    #[command(flatten)]
    Tool(Tool),
    /// Show where shadow modules ruled otherwise than the active ones
    Shadow(Shadow),
}

#[derive(Debug, Args)]
pub struct Shadow {
    #[command(flatten)]
    source: Where,
    /// Go on behind this decision
    #[arg(long, value_name = "DECISION_ID")]
    after: Option<String>,
    /// How many differences are listed; all are counted
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What there is to say.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// The live counts of a running host; empty for a store.
    shadows: Vec<ShadowView>,
    /// What is kept, by shadow and kind, the most frequent first.
    kept: Vec<Kept>,
    /// The first ones.
    differences: Vec<DifferenceRow>,
    /// Behind which decision the next ones begin; null when all are listed.
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Kept {
    shadow: String,
    total: u64,
    differences: Vec<KindCount>,
}

impl Shadow {
    pub async fn run(self, config: Config) -> Result<ExitCode, CliError> {
        let report = self.report(&self.source.open(config).await?).await?;
        if self.json {
            say!("{}", json!(report));
        } else {
            tell(&report);
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn report(&self, source: &Source) -> Result<Report, CliError> {
        let mut report = Report::default();
        let mut kinds: BTreeMap<String, BTreeMap<Kind, u64>> = BTreeMap::new();
        let mut after = self.after.clone();
        loop {
            let page = source.shadow_differences(after.as_deref()).await?;
            report.shadows = page.shadows;
            let is_full = page.differences.len() >= PAGE;
            after = page.differences.last().map(|row| row.decision_id.clone());
            for row in page.differences {
                let kind = Kind {
                    function: row.function.clone(),
                    active: row.active.said.clone(),
                    shadow: row.shadow.said.clone(),
                };
                let of_shadow = kinds.entry(row.shadow.module.clone()).or_default();
                *of_shadow.entry(kind).or_default() += 1;
                if report.differences.len() < self.limit {
                    report.differences.push(row);
                } else if report.next.is_none() {
                    report.next = report.differences.last().map(|row| row.decision_id.clone());
                }
            }
            if !is_full {
                break;
            }
        }
        let kept = |(shadow, kinds): (String, BTreeMap<Kind, u64>)| Kept {
            shadow,
            total: kinds.values().sum(),
            differences: most_frequent(kinds),
        };
        report.kept = kinds.into_iter().map(kept).collect();
        Ok(report)
    }
}

fn tell(report: &Report) {
    for shadow in &report.shadows {
        let tally = &shadow.tally;
        say!(
            "{}@{}, since the host started: {} asked, {} equal, {} differing, {} failed{}",
            shadow.name,
            shadow.version,
            tally.evaluated,
            tally.equal,
            tally.differing,
            tally.failed,
            if tally.suspended { ", SUSPENDED" } else { "" }
        );
        tell_kinds(&shadow.differences);
    }
    for kept in &report.kept {
        say!(
            "{}, kept in the store: {} differing",
            kept.shadow,
            kept.total
        );
        tell_kinds(&kept.differences);
    }
    for row in &report.differences {
        say!(
            "{} {}.{}: {}; followed was {}",
            row.decision_id,
            row.family,
            row.function,
            flip(&row.active.said, &row.shadow.said),
            row.differs_from
        );
    }
    if let Some(next) = &report.next {
        say!("more with --after {next}");
    }
    if report.shadows.is_empty() && report.kept.is_empty() {
        say!("no module is a shadow, and no difference is kept");
    }
}

fn tell_kinds(kinds: &[KindCount]) {
    for KindCount { kind, count } in kinds {
        say!(
            "  {count} x {}: {}",
            kind.function,
            flip(&kind.active, &kind.shadow)
        );
    }
}

fn flip(active: &Said, shadow: &Said) -> String {
    format!("{} -> {}", words(active), words(shadow))
}

fn words(said: &Said) -> String {
    let effect = said.effect.as_ref().unwrap_or(&said.outcome);
    match &said.rule {
        Some(rule) => format!("{effect} by {rule}"),
        None => effect.clone(),
    }
}
