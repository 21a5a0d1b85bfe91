//! Replaying a bundle: verified first, from its beginning to its end; then read once more.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use clap::Args;
use gotong_engine::bundle::RawDecision;
use gotong_engine::bundle::{self, BundleError, Contents, Decisions, ModuleEntry, Modules};
use gotong_engine::{Digest, Engine, Lock, Pin, input, read_pinned};
use serde_json::{Value, json};

use super::progress::Progress;
use super::{About, Options, Source};
use crate::{Outcome, ToolError, one_line, printable};

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
    /// A lock that you trust: every module of the bundle has to be pinned in it. One that stands in the bundle
    /// without its bytes is taken from the lock's folder
    #[arg(long, value_name = "FILE", requires = "bundle")]
    lock: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("`{}` cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
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
    let mut contents = verify(file)?;
    let (lent, missing) = match (&trusted.lock, &lock) {
        (Some(path), Some(lock)) => lend(path, lock, &mut contents),
        _ => Default::default(),
    };
    let modules = Modules::load(&engine, &contents)
        .map_err(|error| FileError::Module(file.to_owned(), Box::new(error)))?;
    let strangers: Vec<&ModuleEntry> = contents
        .modules
        .iter()
        .map(|(entry, _)| entry)
        .filter(|entry| {
            lock.as_ref()
                .is_some_and(|lock| pin_of(lock, entry).is_none())
        })
        .collect();
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
        about: Some(About {
            text: told(file, &engine, &contents, &lent),
            json: about(&engine, &contents, lock.is_some(), &strangers, &lent),
        }),
    };
    let outcome = question.ask(&engine, source)?;
    for stranger in &strangers {
        complain!(
            "module {} of the bundle is not pinned in the lock",
            label(stranger)
        );
    }
    for one in &missing {
        complain!("{}", printable(one));
    }
    Ok(match strangers.is_empty() && missing.is_empty() {
        true => outcome,
        false => Outcome::DidNotHold,
    })
}

/// Gives modules that stand in the bundle without their bytes those that the lock pins. Answers with whom it gave
/// them, and why it could not to the others: without bytes no decision of theirs can diverge, so that whoever takes
/// them out of a bundle would have them all pass.
fn lend(trusted: &Path, lock: &Lock, contents: &mut Contents) -> (Vec<Digest>, Vec<String>) {
    let (mut lent, mut missing) = (Vec::new(), Vec::new());
    let folder = match trusted.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority());
    for (entry, bytes) in &mut contents.modules {
        let Some(pin) = pin_of(lock, entry).filter(|_| bytes.is_none()) else {
            continue;
        };
        let read = match &dir {
            Ok(dir) => read_pinned(dir, pin).map_err(|error| one_line(&error)),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(found) => {
                *bytes = Some(found);
                lent.push(entry.digest);
            }
            Err(why) => missing.push(format!(
                "module {} stands in the bundle without its bytes, and beside the lock: {why}",
                label(entry)
            )),
        }
    }
    (lent, missing)
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
    let file = input::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((BufReader::with_capacity(BUFFER, file), length))
}

fn read_lock(path: &Path) -> Result<Lock, FileError> {
    let text = input::read_text(path).map_err(|error| FileError::Read(path.to_owned(), error))?;
    Lock::parse(&text).map_err(|error| FileError::Lock(path.to_owned(), Box::new(error)))
}

fn pin_of<'a>(lock: &'a Lock, entry: &ModuleEntry) -> Option<&'a Pin> {
    lock.pin(&entry.name, &entry.version)
        .filter(|pin| pin.digest == entry.digest && pin.family == entry.family)
}

/// What is said of a bundle before its answer.
fn told(file: &Path, engine: &Engine, contents: &Contents, lent: &[Digest]) -> String {
    let header = &contents.header;
    let at = jiff::Timestamp::from_millisecond(header.created_at_ms)
        .map_or_else(|_| "an impossible time".to_owned(), |at| at.to_string());
    let same = if header.engine == engine.fingerprint() {
        "the engine of this program"
    } else {
        "another engine than this program's"
    };
    let mut text = format!(
        "bundle {}, {}\n  written by {} at {at}, with {same}; asked for: {}\n",
        printable(&file.display().to_string()),
        contents.trailer.digest,
        printable(&header.host),
        if header.filter.is_everything() {
            "everything".to_owned()
        } else {
            printable(&json!(header.filter).to_string())
        },
    );
    for (entry, bytes) in &contents.modules {
        let gone = match bytes {
            _ if lent.contains(&entry.digest) => ", its bytes from beside the lock",
            Some(_) => "",
            None => ", without its bytes",
        };
        text += &format!("  {}{gone}\n", label(entry));
    }
    text
}

/// `name@version digest`
fn label(entry: &ModuleEntry) -> String {
    let ModuleEntry {
        name,
        version,
        digest,
        ..
    } = entry;
    printable(&format!("{name}@{version} {digest}"))
}

fn about(
    engine: &Engine,
    contents: &Contents,
    has_lock: bool,
    strangers: &[&ModuleEntry],
    lent: &[Digest],
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
            "has_bytes": bytes.is_some() && !lent.contains(&entry.digest),
            "bytes_from_lock": lent.contains(&entry.digest),
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
