//! `policy prove A B`: equivalent, stricter, looser, or where they differ.

use std::time::Instant;

use gotong_prover::{Change, Comparison, Domain, ProveError, Relation, compare};
use serde_json::{Value, json};

use super::engine::{Confirm, disagree};
use super::{Failed, Prove, Subject, cubes_in_words, seconds};
use crate::{Outcome, ToolError, out, printable};

/// One function of both modules.
struct Compared {
    comparison: Comparison,
    domain: Domain,
    most_fuel: [u64; 2],
    cubes: [usize; 2],
    sampled: usize,
}

/// What there is no proof of.
#[derive(Default)]
struct Missing {
    /// Functions that cannot be proved, of modules that are one: the same bytes rule alike.
    same_bytes: Vec<String>,
    not_proved: Vec<NotProved>,
}

/// Why one function could not be compared.
struct NotProved {
    function: String,
    reason: String,
}

impl Prove {
    pub(super) fn compare(
        &self,
        begun: Instant,
        a: &Subject,
        b: &Subject,
    ) -> Result<Outcome, ToolError> {
        if a.module.family() != b.module.family() {
            return Err(Failed::Families {
                first: a.name(),
                first_family: a.module.family().to_owned(),
                second: b.name(),
                second_family: b.module.family().to_owned(),
            }
            .into());
        }
        let mut confirm = Confirm::new(vec![a, b]);
        let mut compared = Vec::new();
        let mut missing = Missing::default();
        for function in &a.module.functions {
            // Lists have no end. What a list form says is what the function itself says of each item.
            if a.module.list_form_of(function).is_some() {
                continue;
            }
            match self.function(a, b, &function.name, &mut confirm)? {
                Ok(one) => compared.push(one),
                // The same bytes rule alike, whether it can be proved or not.
                Err(_) if a.checked.digest == b.checked.digest => {
                    missing.same_bytes.push(function.name.clone());
                }
                Err(reason) => missing.not_proved.push(NotProved {
                    function: function.name.clone(),
                    reason: reason.to_string(),
                }),
            }
        }
        let relation = compared.iter().fold(Relation::Equivalent, |relation, one| {
            relation.and(one.comparison.relation)
        });
        if self.json {
            out::json_indented(&self.to_json((begun, a, b), relation, &compared, &missing));
        } else {
            self.tell((begun, a, b), relation, &compared, &missing);
        }
        let alike = matches!(
            relation,
            Relation::Equivalent | Relation::EquivalentInEffect
        );
        let not_proved = missing.not_proved;
        if relation == Relation::Undecided || (alike && !not_proved.is_empty()) {
            let mut reasons: Vec<String> = not_proved.into_iter().map(|one| one.reason).collect();
            if relation == Relation::Undecided {
                reasons
                    .push("numbers are computed by formulas that are written differently".into());
            }
            return Err(Failed::NotProved {
                relation: relation.as_str().to_owned(),
                reasons: reasons.join("; "),
            }
            .into());
        }
        Ok(Outcome::of(alike))
    }

    /// The inner error: it cannot be proved.
    fn function(
        &self,
        a: &Subject,
        b: &Subject,
        name: &str,
        confirm: &mut Confirm<'_>,
    ) -> Result<Result<Compared, ProveError>, ToolError> {
        let proved = || -> Result<_, ProveError> {
            let first = a.rulings(a.module.function(name)?)?;
            let second = b.rulings(b.module.function(name)?)?;
            let mut comparison = compare(&first, &second)?;
            comparison.settle(&a.module, &b.module)?;
            Ok((first, second, comparison))
        };
        let (first, second, comparison) = match proved() {
            Ok(proved) => proved,
            Err(reason) => return Ok(Err(reason)),
        };
        for group in comparison
            .groups
            .iter()
            .filter(|group| group.change != Change::Formula)
        {
            let found = confirm.ask(name, &group.example)?;
            if let [x, y] = &found[..]
                && x == y
            {
                return Err(disagree(name, &group.example, x).into());
            }
        }
        let sampled =
            confirm.sample(0, &first, self.sample)? + confirm.sample(1, &second, self.sample)?;
        Ok(Ok(Compared {
            domain: Domain::clone(&first.domain),
            most_fuel: [first.most_fuel, second.most_fuel],
            cubes: [first.covered().0, second.covered().0],
            comparison,
            sampled,
        }))
    }

    fn tell(
        &self,
        (begun, a, b): (Instant, &Subject, &Subject),
        relation: Relation,
        compared: &[Compared],
        missing: &Missing,
    ) {
        for one in compared {
            let comparison = &one.comparison;
            say!(
                "{}: {} ({} inputs in {} cubes; at most {} and {} fuel)",
                comparison.function,
                comparison.relation.as_str(),
                comparison.inputs.short(),
                comparison.cubes,
                one.most_fuel[0],
                one.most_fuel[1]
            );
            for group in &comparison.groups {
                let at_most = if group.at_most { "at most " } else { "" };
                say!(
                    "  {} -> {}: {at_most}{} inputs",
                    printable(&group.from),
                    printable(&group.to),
                    group.inputs
                );
                for line in cubes_in_words(&one.domain, &group.cubes, self.cubes) {
                    say!("    {line}");
                }
                say!("    for example {}", printable(&group.example.to_string()));
            }
            if one.sampled > 0 {
                say!("  {} inputs evaluated in the engine: the same", one.sampled);
            }
        }
        for function in &missing.same_bytes {
            say!(
                "{function}: the same bytes, so the same rulings; input by input it cannot be proved"
            );
        }
        for one in &missing.not_proved {
            say!("{}", printable(&one.reason));
        }
        for function in &a.module.functions {
            if let Some(of) = a.module.list_form_of(function) {
                say!(
                    "{}: {} for a list, and no part of the proof",
                    function.name,
                    of.name
                );
            }
        }
        for function in b
            .module
            .functions
            .iter()
            .filter(|function| a.module.function(&function.name).is_err())
        {
            say!("{}: only {} answers it", function.name, b.name());
        }
        let beside = match relation {
            Relation::Stricter | Relation::Looser => "than",
            Relation::Different => "from",
            _ => "to",
        };
        let part = if missing.not_proved.is_empty() {
            ""
        } else {
            " in what is proved"
        };
        say!(
            "{} is {} {beside} {}{part} ({})",
            b.name(),
            relation.as_str(),
            a.name(),
            seconds(begun)
        );
    }

    fn to_json(
        &self,
        (begun, a, b): (Instant, &Subject, &Subject),
        relation: Relation,
        compared: &[Compared],
        missing: &Missing,
    ) -> Value {
        let functions: Vec<Value> = compared
            .iter()
            .map(|one| {
                let groups: Vec<Value> = one
                    .comparison
                    .groups
                    .iter()
                    .map(|group| {
                        let cubes = group.cubes.iter().take(self.cubes);
                        let cubes: Vec<Value> = cubes
                            .map(|cube| {
                                json!({
                                    "when": one.domain.words(cube),
                                    "inputs": one.domain.count(cube).to_string(),
                                })
                            })
                            .collect();
                        json!({
                            "change": group.change.as_str(),
                            "from": group.from,
                            "to": group.to,
                            "inputs": group.inputs.to_string(),
                            "at_most": group.at_most,
                            "cubes": group.cubes.len(),
                            "largest_cubes": cubes,
                            "example": group.example,
                        })
                    })
                    .collect();
                json!({
                    "function": one.comparison.function,
                    "relation": one.comparison.relation.as_str(),
                    // Counts are beyond what JSON's numbers hold exactly.
                    "inputs": one.comparison.inputs.to_string(),
                    "cubes": one.comparison.cubes,
                    "cubes_of_each": one.cubes,
                    "most_fuel": one.most_fuel,
                    "evaluated_in_the_engine": one.sampled,
                    "differences": groups,
                })
            })
            .collect();
        let not_proved: Vec<Value> = missing
            .not_proved
            .iter()
            .map(|one| json!({ "function": one.function, "reason": one.reason }))
            .collect();
        json!({
            "first": a.to_json(),
            "second": b.to_json(),
            "relation": relation.as_str(),
            "functions": functions,
            "not_proved": not_proved,
            "same_bytes": missing.same_bytes,
            "milliseconds": begun.elapsed().as_millis() as u64,
        })
    }
}
