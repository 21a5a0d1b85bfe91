//! `policy prove`: what holds for every input there is, by proof.

mod compare;
mod engine;
mod hold;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{ArgGroup, Args};
use gotong_engine::{Checked, cores};
use gotong_prover::{Domain, Function, Module, ProveError, Range, Rulings, rulings};
use serde_json::{Value, json};

use crate::given;
use crate::{Outcome, ToolError};

/// The arguments of `policy prove`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("question").required(true).args(["other", "holds"])))]
pub struct Prove {
    /// A module
    file: PathBuf,
    /// Another module of the same family: what is it beside the first?
    other: Option<PathBuf>,
    /// A file of properties (TOML), to hold against the module
    #[arg(long, value_name = "FILE")]
    holds: Option<PathBuf>,
    /// How many cubes of one difference are told; the counts are always of all
    #[arg(long, value_name = "N", default_value_t = 3)]
    cubes: usize,
    /// Evaluate the smallest input of so many cubes of every function in the engine too
    #[arg(long, value_name = "N", default_value_t = 0)]
    sample: usize,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// What is wrong, beside the module itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("`{}`", file.display())]
    Module { file: PathBuf, source: ProveError },
    #[error("`{}` cannot be read as text", file.display())]
    Read {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}`", file.display())]
    Properties {
        file: PathBuf,
        source: gotong_prover::PropertyError,
    },
    #[error(
        "`{first}` is of the family {first_family}, `{second}` of {second_family}: compare modules of one family"
    )]
    Families {
        first: String,
        first_family: String,
        second: String,
        second_family: String,
    },
    #[error("{relation} as far as it is proved, and not all of it can be: {reasons}")]
    NotProved { relation: String, reasons: String },
    #[error(
        "`{function}`: {found} in the engine for {facts}: the prover and the engine do not agree, which is a bug; nothing was proved"
    )]
    Engine {
        function: String,
        facts: String,
        found: String,
    },
}

/// A module that is to be proved something about.
pub(crate) struct Subject {
    pub(crate) file: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) checked: Checked,
    pub(crate) module: Module,
}

impl Subject {
    fn read(file: &Path) -> Result<Self, ToolError> {
        let given = given::file(file)?;
        let module = Module::read(&given.bytes).map_err(|source| Failed::Module {
            file: file.to_owned(),
            source,
        })?;
        Ok(Self {
            file: file.to_owned(),
            bytes: given.bytes,
            checked: given.checked,
            module,
        })
    }

    /// `name version`
    pub(crate) fn name(&self) -> String {
        let says = &self.checked.metadata;
        format!("{} {}", says.name, says.version)
    }

    fn to_json(&self) -> Value {
        let says = &self.checked.metadata;
        json!({ "name": says.name, "version": says.version, "digest": self.checked.digest })
    }

    /// All rulings of one question, on every core.
    pub(crate) fn rulings(&self, function: &Function) -> Result<Rulings, ProveError> {
        rulings(&self.module, function, cores().get())
    }
}

impl Prove {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let begun = Instant::now();
        let subject = Subject::read(&self.file)?;
        match (&self.other, &self.holds) {
            (Some(other), _) => self.compare(begun, &subject, &Subject::read(other)?),
            (None, Some(file)) => self.hold(begun, &subject, file),
            // The command line asks for one of the two.
            (None, None) => Ok(Outcome::Held),
        }
    }
}

/// The first cubes in words, and how many more there are.
fn cubes_in_words(domain: &Domain, cubes: &[Vec<Range>], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = cubes
        .iter()
        .take(most)
        .map(|cube| format!("{}: {} inputs", domain.words(cube), domain.count(cube)))
        .collect();
    if cubes.len() > most {
        lines.push(format!(
            "and {} more cubes: see them with `--cubes {}`",
            cubes.len() - most,
            cubes.len()
        ));
    }
    lines
}

fn seconds(begun: Instant) -> String {
    format!("{:.2} s", begun.elapsed().as_secs_f64())
}
