//! What a comparison found, in a shape that stays.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::difference::differences;
use super::evaluate::{Ended, evaluate};
use super::fuel::{Deltas, Fuel};
use super::minimise::minimise;
use super::{Candidate, Class, Kind};
use crate::contract::Family;
use crate::digest::Digest;
use crate::record::Record;
use crate::replay::{LISTED, ModuleSet};
use crate::shape;

/// How many kinds of differences are told apart: a forged source must not fill the memory.
const KINDS: usize = 250;

/// The longest facts that are kept as an example, in bytes.
const MAX_EXAMPLE: usize = 64 << 10;

/// Evaluations that making one input plainer may take.
const EVALUATIONS: usize = 1_000;

/// What would have changed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The module that might have decided.
    pub candidate: Name,
    /// The name of the modules that did decide.
    pub name: String,
    /// How many of their decisions were compared.
    pub decisions: u64,
    /// How many the candidate decides the same, in every field.
    pub same: u64,
    /// How many it does not.
    pub changed: u64,
    /// Records that do not hold together: replay them. They are among `not_compared`.
    pub unsound: u64,
    /// Why decisions were not compared, and how many.
    pub not_compared: BTreeMap<String, u64>,
    /// Who made those that were compared, by `name@version digest`.
    pub recorded_by: BTreeMap<String, u64>,
    /// The verdict would have been another.
    pub flips: Vec<Group>,
    /// There would have been no ruling.
    pub failures: Vec<Group>,
    /// There would have been a ruling where there was none.
    pub repairs: Vec<Group>,
    /// The same verdict, otherwise.
    pub others: Vec<Group>,
    /// Changes of further kinds than are told apart.
    pub further: u64,
    /// What the rules say that are named above.
    pub rules: BTreeMap<String, RuleTexts>,
    /// Fuel; none when nothing could be compared.
    pub fuel: Option<Fuel>,
    /// Set when the modules of that name answer for another family than the candidate: then nothing was compared.
    pub other_family: Option<Family>,
}

/// A module.
#[derive(Clone, Debug, Serialize)]
pub struct Name {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: Digest,
    /// Its family.
    pub family: Family,
}

/// The text of a rule, where a module has it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleTexts {
    /// As the modules of the record say it.
    pub recorded: Option<String>,
    /// As the candidate does.
    pub candidate: Option<String>,
}

/// Every decision that differs in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// In which.
    #[serde(flatten)]
    pub kind: Kind,
    /// How many rulings. A list answers with many, so this may be more than there are decisions.
    pub rulings: u64,
    /// How many decisions.
    pub decisions: u64,
    /// The first of them.
    pub listed: Vec<String>,
    /// The one with the smallest facts.
    pub smallest: Option<Example>,
    /// Plainer facts with the same difference.
    pub minimised: Option<Generated>,
    #[serde(skip)]
    places: BTreeMap<u64, String>,
}

/// A decision that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// Which.
    pub decision_id: String,
    /// Its facts.
    pub input: Value,
    /// What was ruled.
    pub recorded: Value,
    /// What would have been.
    pub candidate: Value,
    #[serde(skip)]
    text: String,
    #[serde(skip)]
    module: Digest,
}

/// Facts that nobody was asked, and what both modules make of them.
#[derive(Clone, Debug, Serialize)]
pub struct Generated {
    /// Always true: this is no decision.
    pub generated: bool,
    /// The facts.
    pub input: Value,
    /// What the module of the smallest decision rules.
    pub recorded: Value,
    /// What the candidate does.
    pub candidate: Value,
}

/// What one thread found.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) decisions: u64,
    pub(super) same: u64,
    pub(super) unsound: u64,
    pub(super) not_compared: BTreeMap<String, u64>,
    pub(super) recorded_by: BTreeMap<String, u64>,
    pub(super) fuel: Deltas,
    pub(super) other_family: Option<Family>,
    groups: BTreeMap<Kind, Group>,
    further: u64,
}

impl Part {
    #[allow(clippy::too_many_arguments, reason = "one decision in its parts")]
    pub(super) fn change(
        &mut self,
        kind: Kind,
        rulings: u64,
        place: u64,
        decision_id: &str,
        record: &Record,
        recorded: &Ended,
        found: &Ended,
    ) {
        if self.groups.len() >= KINDS && !self.groups.contains_key(&kind) {
            self.further += rulings;
            return;
        }
        let group = self
            .groups
            .entry(kind)
            .or_insert_with_key(|kind| Group::of(kind.clone()));
        group.rulings += rulings;
        group.decisions += 1;
        group.list(place, decision_id);
        let smaller = group
            .smallest
            .as_ref()
            .is_none_or(|smallest| smallest.is_after(&record.input, decision_id));
        if smaller && record.input.len() <= MAX_EXAMPLE {
            group.smallest = Some(Example {
                decision_id: decision_id.to_owned(),
                input: serde_json::from_str(&record.input).unwrap_or_default(),
                recorded: recorded.shown(),
                candidate: found.shown(),
                text: record.input.clone(),
                module: record.module.digest,
            });
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.same += other.same;
        self.unsound += other.unsound;
        self.further += other.further;
        self.fuel.merge(other.fuel);
        self.other_family = self.other_family.or(other.other_family);
        for (into, from) in [
            (&mut self.not_compared, other.not_compared),
            (&mut self.recorded_by, other.recorded_by),
        ] {
            for (key, count) in from {
                *crate::replay::entry(into, &key) += count;
            }
        }
        for (kind, group) in other.groups {
            if self.groups.len() >= KINDS && !self.groups.contains_key(&kind) {
                self.further += group.rulings;
                continue;
            }
            match self.groups.get_mut(&kind) {
                Some(mine) => mine.merge(group),
                None => drop(self.groups.insert(kind, group)),
            }
        }
    }
}

impl Example {
    /// The shorter text comes first; of two as short the first by its bytes, then the earlier decision: the same
    /// on any number of threads.
    fn is_after(&self, text: &str, decision_id: &str) -> bool {
        (text.len(), text, decision_id) < (self.text.len(), &self.text, &self.decision_id)
    }
}

impl Group {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            rulings: 0,
            decisions: 0,
            listed: Vec::new(),
            smallest: None,
            minimised: None,
            places: BTreeMap::new(),
        }
    }

    fn list(&mut self, place: u64, decision_id: &str) {
        self.places.insert(place, decision_id.to_owned());
        if self.places.len() > LISTED {
            self.places.pop_last();
        }
    }

    fn merge(&mut self, other: Self) {
        self.rulings += other.rulings;
        self.decisions += other.decisions;
        for (place, decision_id) in other.places {
            self.list(place, &decision_id);
        }
        let theirs = other.smallest.filter(|theirs| {
            let mine = self.smallest.as_ref();
            mine.is_none_or(|mine| mine.is_after(&theirs.text, &theirs.decision_id))
        });
        if theirs.is_some() {
            self.smallest = theirs;
        }
    }

    /// Plainer facts, where the module that decided is at hand.
    fn minimise<M: ModuleSet>(&mut self, candidate: &Candidate, modules: &M) {
        let Some(smallest) = &self.smallest else {
            return;
        };
        let (family, function) = (candidate.module.family(), &self.kind.function);
        let (Some(before), Some((facts, ruling))) = (
            modules.module(&smallest.module),
            shape::of(family, function),
        ) else {
            return;
        };
        let both = |facts: &Value| {
            let input = facts.to_string();
            let (recorded, _) = evaluate(before, function, &input).ok()?;
            let (found, _) = evaluate(&candidate.module, function, &input).ok()?;
            Some((recorded, found))
        };
        let differs = |facts: &Value| {
            both(facts).is_some_and(|(recorded, found)| {
                differences(function, ruling.verdict_field(), &recorded, &found)
                    .contains(&self.kind)
            })
        };
        // A forged record differs from its own module: there is nothing to make plainer then.
        if !differs(&smallest.input) {
            return;
        }
        let mut left = EVALUATIONS;
        let input = minimise(&facts, &smallest.input, |facts| {
            left = left.saturating_sub(1);
            left > 0 && differs(facts)
        });
        self.minimised = both(&input).map(|(recorded, found)| Generated {
            generated: true,
            input,
            recorded: recorded.shown(),
            candidate: found.shown(),
        });
    }
}

impl Report {
    pub(super) fn new<M: ModuleSet>(candidate: &Candidate, modules: &M, part: Part) -> Self {
        let mut groups: Vec<Group> = part.groups.into_values().collect();
        let mut rules: BTreeMap<String, RuleTexts> = BTreeMap::new();
        for group in &mut groups {
            group.minimise(candidate, modules);
            group.listed = std::mem::take(&mut group.places).into_values().collect();
            let named: BTreeSet<&String> = group
                .kind
                .from_rule
                .iter()
                .chain(&group.kind.to_rule)
                .collect();
            let before = group
                .smallest
                .as_ref()
                .and_then(|smallest| modules.module(&smallest.module));
            for rule in named {
                let texts = rules.entry(rule.clone()).or_default();
                let text =
                    |module: &crate::module::Module| module.rule_text(rule).map(str::to_owned);
                texts.recorded = texts.recorded.take().or_else(|| before.and_then(text));
                texts.candidate = text(&candidate.module);
            }
        }
        // The most frequent first; the map's order among equals.
        groups.sort_by_key(|group| std::cmp::Reverse(group.rulings));
        let mut of = |class: Class| -> Vec<Group> {
            groups
                .extract_if(.., |group| group.kind.class == class)
                .collect()
        };
        let module = &candidate.module;
        Self {
            candidate: Name {
                name: module.name().to_owned(),
                version: module.version().to_owned(),
                digest: module.digest(),
                family: module.family(),
            },
            name: candidate.name.clone(),
            decisions: part.decisions,
            same: part.same,
            changed: part.decisions - part.same,
            unsound: part.unsound,
            not_compared: part.not_compared,
            recorded_by: part.recorded_by,
            flips: of(Class::Flip),
            failures: of(Class::Failure),
            repairs: of(Class::Repair),
            others: of(Class::Other),
            further: part.further,
            rules,
            fuel: part.fuel.figures(),
            other_family: part.other_family,
        }
    }

    /// Whether nothing would have changed, as far as the records hold together.
    pub fn holds(&self) -> bool {
        self.changed == 0 && self.unsound == 0
    }
}
