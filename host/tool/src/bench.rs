//! `policy bench`: how long the rulings of a module take, and what fuel, against the version that decides now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gotong_engine::build::{self, Package};
use gotong_engine::{Engine, Mode, Module, pin};
use serde_json::{Value, json};

use crate::cases::{self, Case};
use crate::folder::Policies;
use crate::given::{self, Given};
use crate::{Outcome, ToolError, out};

/// The arguments of `policy bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// A module: a file, `NAME@VERSION` of a pinned one, or `NAME` or the folder of a crate, which is built first
    #[arg(value_name = "FILE|NAME|DIR")]
    module: String,
    /// What to hold its fuel against: a file or a pinned module [default: the one of its name that decides]
    #[arg(long, value_name = "FILE|NAME")]
    against: Option<String>,
    /// Crate folder whose cases are asked [default: that of the module's name]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Fail when the fuel of a function grows by more than this
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0)]
    max_fuel_increase: f64,
    /// Evaluations of each case
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    times: u32,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    policies: Policies,
}

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("--max-fuel-increase `{0}` must be a number of percent, 0 or more")]
    Percent(f64),
    #[error("`{0}` is no policy of this workspace, so its cases are not known: say --cases DIR")]
    NoCases(String),
    #[error("`{against}` answers for the family {other}, `{module}` for {family}")]
    Family {
        module: String,
        family: gotong_engine::Family,
        against: String,
        other: gotong_engine::Family,
    },
}

/// What one function took.
#[derive(Debug, Default)]
struct Taken {
    cases: u64,
    times: Vec<Duration>,
    fuel: u64,
    most_fuel: u64,
    /// The fuel of the other module, on the same cases.
    before: Option<u64>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        if !self.max_fuel_increase.is_finite() || self.max_fuel_increase < 0.0 {
            return Err(BenchError::Percent(self.max_fuel_increase).into());
        }
        let (given, package) = self.given()?;
        let family = given.checked.metadata.family;
        let folder = match (&self.cases, package) {
            (Some(folder), _) => folder.clone(),
            (None, Some(package)) => package.folder,
            (None, None) => {
                return Err(BenchError::NoCases(given.checked.metadata.name.clone()).into());
            }
        };
        let cases = cases::read(family, &folder)?;
        let before = self.before(&given)?;
        let engine = Engine::new()?;
        let module = given.load(&engine)?;
        let before = before.map(|given| given.load(&engine)).transpose()?;
        if let Some(other) = before.as_ref().filter(|other| other.family() != family) {
            return Err(BenchError::Family {
                module: label(&module),
                family,
                against: label(other),
                other: other.family(),
            }
            .into());
        }
        let times = usize::try_from(self.times)?;
        let taken = take(&module, before.as_ref(), &cases, times)?;
        let worst = taken.values().filter_map(increase).fold(0.0, f64::max);
        let holds = worst <= self.max_fuel_increase;
        if self.json {
            out::json(&self.to_json(&module, before.as_ref(), &taken, holds));
        } else {
            self.print(&module, before.as_ref(), &taken);
        }
        Ok(Outcome::of(holds))
    }

    /// The module, and its crate where there is one.
    fn given(&self) -> Result<(Given, Option<Package>), ToolError> {
        let crates = || match self.policies.workspace() {
            Ok(workspace) => build::packages(&workspace).unwrap_or_default(),
            // Outside a workspace there is none.
            Err(_) => Vec::new(),
        };
        let named = |name: &str| crates().into_iter().find(|package| package.name == name);
        let is_folder = std::path::Path::new(&self.module).is_dir();
        if is_folder || named(&self.module).is_some() {
            let package = given::package(&self.module, &self.policies)?;
            let built = given::build(&package)?;
            let given = Given {
                from: self.module.clone(),
                bytes: built.bytes,
                checked: built.checked,
            };
            return Ok((given, Some(package)));
        }
        let given = given::file_or_pin(&self.module, &self.policies)?;
        let package = match &self.cases {
            Some(_) => None,
            None => named(&given.checked.metadata.name),
        };
        Ok((given, package))
    }

    fn before(&self, given: &Given) -> Result<Option<Given>, ToolError> {
        if let Some(against) = &self.against {
            return given::file_or_pin(against, &self.policies).map(Some);
        }
        // No folder, no pins: there is nothing to hold it against.
        let Ok(dir) = self.policies.open() else {
            return Ok(None);
        };
        let name = &given.checked.metadata.name;
        let decides = |pin: &&gotong_engine::Pin| pin.name == *name && pin.mode == Mode::Active;
        match pin::read_lock(&dir)?.pins().iter().find(decides) {
            Some(pin) => Ok(Some(given::pinned(&dir, pin, &self.policies)?)),
            None => Ok(None),
        }
    }

    fn print(&self, module: &Module, before: Option<&Module>, taken: &BTreeMap<String, Taken>) {
        say!("{} {}", label(module), module.digest());
        match before {
            Some(before) if before.digest() == module.digest() => {
                say!("fuel: this is the module that decides now");
            }
            Some(before) => say!("fuel: against {} {}", label(before), before.digest()),
            None => say!("fuel: no version of it decides yet"),
        }
        say!(
            "{:<14} {:>6} {:>10} {:>10} {:>10} {:>10} {:>10} {:>9}",
            "function",
            "cases",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "fuel",
            "most fuel",
            "change"
        );
        for (function, taken) in taken {
            let change = increase(taken);
            let mark = change.is_some_and(|change| change > self.max_fuel_increase);
            say!(
                "{function:<14} {:>6} {:>10.2} {:>10.2} {:>10.2} {:>10} {:>10} {:>9}{}",
                taken.cases,
                micros(taken, 0.5),
                micros(taken, 0.99),
                micros(taken, 0.999),
                taken.fuel / taken.cases.max(1),
                taken.most_fuel,
                change.map_or_else(|| "-".to_owned(), |change| format!("{change:+.1} %")),
                if mark { "  FAILED" } else { "" },
            );
        }
        say!("{}", measured());
    }

    fn to_json(
        &self,
        module: &Module,
        before: Option<&Module>,
        taken: &BTreeMap<String, Taken>,
        holds: bool,
    ) -> Value {
        let functions: BTreeMap<&String, Value> = taken
            .iter()
            .map(|(function, taken)| {
                let figures = json!({
                    "cases": taken.cases,
                    "p50_us": micros(taken, 0.5),
                    "p99_us": micros(taken, 0.99),
                    "p999_us": micros(taken, 0.999),
                    "fuel": taken.fuel,
                    "most_fuel": taken.most_fuel,
                    "fuel_before": taken.before,
                    "fuel_increase_percent": increase(taken),
                });
                (function, figures)
            })
            .collect();
        json!({
            "module": label(module),
            "digest": module.digest(),
            "against": before.map(|before| json!({"module": label(before), "digest": before.digest()})),
            "max_fuel_increase_percent": self.max_fuel_increase,
            "functions": functions,
            "optimised": !cfg!(debug_assertions),
            "holds": holds,
        })
    }
}

/// Asks every case; the times of all cases of a function are one distribution.
fn take(
    module: &Module,
    before: Option<&Module>,
    cases: &[Case],
    times: usize,
) -> Result<BTreeMap<String, Taken>, ToolError> {
    let mut all: BTreeMap<String, Taken> = BTreeMap::new();
    for case in cases {
        let wrong = |error| case.wrong(format!("input: {error}"));
        let fuel = module.ask(&case.function, &case.input).map_err(wrong)?;
        let fuel = fuel.record.fuel;
        let taken = all.entry(case.function.clone()).or_default();
        taken.cases += 1;
        taken.fuel += fuel;
        taken.most_fuel = taken.most_fuel.max(fuel);
        if let Some(before) = before {
            let asked = before.ask(&case.function, &case.input).map_err(wrong)?;
            // Of an older contract it may not have the function: then there is nothing to compare.
            if asked.record.output.is_some() {
                *taken.before.get_or_insert(0) += asked.record.fuel;
            }
        }
        let measured = module.time(&case.function, &case.input, times);
        taken.times.extend(measured.map_err(wrong)?);
    }
    for taken in all.values_mut() {
        taken.times.sort_unstable();
    }
    Ok(all)
}

/// By how many percent the fuel grew.
fn increase(taken: &Taken) -> Option<f64> {
    let before = taken.before.filter(|before| *before > 0)?;
    Some((taken.fuel as f64 / before as f64 - 1.0) * 100.0)
}

fn micros(taken: &Taken, share: f64) -> f64 {
    let last = taken.times.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    let time = taken.times.get(place).copied().unwrap_or_default();
    time.as_secs_f64() * 1e6
}

fn label(module: &Module) -> String {
    format!("{}@{}", module.name(), module.version())
}

const fn measured() -> &'static str {
    if cfg!(debug_assertions) {
        "fuel is exact; the times are those of a program without optimisation: build with --release to compare them"
    } else {
        "fuel is exact; each time is one evaluation in a fresh instance"
    }
}
