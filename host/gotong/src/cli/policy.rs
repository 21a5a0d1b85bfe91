//! `gotong policy`: build, pin, check and inspect modules, for their authors.

use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use clap::{Args, Subcommand};
use gotong_engine::build::{self, BuildError, Built};
use gotong_engine::pin::{self, PinError};
use gotong_engine::{CheckError, Checked, Engine, EngineError, LoadError, Module, check};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Build policy modules from their sources, check them, and compare them with the pins
    Build(Names),
    /// Build policy modules and pin them: a new version becomes the active one
    Pin(PinNames),
    /// Check one file against every rule for modules
    Check(File),
    /// Show what a module is: exports, memory, size, digest, rules
    Inspect(Inspect),
}

#[derive(Debug, Args)]
pub struct Names {
    /// Modules; none: every policy of the workspace
    names: Vec<String>,
    /// Fail unless every built module is the pinned one, byte for byte
    #[arg(long)]
    verify: bool,
    /// Folder that holds the lock and the pinned modules
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
}

#[derive(Debug, Args)]
pub struct PinNames {
    /// Modules
    #[arg(required = true)]
    names: Vec<String>,
    /// Folder that holds the lock and the pinned modules
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
}

#[derive(Debug, Args)]
pub struct File {
    /// A module
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Inspect {
    /// A module
    file: PathBuf,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("{0}: raise the version in its Cargo.toml and pin it, or restore its sources")]
    Unlike(String),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error("`{}` fails the load-time check", file.display())]
    Check { file: PathBuf, source: CheckError },
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` is not inside a cargo workspace with policies", .0.display())]
    NoWorkspace(PathBuf),
}

pub fn run(command: &PolicyCommand) -> Result<(), PolicyError> {
    match command {
        PolicyCommand::Build(names) => build_all(&names.policies, &names.names, names.verify),
        PolicyCommand::Pin(names) => pin_all(&names.policies, &names.names),
        PolicyCommand::Check(file) => {
            let (_, checked) = read(&file.file)?;
            println!("ok: {}", line(&checked));
            Ok(())
        }
        PolicyCommand::Inspect(inspect) => self::inspect(&inspect.file, inspect.json),
    }
}

/// Says for each module whether it is what is pinned.
fn build_all(policies: &Path, names: &[String], verify: bool) -> Result<(), PolicyError> {
    let workspace = workspace(policies)?;
    let lock = pin::read_lock(&open(policies)?)?;
    let names = if names.is_empty() {
        build::packages(&workspace)?
            .into_iter()
            .map(|package| package.name)
            .collect()
    } else {
        names.to_vec()
    };
    let mut unlike = Vec::new();
    for name in &names {
        let Built { checked, .. } = build::build(&workspace, name)?;
        let says = &checked.metadata;
        let as_pinned = lock
            .pin(&says.name, &says.version)
            .map(|pin| pin.digest == checked.digest);
        let pinned = match as_pinned {
            None => "not pinned",
            Some(true) => "as pinned",
            Some(false) => "differs from the pin of this version",
        };
        println!("{}, {pinned}", line(&checked));
        if as_pinned != Some(true) {
            unlike.push(format!("{}@{} is {pinned}", says.name, says.version));
        }
    }
    if verify && !unlike.is_empty() {
        return Err(PolicyError::Unlike(unlike.join("; ")));
    }
    Ok(())
}

fn pin_all(policies: &Path, names: &[String]) -> Result<(), PolicyError> {
    let workspace = workspace(policies)?;
    let dir = open(policies)?;
    for name in names {
        let built = build::build(&workspace, name)?;
        let pinned = pin::pin(&dir, &built.bytes)?;
        let what = match (pinned.unchanged, &pinned.retired[..]) {
            (true, _) => "pinned before".to_owned(),
            (false, []) => "active".to_owned(),
            (false, retired) => format!("active; retired: {}", retired.join(", ")),
        };
        println!("{}, {what}", line(&built.checked));
    }
    Ok(())
}

fn inspect(file: &Path, json: bool) -> Result<(), PolicyError> {
    let (bytes, checked) = read(file)?;
    let module = Module::from_bytes(&Engine::new()?, &bytes)?;
    if json {
        let object =
            serde_json::json!({ "module": checked, "imports": [], "rules": module.rules() });
        println!("{object:#}");
        return Ok(());
    }
    let says = &checked.metadata;
    println!("{} {}, family {}", says.name, says.version, says.family);
    println!("  digest     {}", checked.digest);
    println!(
        "  size       {} bytes, {} functions",
        checked.size, checked.functions
    );
    println!(
        "  memory     {} bytes, at most {}",
        checked.memory_initial, checked.memory_maximum
    );
    println!("  imports    none");
    println!("  exports    {}", checked.exports.join(", "));
    println!("  source     {}", says.source);
    println!("  toolchain  {}", says.toolchain);
    println!("  rules");
    for rule in module.rules() {
        println!("    {}: {}", rule.id, rule.text);
    }
    Ok(())
}

fn line(checked: &Checked) -> String {
    let says = &checked.metadata;
    format!(
        "{} {} {} ({} bytes)",
        says.name, says.version, checked.digest, checked.size
    )
}

fn read(file: &Path) -> Result<(Vec<u8>, Checked), PolicyError> {
    let bytes = std::fs::read(file).map_err(|source| PolicyError::Read {
        path: file.to_owned(),
        source,
    })?;
    let checked = check(&bytes).map_err(|source| PolicyError::Check {
        file: file.to_owned(),
        source,
    })?;
    Ok((bytes, checked))
}

fn open(policies: &Path) -> Result<Dir, PolicyError> {
    Dir::open_ambient_dir(policies, ambient_authority()).map_err(|source| PolicyError::Read {
        path: policies.to_owned(),
        source,
    })
}

/// The workspace around the policies folder: the nearest folder above it with a `Cargo.lock`.
fn workspace(policies: &Path) -> Result<PathBuf, PolicyError> {
    let folder = policies
        .canonicalize()
        .map_err(|source| PolicyError::Read {
            path: policies.to_owned(),
            source,
        })?;
    folder
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map(Path::to_owned)
        .ok_or(PolicyError::NoWorkspace(folder))
}
