//! All of one run: measured, printed, drawn.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use crate::comparison::{
    self, CACHE_HIT, CEDAR, EXTISM_FRESH, EXTISM_POOLED, ISOLATED, MACHINE, NATIVE, REGO,
};
use crate::conditions::Conditions;
use crate::growth::{self, Point};
use crate::plots::{self, time};
use crate::rounds::{Contender, Effort, Measured, measure};
use crate::threads::{self, Throughput};
use crate::{BenchError, evaluation, memory, policies, tiers, votes};

/// What p50s and ratios are meant to reach.
const AIMS: [(&str, Aim); 5] = [
    ("isolated_p50_ns", Aim::AtMost(3_000.0)),
    ("cache_hit_p50_ns", Aim::AtMost(300.0)),
    ("ratio_cedar", Aim::AtLeast(3.0)),
    ("ratio_regorus", Aim::AtLeast(4.0)),
    ("ratio_extism_fresh", Aim::AtLeast(100.0)),
];

#[derive(Clone, Copy, Debug)]
enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

/// Everything but the votes, which need a host.
#[derive(Debug, Serialize)]
pub struct Report {
    pub conditions: Conditions,
    pub comparison: comparison::Report,
    pub tiers: Vec<Measured>,
    pub families: evaluation::Report,
    pub threads: Vec<Throughput>,
    pub growth_of_rules: Vec<Point>,
    pub growth_of_findings: Vec<Point>,
    pub growth_of_lists: Vec<Point>,
    pub memory: memory::Report,
    pub votes: Option<votes::Report>,
    pub seconds: u64,
}

impl Report {
    /// # Errors
    /// When something cannot be measured.
    pub fn measure(conditions: Conditions) -> Result<Self, BenchError> {
        let started = Instant::now();
        let quick = conditions.quick;
        let effort = Effort::of(quick);
        let policies = policies()?;
        let module = policies.for_question::<gotong_engine::role_matrix::AuthorizeFacts>();
        let comparison = comparison::run(module, effort)?;
        let mut contenders: Vec<Contender<'_>> = tiers::contenders()?;
        let tiers = measure(&mut contenders, effort)?;
        drop(contenders);
        let turn = Duration::from_millis(if quick { 100 } else { 500 });
        let threads = threads::run(module, effort.rounds, turn)?;
        let growth_of_rules = growth::rules(policies.engine(), effort.shortened())?;
        let growth_of_findings = growth::findings(&policies, effort.shortened())?;
        let growth_of_lists = growth::lists(&policies, effort.shortened())?;
        let families = evaluation::measure(&policies, effort.shortened())?;
        let memory = memory::run(if quick { 105 } else { 500 })?;
        Ok(Self {
            conditions,
            comparison,
            tiers,
            families,
            threads,
            growth_of_rules,
            growth_of_findings,
            growth_of_lists,
            memory,
            votes: None,
            seconds: started.elapsed().as_secs(),
        })
    }

    /// The figures that the aims speak of, and a few more: `null` for what was not measured.
    pub fn headline(&self) -> Value {
        let cores = self.threads.last();
        json!({
            "isolated_p50_ns": self.comparison.p50(ISOLATED),
            "native_p50_ns": self.comparison.p50(NATIVE),
            "cache_hit_p50_ns": self.comparison.p50(CACHE_HIT),
            "ratio_cedar": self.comparison.ratio(CEDAR),
            "ratio_regorus": self.comparison.ratio(REGO),
            "ratio_regorus_vm": self.comparison.ratio(MACHINE),
            "ratio_extism_fresh": self.comparison.ratio(EXTISM_FRESH),
            "ratio_extism_fresh_pooled": self.comparison.ratio(EXTISM_POOLED),
            "decisions_per_second_per_core": cores.map(|all| all.decisions_per_second_per_core),
            "kib_per_module": self.memory.kib_per_module,
        })
    }

    /// One object: the headline, and everything below `run`.
    ///
    /// # Errors
    /// When a figure is no JSON number.
    pub fn json(&self) -> Result<Value, BenchError> {
        let mut line = self.headline();
        line["run"] = serde_json::to_value(self)?;
        Ok(line)
    }

    /// The tables, on stdout.
    pub fn print(&self) {
        if let Some(agreement) = self.comparison.agreement {
            println!(
                "all peers gave the module's answers to {} questions ({} allowed, {} different reasons)\n",
                agreement.questions, agreement.allowed, agreement.reasons
            );
        }
        table("authorize, a participant votes", &self.comparison.vote);
        table(
            "authorize, every action, role and level in turn",
            &self.comparison.mixed,
        );
        table("what each part of an evaluation costs", &self.tiers);
        table("other questions", &self.families.questions);
        println!(
            "{:<52} {:>9} ms, from the cache {} ms\n",
            "all policies loaded and compiled", self.families.load_ms, self.families.load_cached_ms
        );
        for each in &self.threads {
            println!(
                "{:<52} {:>9.0} decisions/s, {:.0} a core",
                format!("{} thread(s)", each.threads),
                each.decisions_per_second,
                each.decisions_per_second_per_core
            );
        }
        println!();
        for point in &self.growth_of_rules {
            table(
                &format!("{} rules, the last one decides", point.size),
                &point.measured,
            );
        }
        for point in &self.growth_of_findings {
            table(
                &format!("{} findings, the last one decides", point.size),
                &point.measured,
            );
        }
        for point in &self.growth_of_lists {
            table(
                &format!("a page of {} entities", point.size),
                &point.measured,
            );
        }
        for point in &self.memory.points {
            println!(
                "{:<52} {:>9} KiB resident, loaded in {} ms",
                format!("{} modules", point.modules),
                point.resident_kib,
                point.load_ms
            );
        }
        println!(
            "{:<52} {:>9.1} KiB\n",
            "a module", self.memory.kib_per_module
        );
        if let Some(votes) = &self.votes {
            for (name, each) in [
                ("POST vote end to end, one client", &votes.sequential),
                ("POST vote end to end, eight clients", &votes.eight_clients),
            ] {
                println!(
                    "{name:<52} {:>9} p50 {:>9} p99 {:>9} p99.9",
                    time(each.p50_ns as f64),
                    time(each.p99_ns as f64),
                    time(each.p999_ns as f64)
                );
            }
            println!(
                "{:<52} {:>9.0} /s\n",
                "votes, eight clients", votes.votes_per_second
            );
        }
        let headline = self.headline();
        for (key, aim) in AIMS {
            println!("{}", verdict(key, aim, headline[key].as_f64()));
        }
    }

    /// The plots, into a folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn draw(&self, folder: &Path) -> Result<(), BenchError> {
        std::fs::create_dir_all(folder)?;
        plots::bars(
            &folder.join("authorize.svg"),
            "One question of the role matrix: a participant votes",
            &self.comparison.vote,
        )?;
        plots::bars(
            &folder.join("tiers.svg"),
            "What each part of an evaluation costs",
            &self.tiers,
        )?;
        plots::growth(
            &folder.join("rules.svg"),
            "A list of rules, of which the last one decides",
            "rules",
            &self.growth_of_rules,
        )?;
        plots::growth(
            &folder.join("findings.svg"),
            "A scan's findings, of which the last one decides",
            "findings",
            &self.growth_of_findings,
        )?;
        plots::growth(
            &folder.join("lists.svg"),
            "A page of entities: one list, or a question at a time",
            "entities",
            &self.growth_of_lists,
        )?;
        plots::memory(&folder.join("modules.svg"), &self.memory)
    }
}

fn table(title: &str, measured: &[Measured]) {
    println!("{title}");
    for each in measured {
        println!(
            "  {:<50} {:>9} p50 {:>9} p99 {:>9} p99.9  (p50 of rounds {} to {}, {} calls)",
            each.name,
            time(each.p50_ns),
            time(each.p99_ns),
            time(each.p999_ns),
            time(each.p50_range_ns[0]),
            time(each.p50_range_ns[1]),
            each.calls
        );
    }
    println!();
}

fn verdict(key: &str, aim: Aim, measured: Option<f64>) -> String {
    let (wanted, met) = match (aim, measured) {
        (Aim::AtMost(most), measured) => (
            format!("at most {most}"),
            measured.map(|measured| measured <= most),
        ),
        (Aim::AtLeast(least), measured) => (
            format!("at least {least}"),
            measured.map(|measured| measured >= least),
        ),
    };
    let figure = measured.map_or("not measured".to_owned(), |measured| {
        format!("{measured:.1}")
    });
    let verdict = match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not measured",
    };
    format!("{key:<52} {figure:>12}   aim {wanted}: {verdict}")
}
