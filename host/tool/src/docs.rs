//! `policy docs`: the rules of the modules that decide, as Markdown, with the cases that show them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gotong_engine::build::{self, Package};
use gotong_engine::{Engine, Mode, Module, pin};
use serde_json::Value;

use crate::cases::{self, Case};
use crate::expect::rulings_of;
use crate::folder::Policies;
use crate::given::{self, Given};
use crate::{Outcome, ToolError};

/// The arguments of `policy docs`.
#[derive(Debug, Args)]
pub struct Docs {
    /// Modules; none: every one that decides
    names: Vec<String>,
    /// Folder that the pages are written to
    #[arg(long, value_name = "DIR", default_value = "docs/rules")]
    out: PathBuf,
    /// Write nothing; fail when a page is not as it would be written
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    policies: Policies,
}

#[derive(Debug, thiserror::Error)]
enum DocsError {
    #[error("`{}` cannot be read or written", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// What a case shows of a rule.
struct Shown {
    case: String,
    function: String,
    verdict: String,
    reason: String,
}

impl Docs {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let names = if self.names.is_empty() {
            let lock = pin::read_lock(&self.policies.open()?)?;
            let active = lock.pins().iter().filter(|pin| pin.mode == Mode::Active);
            active.map(|pin| pin.name.clone()).collect()
        } else {
            self.names.clone()
        };
        let packages = build::packages(&self.policies.workspace()?)?;
        let engine = Engine::new()?;
        let mut pages = Vec::new();
        for name in &names {
            let given = given::file_or_pin(name, &self.policies)?;
            let says = &given.checked.metadata.name;
            let package = packages.iter().find(|package| package.name == *says);
            pages.push((
                self.out.join(format!("{says}.md")),
                page(&engine, &given, package)?,
            ));
        }
        self.keep(&pages)
    }

    fn keep(&self, pages: &[(PathBuf, String)]) -> Result<Outcome, ToolError> {
        let failed = |path: &Path, source| DocsError::File {
            path: path.to_owned(),
            source,
        };
        let mut holds = true;
        for (path, text) in pages {
            if self.check {
                let is_so = std::fs::read_to_string(path).is_ok_and(|present| present == *text);
                if !is_so {
                    say!(
                        "{}: stale: write it with `gotong policy docs`",
                        path.display()
                    );
                }
                holds &= is_so;
                continue;
            }
            std::fs::create_dir_all(&self.out).map_err(|error| failed(&self.out, error))?;
            std::fs::write(path, text).map_err(|error| failed(path, error))?;
            say!("{}", path.display());
        }
        if self.check && holds {
            say!("{} pages are as the modules are", pages.len());
        }
        Ok(Outcome::of(holds))
    }
}

fn page(engine: &Engine, given: &Given, package: Option<&Package>) -> Result<String, ToolError> {
    let module = given.load(engine)?;
    let cases = match package {
        Some(package) => cases::read(package.family, &package.folder)?,
        None => Vec::new(),
    };
    let mut shown: BTreeMap<String, Vec<Shown>> = BTreeMap::new();
    for case in &cases {
        show(&module, case, &mut shown)?;
    }
    let mut text = String::new();
    let reached = module.rules().iter();
    let reached = reached.filter(|rule| shown.contains_key(&rule.id)).count();
    let says = &given.checked.metadata;
    write!(
        text,
        "# {} {}\n\n<!-- Written by `gotong policy docs`. Do not edit: the rules are in the module, the cases in its crate. -->\n\n\
         Family `{}`, `{}`. {} rules, {reached} of them shown by {} cases.\n",
        says.name,
        says.version,
        says.family,
        given.checked.digest,
        module.rules().len(),
        cases.len()
    )?;
    for rule in module.rules() {
        write!(text, "\n## `{}`\n\n{}\n", rule.id, rule.text)?;
        let Some(cases) = shown.get(&rule.id) else {
            continue;
        };
        text += "\n| case | question | ruling | reason |\n| --- | --- | --- | --- |\n";
        for case in cases {
            writeln!(
                text,
                "| {} | `{}` | {} | `{}` |",
                cell(&case.case),
                case.function,
                cell(&case.verdict),
                case.reason
            )?;
        }
    }
    Ok(text)
}

/// Adds what a case shows to each rule that it reaches.
fn show(
    module: &Module,
    case: &Case,
    shown: &mut BTreeMap<String, Vec<Shown>>,
) -> Result<(), ToolError> {
    let asked = module
        .ask(&case.function, &case.input)
        .map_err(|error| case.wrong(format!("input: {error}")))?;
    let Some(output) = &asked.record.output else {
        return Ok(());
    };
    let ruling: Value = serde_json::from_str(output)?;
    rulings_of(&ruling, &mut |rule, ruling| {
        let entry = shown.entry(rule.to_owned()).or_default();
        let reason = ruling.get("reason").and_then(Value::as_str);
        let one = Shown {
            case: case.name.clone().unwrap_or_else(|| case.label()),
            function: case.function.clone(),
            verdict: verdict(ruling),
            reason: reason.unwrap_or_default().to_owned(),
        };
        // A list may reach a rule more than once.
        let again = entry.iter().any(|other| {
            (&other.case, &other.reason, &other.verdict) == (&one.case, &one.reason, &one.verdict)
        });
        if !again {
            entry.push(one);
        }
    });
    Ok(())
}

/// What was decided: the words of a ruling that are neither its reason nor its rule.
fn verdict(ruling: &Value) -> String {
    let words = ruling.as_object().into_iter().flatten();
    let words = words.filter_map(|(name, value)| match value {
        Value::String(word) if name != "reason" && name != "rule" => Some(word.clone()),
        Value::Bool(yes) if name == "visible" => {
            Some(if *yes { "visible" } else { "not visible" }.to_owned())
        }
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
