//! The tools of a policy author: one file per command.
//!
//! The binary `gotong-policy` is these commands alone; `gotong policy` is the same enum inside the host's
//! command line. Nothing here knows the host or its database.
//!
//! Exit codes: 0 it held, 1 it ran and did not hold, 2 it could not run. Then one line on stderr says what and
//! where, and nothing has been written.
#![deny(missing_docs)]

#[macro_use]
pub mod out;

mod activate;
mod bench;
mod build;
mod cases;
mod check;
mod diff;
mod docs;
mod expect;
mod folder;
mod given;
mod inspect;
mod line;
mod module;
mod native;
mod new;
mod pin;
mod prove;
pub mod refusals;
pub mod replay;
mod scope;
mod sign;
mod test;

use std::process::ExitCode;

use clap::Subcommand;
use gotong_engine::printable;
pub use line::parse;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Write a policy crate that builds and passes at once
    New(new::New),
    /// Run a policy's case files against its module in the real engine, and hold it against its source
    Test(test::Test),
    /// Measure a module on its cases: times, and fuel against the version that decides now
    Bench(bench::Bench),
    /// Ask two modules the same questions, recorded and generated ones, and say where they differ
    Diff(diff::Diff),
    /// Write the rules of modules as Markdown, with the cases that show them
    Docs(docs::Docs),
    /// Build policy modules from their sources, check them, and compare them with the pins
    Build(build::Build),
    /// Build policy modules and pin them: a new version becomes the active one
    Pin(pin::Pin),
    /// Make a pinned version the one that decides; the former one is retired
    Activate(activate::Activate),
    /// Go back to the version before the active one
    Rollback(activate::Rollback),
    /// Let a pinned module decide in one scope and everything below it
    Override(scope::Override),
    /// Make a pair of keys for signing the lock
    Keygen(sign::Keygen),
    /// Sign the lock: whoever changes it then needs the key
    Sign(sign::Sign),
    /// Say who signed the lock, and whether it is as it was signed
    Verify(sign::Verify),
    /// Check one file against every rule for modules
    Check(check::Check),
    /// Show what a module is: exports, memory, size, digest, rules
    Inspect(inspect::Inspect),
    /// Prove what two modules rule differently, or that stated properties hold, for every input there is
    Prove(prove::Prove),
}

/// Why a command could not run. Each command's own errors say what, where and how to fix it.
pub type ToolError = Box<dyn std::error::Error>;

/// How a command that ran ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held: exit code 0.
    Held,
    /// It did not, and the command has said what: exit code 1.
    DidNotHold,
}

impl Outcome {
    /// [`Outcome::Held`] exactly when `holds`.
    #[must_use]
    pub const fn of(holds: bool) -> Self {
        if holds { Self::Held } else { Self::DidNotHold }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Held => Self::SUCCESS,
            Outcome::DidNotHold => Self::FAILURE,
        }
    }
}

impl PolicyCommand {
    /// Runs the command. Results go to stdout, what does not hold and progress to stderr.
    ///
    /// # Errors
    /// When it could not run: nothing has been written then. And when it ran and stdout could not take its answer.
    pub fn run(&self) -> Result<Outcome, ToolError> {
        let ended = self.run_it()?;
        out::finish()?;
        Ok(ended)
    }

    fn run_it(&self) -> Result<Outcome, ToolError> {
        match self {
            Self::New(new) => new.run(),
            Self::Test(test) => test.run(),
            Self::Bench(bench) => bench.run(),
            Self::Diff(diff) => diff.run(),
            Self::Docs(docs) => docs.run(),
            Self::Build(build) => build.run(),
            Self::Pin(pin) => pin.run(),
            Self::Activate(activate) => activate.run(),
            Self::Rollback(rollback) => rollback.run(),
            Self::Override(one) => one.run(),
            Self::Keygen(keygen) => keygen.run(),
            Self::Sign(sign) => sign.run(),
            Self::Verify(verify) => verify.run(),
            Self::Check(check) => check.run(),
            Self::Inspect(inspect) => inspect.run(),
            Self::Prove(prove) => prove.run(),
        }
    }
}

/// The exit code of a command that ended; an error is told on stderr, on one line.
pub fn exit(program: &str, ended: Result<Outcome, ToolError>) -> ExitCode {
    match ended {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            complain!("{program}: {}", one_line(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// An error and everything behind it, on one line. What is behind it in the very words that stand there is not said twice.
#[must_use]
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let behind = inner.to_string();
        if !text.ends_with(&behind) {
            text = format!("{text}: {behind}");
        }
        source = inner.source();
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    printable(&lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Behind {
        says: &'static str,
        #[source]
        source: Option<Box<Behind>>,
    }

    fn chain(words: &[&'static str]) -> Behind {
        let behind = |source, says: &&'static str| Some(Box::new(Behind { says, source }));
        *words.iter().rev().fold(None, behind).unwrap()
    }

    #[test]
    fn what_stands_there_already_is_not_said_twice() {
        let refused = "Connection refused (os error 111)";
        for (words, line) in [
            (
                &["it failed", refused, refused][..],
                "it failed: Connection refused (os error 111)",
            ),
            (
                &["it failed: that is why", "that is why", "in truth"],
                "it failed: that is why: in truth",
            ),
            (&["a", "b", "a"], "a: b: a"),
            (&["one\n  two", "three"], "one two: three"),
        ] {
            assert_eq!(one_line(&chain(words)), line);
        }
    }
}
