//! Replaying a bundle: verified first, from its beginning to its end; then read once more.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use gotong_engine::bundle::RawDecision;
use gotong_engine::bundle::{self, BundleError, Contents, Decisions, ModuleEntry, Modules};
use gotong_engine::{Engine, Lock};
use serde_json::{Value, json};

use super::progress::Progress;
use super::{Options, Source};
use crate::{Outcome, ToolError, printable};

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// The arguments of `gotong-policy replay`.
#[derive(Debug, Args)]
pub struct ReplayBundle {
    /// A bundle that `gotong audit export` wrote
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    #[command(flatten)]
    trusted: Trusted,
    #[command(flatten)]
    options: Options,
}

/// Which modules an auditor trusts.
#[derive(Debug, Args)]
pub struct Trusted {
    /// A lock that you trust: every module of the bundle has to be pinned in it
    #[arg(long, value_name = "FILE", requires = "bundle")]
    lock: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("`{}` cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("`{}` is no file", .0.display())]
    NoFile(PathBuf),
    #[error("bundle `{}`", .0.display())]
    Bundle(PathBuf, #[source] Box<BundleError>),
    #[error("bundle `{}`", .0.display())]
    Module(PathBuf, #[source] Box<gotong_engine::LoadError>),
    #[error("`{}` is no lock", .0.display())]
    Lock(PathBuf, #[source] Box<gotong_engine::LockError>),
}

impl ReplayBundle {
    /// Replays the bundle.
    ///
    /// # Errors
    /// When it is no whole bundle, or something else that was asked cannot be read.
    pub fn run(&self) -> Result<Outcome, ToolError> {
        replay(&self.bundle, &self.trusted, &self.options)
    }
}

/// Replays a bundle, or holds it against a candidate.
///
/// # Errors
/// When it is no whole bundle, or something else that was asked cannot be read.
pub fn replay(file: &Path, trusted: &Trusted, options: &Options) -> Result<Outcome, ToolError> {
    let lock = trusted.lock.as_deref().map(read_lock).transpose()?;
    let engine = Engine::new()?;
    let question = options.question(&engine)?;
    let contents = verify(file)?;
    let modules = Modules::load(&engine, &contents)
        .map_err(|error| FileError::Module(file.to_owned(), Box::new(error)))?;
    let strangers: Vec<&ModuleEntry> = contents
        .modules
        .iter()
        .map(|(entry, _)| entry)
        .filter(|entry| lock.as_ref().is_some_and(|lock| !pins(lock, entry)))
        .collect();
    if !options.json {
        tell(file, &engine, &contents);
    }
    let decisions = Decisions::new(open(file)?.0, &contents)
        .map_err(|error| FileError::Bundle(file.to_owned(), Box::new(error)))?;
    let wrong = |error| FileError::Bundle(file.to_owned(), Box::new(error));
    let source = Source {
        modules: &modules,
        rows: decisions.map(|read| read.map_err(wrong)),
        size: RawDecision::size,
        read: |raw: RawDecision| {
            let decision = raw.parse().map_err(wrong)?;
            Ok(question.filter.matches(&decision).then_some(decision))
        },
        total: Some(contents.trailer.decisions),
        about: Some(about(&engine, &contents, lock.is_some(), &strangers)),
    };
    let outcome = question.ask(&engine, source)?;
    for stranger in &strangers {
        let ModuleEntry {
            name,
            version,
            digest,
            ..
        } = stranger;
        let says =
            format!("module {name}@{version} {digest} of the bundle is not pinned in the lock");
        eprintln!("{}", printable(&says));
    }
    Ok(match strangers.is_empty() {
        true => outcome,
        false => Outcome::DidNotHold,
    })
}

/// From its beginning to its end, before anything of it is used.
fn verify(file: &Path) -> Result<Contents, FileError> {
    let (input, length) = open(file)?;
    let progress = Progress::bytes(length);
    let input = BufReader::with_capacity(BUFFER, progress.reading(input.into_inner()));
    bundle::verify(input).map_err(|error| FileError::Bundle(file.to_owned(), Box::new(error)))
}

/// A file that can be read twice, and how long it is.
fn open(path: &Path) -> Result<(BufReader<File>, u64), FileError> {
    let failed = |error| FileError::Read(path.to_owned(), error);
    let about = std::fs::metadata(path).map_err(failed)?;
    // Before it is opened: opening a pipe waits for its writer.
    if !about.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    Ok((BufReader::with_capacity(BUFFER, file), about.len()))
}

fn read_lock(path: &Path) -> Result<Lock, FileError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| FileError::Read(path.to_owned(), error))?;
    Lock::parse(&text).map_err(|error| FileError::Lock(path.to_owned(), Box::new(error)))
}

fn pins(lock: &Lock, entry: &ModuleEntry) -> bool {
    lock.pin(&entry.name, &entry.version)
        .is_some_and(|pin| pin.digest == entry.digest && pin.family == entry.family)
}

fn tell(file: &Path, engine: &Engine, contents: &Contents) {
    let header = &contents.header;
    let at = jiff::Timestamp::from_millisecond(header.created_at_ms)
        .map_or_else(|_| "an impossible time".to_owned(), |at| at.to_string());
    let same = if header.engine == engine.fingerprint() {
        "the engine of this program"
    } else {
        "another engine than this program's"
    };
    let text = format!(
        "bundle {}, {}\n  written by {} at {at}, with {same}; asked for: {}\n",
        file.display(),
        contents.trailer.digest,
        header.host,
        if header.filter.is_everything() {
            "everything".to_owned()
        } else {
            json!(header.filter).to_string()
        },
    );
    print!("{}", printable(&text));
    for (entry, bytes) in &contents.modules {
        let gone = if bytes.is_some() {
            ""
        } else {
            ", without its bytes"
        };
        let text = format!(
            "  {}@{} {}{gone}\n",
            entry.name, entry.version, entry.digest
        );
        print!("{}", printable(&text));
    }
}

fn about(
    engine: &Engine,
    contents: &Contents,
    has_lock: bool,
    strangers: &[&ModuleEntry],
) -> Value {
    let header = &contents.header;
    let module = |(entry, bytes): &(ModuleEntry, Option<Vec<u8>>)| {
        json!({
            "name": entry.name,
            "version": entry.version,
            "family": entry.family,
            "digest": entry.digest,
            "abi": entry.abi,
            "mode": entry.mode,
            "has_bytes": bytes.is_some(),
            "pinned": has_lock.then(|| !strangers.contains(&entry)),
        })
    };
    json!({
        "digest": contents.trailer.digest,
        "decisions": contents.trailer.decisions,
        "created_at_ms": header.created_at_ms,
        "host": header.host,
        "filter": header.filter,
        "engine": header.engine,
        "same_engine": header.engine == engine.fingerprint(),
        "modules": contents.modules.iter().map(module).collect::<Vec<_>>(),
    })
}
