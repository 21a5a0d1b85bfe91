//! `replay`: recorded decisions, evaluated again; or held against another module.
//!
//! Here is everything but where decisions come from: `gotong replay` adds a store and a running host, a bundle
//! needs neither.

mod bundle;
mod filters;
mod progress;
mod told;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use gotong_engine::whatif::{self, Candidate};
use gotong_engine::{Decision, Engine, ModuleSet, Run, cores, replay_all};
use serde_json::{Value, json};

pub use bundle::{ReplayBundle, Trusted, replay};
pub use filters::{FilterError, Filters};
use progress::Progress;
pub(crate) use told::report as report_text;

use crate::{Outcome, ToolError, given, out};

/// The arguments of a replay, wherever its decisions come from.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    filters: Filters,
    /// Ask instead what would have changed if the module in FILE had decided in the place of every version of NAME
    #[arg(long, value_name = "NAME=FILE")]
    candidate: Option<String>,
    /// Worker threads; as many as there are cores unless it says otherwise
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn threads(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "give a whole number, at least 1")
}

/// What is asked for, once everything on the command line has been looked at.
#[derive(Debug)]
pub struct Question {
    /// Which decisions.
    pub filter: gotong_engine::Filter,
    candidate: Option<Candidate>,
    threads: NonZeroUsize,
    json: bool,
}

/// Where decisions come from: how their rows become decisions, and the modules that made them.
pub struct Source<'a, M, I, S, R> {
    /// The modules of the record.
    pub modules: &'a M,
    /// The rows.
    pub rows: I,
    /// About how large a row is, in bytes.
    pub size: S,
    /// The decision of a row; none where the filter leaves it out.
    pub read: R,
    /// How many rows there are, if that is known.
    pub total: Option<u64>,
    /// What else the answer says of the source.
    pub about: Option<About>,
}

/// What an answer says of where its decisions come from.
#[derive(Debug)]
pub struct About {
    /// Lines before the answer.
    text: String,
    /// Under `bundle` in a JSON answer.
    json: Value,
}

impl<M, I, S, R> std::fmt::Debug for Source<'_, M, I, S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// A question that cannot be asked.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(
        "`--candidate {0}` is not NAME=FILE: name the module it would have stood for, as in `gate=new.wasm`"
    )]
    Candidate(String),
    #[error("`{}` cannot be a candidate", .0.display())]
    Unusable(PathBuf, #[source] gotong_engine::LoadError),
    #[error(
        "the decisions of `{name}` are of the family {recorded}, the candidate is of {candidate}"
    )]
    OtherFamily {
        name: String,
        recorded: String,
        candidate: String,
    },
    #[error(
        "no module `{0}` made any of the decisions that were asked for: check the name and the filters"
    )]
    NoDecision(String),
    #[error("there is no decision `{0}`, or the other filters leave it out")]
    NoSuchDecision(String),
    #[error("no decision is about the entity `{0}`, or the other filters leave them out")]
    NoSuchEntity(String),
}

impl Options {
    /// Looks at everything that was asked before anything is read.
    ///
    /// # Errors
    /// When a filter is none, or the candidate cannot be used.
    pub fn question(&self, engine: &Engine) -> Result<Question, ToolError> {
        let mut filter = self.filters.filter()?;
        let candidate = self.candidate.as_deref();
        let candidate = candidate.map(|given| load(engine, given)).transpose()?;
        if let Some(candidate) = &candidate {
            // The source leaves the others out; a filter for another name asks for nothing.
            filter
                .module
                .get_or_insert_with(|| candidate.name().to_owned());
        }
        Ok(Question {
            filter,
            candidate,
            threads: self.threads.unwrap_or_else(cores),
            json: self.json,
        })
    }
}

fn load(engine: &Engine, given: &str) -> Result<Candidate, ToolError> {
    let (name, file) = given
        .split_once('=')
        .filter(|(name, file)| !name.is_empty() && !file.is_empty())
        .ok_or_else(|| AskError::Candidate(given.to_owned()))?;
    let file = PathBuf::from(file);
    let module = given::file(&file)?;
    Ok(Candidate::new(engine, name, &module.bytes)
        .map_err(|error| AskError::Unusable(file, error))?)
}

impl Question {
    /// Replays what a source holds, or holds it against the candidate, and tells what was found.
    ///
    /// # Errors
    /// The source's, and when there is nothing to be asked.
    pub fn ask<M, T, E, I, S, R>(
        &self,
        engine: &Engine,
        source: Source<'_, M, I, S, R>,
    ) -> Result<Outcome, ToolError>
    where
        M: ModuleSet + Sync,
        T: Send,
        E: std::error::Error + Send + 'static,
        I: Iterator<Item = Result<T, E>>,
        S: Fn(&T) -> usize,
        R: Fn(T) -> Result<Option<Decision>, E> + Sync,
    {
        let progress = Progress::decisions(source.total);
        let done = |rows| progress.add(rows);
        let threads = self.threads;
        let run = Run {
            threads,
            done: &done,
        };
        let Source {
            modules,
            rows,
            size,
            read,
            about,
            ..
        } = source;
        let Some(candidate) = &self.candidate else {
            let summary = replay_all(modules, engine.fingerprint(), &run, rows, size, read)?;
            progress.end();
            // What is named and not there is a mistake; that nothing was decided since yesterday is none.
            if summary.tally.total() == 0 {
                if let Some(id) = &self.filter.decision {
                    return Err(AskError::NoSuchDecision(id.clone()).into());
                }
                if let Some(id) = &self.filter.entity {
                    return Err(AskError::NoSuchEntity(id.clone()).into());
                }
                if let Some(name) = self.filter.named_module() {
                    return Err(AskError::NoDecision(name).into());
                }
            }
            self.tell(json!(summary), about, || told::summary(&summary))?;
            return Ok(Outcome::of(summary.tally.diverged == 0));
        };
        let report = whatif::compare(candidate, modules, &run, rows, size, read)?;
        progress.end();
        if let Some(recorded) = report.other_family {
            return Err(AskError::OtherFamily {
                name: report.name,
                recorded: recorded.to_string(),
                candidate: report.candidate.family.to_string(),
            }
            .into());
        }
        if report.decisions == 0 && report.not_compared.is_empty() {
            return Err(AskError::NoDecision(report.name).into());
        }
        self.tell(json!(report), about, || told::report(&report))?;
        Ok(Outcome::of(report.holds()))
    }

    fn tell(
        &self,
        mut found: Value,
        about: Option<About>,
        text: impl Fn() -> String,
    ) -> Result<(), out::OutError> {
        if self.json {
            if let Some(about) = about {
                found["bundle"] = about.json;
            }
            out::json(&found);
        } else {
            let before = about.map(|about| about.text).unwrap_or_default();
            out::write(format_args!("{before}{}", text()));
        }
        out::finish()
    }
}
