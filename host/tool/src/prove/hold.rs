//! `policy prove A --holds FILE`: stated properties, for every input.

use std::path::Path;
use std::time::Instant;

use gotong_engine::input;
use gotong_prover::{Properties, Rulings, Verdict};
use serde_json::{Value, json};

use super::engine::{Confirm, disagree};
use super::{Failed, Prove, Subject, cubes_in_words, seconds};
use crate::{Outcome, ToolError, out, printable};

impl Prove {
    pub(super) fn hold(
        &self,
        begun: Instant,
        subject: &Subject,
        file: &Path,
    ) -> Result<Outcome, ToolError> {
        let text = input::read_text(file).map_err(|source| Failed::Read {
            file: file.to_owned(),
            source,
        })?;
        let properties =
            Properties::read(&text, &subject.module).map_err(|source| Failed::Properties {
                file: file.to_owned(),
                source,
            })?;
        let mut confirm = Confirm::new(vec![subject]);
        let mut known: Vec<Rulings> = Vec::new();
        let mut verdicts: Vec<Verdict> = Vec::new();
        for property in &properties.list {
            let unproved = |source| Failed::Module {
                file: subject.file.clone(),
                source,
            };
            if !known
                .iter()
                .any(|rulings| rulings.function == property.function)
            {
                let function = subject
                    .module
                    .function(&property.function)
                    .map_err(unproved)?;
                let rulings = subject.rulings(function).map_err(unproved)?;
                confirm.sample(0, &rulings, self.sample)?;
                known.push(rulings);
            }
            let rulings = known
                .iter()
                .find(|rulings| rulings.function == property.function);
            // It has just been put there.
            let Some(rulings) = rulings else { continue };
            let verdict = property.hold(rulings).map_err(unproved)?;
            if let Some(violation) = &verdict.violation {
                let found = confirm.ask(&property.function, &violation.example)?;
                if let [found] = &found[..]
                    && property.is_met_by(found)
                {
                    return Err(disagree(&property.function, &violation.example, found).into());
                }
            }
            verdicts.push(verdict);
        }
        let violated = verdicts
            .iter()
            .filter(|verdict| verdict.violation.is_some())
            .count();
        if self.json {
            out::json_indented(&self.held_json(begun, subject, &known, &verdicts));
        } else {
            self.tell_held(&known, &verdicts);
            let inputs: Vec<String> = known
                .iter()
                .map(|rulings| format!("{} of {}", rulings.inputs().short(), rulings.function))
                .collect();
            say!(
                "{}: {} of {} properties hold, over all inputs: {} ({})",
                subject.name(),
                verdicts.len() - violated,
                verdicts.len(),
                inputs.join(", "),
                seconds(begun)
            );
        }
        Ok(Outcome::of(violated == 0))
    }

    fn tell_held(&self, known: &[Rulings], verdicts: &[Verdict]) {
        for verdict in verdicts {
            let Some(violation) = &verdict.violation else {
                say!(
                    "holds: {} ({} inputs)",
                    printable(&verdict.name),
                    verdict.inputs.short()
                );
                continue;
            };
            say!(
                "VIOLATED: {} ({} of {} inputs)",
                printable(&verdict.name),
                violation.inputs,
                verdict.inputs
            );
            if let Some(rulings) = known
                .iter()
                .find(|rulings| rulings.function == verdict.function)
            {
                for line in cubes_in_words(&rulings.domain, &violation.cubes, self.cubes) {
                    say!("    {line}");
                }
            }
            say!(
                "    for example {}",
                printable(&violation.example.to_string())
            );
            say!("    is ruled {}", printable(&violation.ruling.to_string()));
        }
    }

    fn held_json(
        &self,
        begun: Instant,
        subject: &Subject,
        known: &[Rulings],
        verdicts: &[Verdict],
    ) -> Value {
        let functions: Vec<Value> = known
            .iter()
            .map(|rulings| {
                json!({
                    "function": rulings.function,
                    "inputs": rulings.inputs().to_string(),
                    "cubes": rulings.covered().0,
                    "most_fuel": rulings.most_fuel,
                })
            })
            .collect();
        let properties: Vec<Value> = verdicts
            .iter()
            .map(|verdict| {
                let violation = verdict.violation.as_ref().map(|violation| {
                    let rulings = known
                        .iter()
                        .find(|rulings| rulings.function == verdict.function);
                    let when = rulings.zip(violation.cubes.first());
                    json!({
                        "inputs": violation.inputs.to_string(),
                        "cubes": violation.cubes.len(),
                        "largest_cube": when.map(|(rulings, cube)| rulings.domain.words(cube)),
                        "example": violation.example,
                        "ruling": violation.ruling,
                    })
                });
                json!({
                    "name": verdict.name,
                    "function": verdict.function,
                    "inputs": verdict.inputs.to_string(),
                    "holds": verdict.violation.is_none(),
                    "violation": violation,
                })
            })
            .collect();
        json!({
            "module": subject.to_json(),
            "holds": verdicts.iter().all(|verdict| verdict.violation.is_none()),
            "properties": properties,
            "functions": functions,
            "milliseconds": begun.elapsed().as_millis() as u64,
        })
    }
}
