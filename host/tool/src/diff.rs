//! `policy diff`: two modules, asked the same questions.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use gotong_engine::bundle::{self, RawDecision};
use gotong_engine::draw::{Draw, numbers};
use gotong_engine::whatif::{self, Candidate};
use gotong_engine::{Circumstances, Decision, Digest, Engine, Family, Module, ModuleSet, Run};
use gotong_engine::{build, input};
use serde_json::{Value, json};

use crate::cases;
use crate::folder::Policies;
use crate::given::{self, Given};
use crate::replay::report_text;
use crate::{Outcome, ToolError, out, printable};

/// The arguments of `policy diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// A module: a file, or `NAME` or `NAME@VERSION` of a pinned one
    #[arg(value_name = "A")]
    one: String,
    /// The module that might decide in its place
    #[arg(value_name = "B")]
    other: String,
    /// How many questions are generated for each function, from nothing and from recorded ones
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    generated: u64,
    /// Where the generated questions begin; the same seed gives the same questions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Crate folder whose cases are asked [default: those of the modules' names]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Ask the questions of a bundle's decisions too
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    policies: Policies,
}

#[derive(Debug, thiserror::Error)]
enum DiffError {
    #[error("`{one}` answers for the family {family}, `{other}` for {other_family}")]
    Family {
        one: String,
        family: Family,
        other: String,
        other_family: Family,
    },
    #[error("`{}` cannot be read", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}`, line {line}: {message}", file.display())]
    Decision {
        file: PathBuf,
        line: usize,
        message: String,
    },
}

/// A question that both are asked.
struct Asked {
    /// Where it comes from.
    id: String,
    function: String,
    facts: Value,
}

/// The module that the other one is held against.
struct One(Module);

impl ModuleSet for One {
    fn module(&self, digest: &Digest) -> Option<&Module> {
        (*digest == self.0.digest()).then_some(&self.0)
    }
}

impl Diff {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let one = given::file_or_pin(&self.one, &self.policies)?;
        let other = given::file_or_pin(&self.other, &self.policies)?;
        let (family, other_family) = (one.checked.metadata.family, other.checked.metadata.family);
        if family != other_family {
            return Err(DiffError::Family {
                one: self.one.clone(),
                family,
                other: self.other.clone(),
                other_family,
            }
            .into());
        }
        let recorded = self.recorded(family, [&one, &other])?;
        let generated = self.generate(family, [&one, &other], &recorded);
        let (from_records, drawn) = (recorded.len(), generated.len());
        let engine = Engine::new()?;
        let one = One(one.load(&engine)?);
        let candidate = Candidate::new(&engine, one.0.name(), &other.bytes)
            .map_err(|source| other.unusable(source))?;
        let asked = recorded.into_iter().chain(generated).map(Ok);
        let report = whatif::compare(
            &candidate,
            &one,
            &Run::on_every_core(),
            asked,
            |_| 512,
            |asked| decision(&one.0, asked).map(Some),
        )?;
        let (a, b) = (one.0.digest(), candidate.module().digest());
        if self.json {
            let questions =
                json!({"recorded": from_records, "generated": drawn, "seed": self.seed});
            out::json(&json!({"one": a, "other": b, "questions": questions, "report": report}));
        } else {
            say!(
                "{a}: {}\n{b}: {}",
                printable(&self.one),
                printable(&self.other)
            );
            say!(
                "{from_records} recorded questions, {drawn} generated ones (seed {})",
                self.seed
            );
            out::write(format_args!("{}", report_text(&report)));
        }
        Ok(Outcome::of(report.holds()))
    }

    /// Questions that somebody thought of or asked: cases, golden decisions, a bundle's.
    fn recorded(&self, family: Family, modules: [&Given; 2]) -> Result<Vec<Asked>, ToolError> {
        let mut all = Vec::new();
        let workspace = self.policies.workspace().ok();
        let folders: Vec<PathBuf> = match (&self.cases, &workspace) {
            (Some(folder), _) => vec![folder.clone()],
            (None, Some(workspace)) => {
                let names = modules.map(|module| module.checked.metadata.name.as_str());
                let packages = build::packages(workspace).unwrap_or_default().into_iter();
                let of_them = packages.filter(|package| names.contains(&package.name.as_str()));
                of_them.map(|package| package.folder).collect()
            }
            (None, None) => Vec::new(),
        };
        for folder in folders {
            for case in cases::read(family, &folder)? {
                all.push(Asked {
                    id: case.label(),
                    function: case.function,
                    facts: case.input,
                });
            }
        }
        let golden =
            workspace.map(|folder| folder.join(format!("fixtures/decisions/{family}.ndjson")));
        if let Some(file) = golden.filter(|file| file.is_file()) {
            all.extend(golden_questions(family, &file)?);
        }
        if let Some(file) = &self.bundle {
            all.extend(bundle_questions(family, file)?);
        }
        Ok(all)
    }

    fn generate(&self, family: Family, modules: [&Given; 2], recorded: &[Asked]) -> Vec<Asked> {
        let modules = modules.map(|module| module.bytes.as_slice());
        let mut all = Vec::new();
        for (place, function) in family.functions().iter().enumerate() {
            let Some(draw) = Draw::new(family, function, &modules) else {
                continue;
            };
            let of_it: Vec<&Value> = recorded
                .iter()
                .filter(|asked| asked.function == *function)
                .map(|asked| &asked.facts)
                .collect();
            let mut choose = numbers(self.seed.wrapping_add(place as u64));
            for number in 0..self.generated {
                // Every other one begins at a recorded question: alone, chance seldom meets a rule's conditions.
                let like = match of_it.len() as u64 {
                    0 => None,
                    _ if number % 2 == 0 => None,
                    many => usize::try_from(choose() % many)
                        .ok()
                        .map(|place| of_it[place]),
                };
                all.push(Asked {
                    id: format!("generated:{function}:{}:{number}", self.seed),
                    function: (*function).to_owned(),
                    facts: draw.facts(like, &mut choose),
                });
            }
        }
        all
    }
}

/// What the first module rules, as a decision that the second is held against.
fn decision(module: &Module, asked: Asked) -> Result<Decision, gotong_engine::AskError> {
    let answer = module.ask(&asked.function, &asked.facts)?;
    let circumstances = Circumstances {
        decision_id: asked.id,
        at_ms: 0,
        entity_id: String::new(),
        request_id: String::new(),
        correlation_id: String::new(),
        trace_id: None,
    };
    Ok(Decision::new(answer.record, circumstances))
}

/// The questions of the golden decisions of a family.
fn golden_questions(family: Family, file: &Path) -> Result<Vec<Asked>, DiffError> {
    let text = input::read_text(file).map_err(|source| DiffError::File {
        path: file.to_owned(),
        source,
    })?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(place, line)| {
            let wrong = |message: String| DiffError::Decision {
                file: file.to_owned(),
                line: place + 1,
                message,
            };
            let decision: Decision =
                serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            question(family, &decision).map_err(wrong)
        })
        .collect()
}

/// The questions of a bundle's decisions, those of the family.
fn bundle_questions(family: Family, file: &Path) -> Result<Vec<Asked>, ToolError> {
    let open = || {
        let opened = input::open(file).map_err(|source| DiffError::File {
            path: file.to_owned(),
            source,
        });
        opened.map(BufReader::new)
    };
    let contents = bundle::verify(open()?)?;
    let mut all = Vec::new();
    for raw in bundle::Decisions::new(open()?, &contents)? {
        let decision = RawDecision::parse(&raw?)?;
        if decision.family == family.as_str() {
            let id = decision.decision_id.clone();
            let wrong = |message| format!("`{}`, decision {id}: {message}", file.display());
            all.push(question(family, &decision).map_err(wrong)?);
        }
    }
    Ok(all)
}

fn question(family: Family, decision: &Decision) -> Result<Asked, String> {
    let facts = serde_json::from_str(&decision.input).map_err(|error| error.to_string())?;
    gotong_engine::check_facts(family, &decision.function, &facts)
        .map_err(|error| format!("input: {error}"))?;
    Ok(Asked {
        id: decision.decision_id.clone(),
        function: decision.function.clone(),
        facts,
    })
}
