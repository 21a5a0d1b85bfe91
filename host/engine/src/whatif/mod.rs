//! What would have changed if another module had decided?
//!
//! Each recorded decision of a module is evaluated by a candidate, and what comes out is held against what was
//! recorded. The record is taken as it is: whether it is true, a replay says.

mod difference;
mod evaluate;
mod fuel;
mod minimise;
mod report;

pub use difference::{Class, Kind};
pub use fuel::Fuel;
pub use report::{Example, Generated, Group, Name, Report, RuleTexts};

use std::collections::BTreeMap;

use crate::decision::Decision;
use crate::engine::Engine;
use crate::module::{Module, Outcome};
use crate::policies::LoadError;
use crate::record::Record;
use crate::replay::parallel::{self, Run};
use crate::replay::{ModuleSet, entry, tampered};
use crate::shape;
use difference::differences;
use evaluate::{Ended, evaluate};
use report::Part;

/// A module that might have decided, and the name of those it is held against.
#[derive(Debug)]
pub struct Candidate {
    name: String,
    module: Module,
}

impl Candidate {
    /// A module in the place of every version of the module `name`.
    ///
    /// # Errors
    /// When it fails the load-time check or cannot be used.
    pub fn new(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        Ok(Self {
            name: name.to_owned(),
            module: Module::from_bytes(engine, bytes)?,
        })
    }

    /// The name of the modules whose decisions it is held against.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The candidate itself.
    pub fn module(&self) -> &Module {
        &self.module
    }
}

/// Holds a candidate against a stream of decisions, on several threads. `read` makes a decision of an item; `None`
/// leaves it out, and so does another module's name. `modules` has the modules of the record, for the texts of their
/// rules and for making inputs smaller; without them there is neither.
///
/// # Errors
/// The source's or `read`'s.
pub fn compare<M, T, E>(
    candidate: &Candidate,
    modules: &M,
    run: &Run<'_>,
    source: impl Iterator<Item = Result<T, E>>,
    size: impl Fn(&T) -> usize,
    read: impl Fn(T) -> Result<Option<Decision>, E> + Sync,
) -> Result<Report, E>
where
    M: ModuleSet + Sync,
    T: Send,
    E: Send,
{
    let each = |part: &mut Part, place, item| {
        if let Some(decision) = read(item)?
            && decision.module_name == candidate.name
        {
            one(candidate, part, place, decision);
        }
        Ok(())
    };
    let parts = parallel::fold(run, source, size, Part::default, each)?;
    let mut whole = Part::default();
    for part in parts {
        whole.merge(part);
    }
    Ok(Report::new(candidate, modules, whole))
}

fn one(candidate: &Candidate, part: &mut Part, place: u64, decision: Decision) {
    let decision_id = decision.decision_id.clone();
    let unsound = |part: &mut Part, why: String| {
        part.unsound += 1;
        *entry(&mut part.not_compared, &why) += 1;
    };
    let record = match decision.into_record() {
        Ok(record) => record,
        Err(error) => return unsound(part, format!("the record does not hold: {error}")),
    };
    let module = &candidate.module;
    if record.family != module.family() {
        part.other_family = Some(record.family);
        return;
    }
    if tampered(&record).is_some() {
        let why = "the record does not hold: its digests are not those of its own texts";
        return unsound(part, why.to_owned());
    }
    if !record.outcome.is_replayable() {
        let why = format!(
            "it ended as {}, which depends on the machine",
            record.outcome.as_str()
        );
        *entry(&mut part.not_compared, &why) += 1;
        return;
    }
    let recorded = match Ended::recorded(&record) {
        Ok(recorded) => recorded,
        Err(error) => return unsound(part, format!("the record does not hold: {error}")),
    };
    match evaluate(module, &record.function, &record.input) {
        Ok((found, _)) if found.outcome == Outcome::EngineError && !found.lacking => {
            *entry(&mut part.not_compared, "the engine failed on the candidate") += 1;
        }
        Ok((found, fuel)) => compared(
            part,
            place,
            decision_id,
            &record,
            (recorded, found),
            fuel,
            module,
        ),
        Err(why) => unsound(part, format!("the record does not hold: {why}")),
    }
}

fn compared(
    part: &mut Part,
    place: u64,
    decision_id: String,
    record: &Record,
    (recorded, found): (Ended, Ended),
    fuel: u64,
    candidate: &Module,
) {
    part.decisions += 1;
    *entry(
        &mut part.recorded_by,
        &format!(
            "{}@{} {}",
            record.module.name, record.module.version, record.module.digest
        ),
    ) += 1;
    if recorded.value.is_some() && found.value.is_some() && record.engine == candidate.fingerprint()
    {
        part.fuel.add(record.fuel, fuel);
    }
    if recorded == found {
        part.same += 1;
        return;
    }
    let ruling = shape::of(record.family, &record.function).map(|(_, ruling)| ruling);
    let verdict = ruling.as_ref().and_then(shape::Shape::verdict_field);
    // One of each kind, however often it stands in a list.
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    for kind in differences(&record.function, verdict, &recorded, &found) {
        *kinds.entry(kind).or_default() += 1;
    }
    for (kind, count) in kinds {
        part.change(kind, count, place, &decision_id, record, &recorded, &found);
    }
}
