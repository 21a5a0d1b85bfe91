//! From a policy crate to a module: cargo, the component encoder, the section.
//!
//! The same sources give the same bytes on any machine and in any folder: the toolchain is the
//! repository's, dependencies are locked, paths are remapped, and nothing of the environment's own flags gets in.

mod native;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use wit_component::{ComponentEncoder, StringEncoding};

use crate::check::{self, CheckError, Checked};
use crate::contract::Family;
use crate::metadata::{self, Metadata};
use crate::slim::slim;

pub use native::native;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "policy";
const SDK: &str = "gotong-policy";
const LINK_ARGS: &str = "link-args.txt";

/// A module could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A tool cannot be started.
    #[error("`{tool}` cannot be started: install Rust from https://rustup.rs")]
    Tool {
        /// The program.
        tool: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A tool failed.
    #[error("`{command}` failed: {message}")]
    Failed {
        /// The command line, shortened.
        command: String,
        /// What it said, if it was not already shown.
        message: String,
    },
    /// The compiler has no standard library for WebAssembly.
    #[error(
        "the target {TARGET} is not installed and `rustup target add {TARGET}` did not help: {0}"
    )]
    Target(String),
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There is no such policy in the workspace.
    #[error("there is no policy `{name}` in this workspace: known are {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No policy crate is there.
    #[error("`{}` is no policy crate: its Cargo.toml has no `[package.metadata.gotong-policy]`", .0.display())]
    NoPolicy(PathBuf),
    /// A crate does not say or have what a module must.
    #[error("package `{package}`: {message}: compare it with what `gotong policy new` writes")]
    Manifest {
        /// The cargo package.
        package: String,
        /// What is wrong.
        message: String,
    },
    /// The compiled code is no policy.
    #[error(
        "module `{module}` cannot be encoded as a component: {message}: does its crate call `gotong_policy::export!`?"
    )]
    Encode {
        /// The module's name.
        module: String,
        /// What the encoder says.
        message: String,
    },
    /// What was built breaks a rule of the load-time check.
    #[error("module `{module}` fails the load-time check")]
    Check {
        /// The module's name.
        module: String,
        /// Which rule, where, and how to fix it.
        #[source]
        source: CheckError,
    },
}

/// A policy crate of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The cargo package.
    pub package: String,
    /// The module's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The family it answers for.
    pub family: Family,
    /// The crate's folder.
    pub folder: PathBuf,
    /// The workspace it belongs to.
    pub workspace: PathBuf,
    /// The SDK it depends on.
    pub sdk: PathBuf,
    /// The library's name, which is the file's.
    library: String,
    target_folder: PathBuf,
}

/// A module that was built and passed the check.
#[derive(Clone, Debug)]
pub struct Built {
    /// The module.
    pub bytes: Vec<u8>,
    /// What it is.
    pub checked: Checked,
}

/// A core module as a policy module: without what a single-use instance never needs, encoded as a component,
/// with the section at its end.
///
/// # Errors
/// When the core module does not hold the component type that `export!` embeds, or does not match it.
pub fn componentize(core_wasm: &[u8], metadata: &Metadata) -> Result<Vec<u8>, BuildError> {
    let core_wasm = slim(core_wasm).map_err(|message| BuildError::Encode {
        module: metadata.name.clone(),
        message,
    })?;
    encode(&core_wasm, metadata)
}

fn encode(core_wasm: &[u8], metadata: &Metadata) -> Result<Vec<u8>, BuildError> {
    let wrong = |message: String| BuildError::Encode {
        module: metadata.name.clone(),
        message,
    };
    let component = ComponentEncoder::default()
        .validate(true)
        .module(core_wasm)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| wrong(format!("{error:#}")))?;
    metadata
        .append_to(component)
        .map_err(|error| wrong(error.to_string()))
}

/// A core module without an embedded component type, made for a family's world: for modules that no
/// SDK wrote, such as the misbehaving ones of the tests. The names of its exports say which version of the
/// contract it is of; one that says none is of the newest.
///
/// # Errors
/// When the contract cannot be read, or the core module does not match the family's world.
pub fn componentize_for(
    family: Family,
    core_wasm: &[u8],
    metadata: &Metadata,
) -> Result<Vec<u8>, BuildError> {
    let wrong = |message: String| BuildError::Encode {
        module: metadata.name.clone(),
        message,
    };
    let versions = check::contract::versions().map_err(|error| wrong(error.to_owned()))?;
    let spoken = |abi: &str| {
        let name = format!("{}#", family.interface_of(abi));
        holds(core_wasm, name.as_bytes())
    };
    let contract = versions
        .iter()
        .find(|version| spoken(version.abi))
        .or(versions.last())
        .map(|version| &version.resolve)
        .ok_or_else(|| wrong("there is no contract".into()))?;
    let world = contract
        .worlds
        .iter()
        .find(|(_, world)| world.name == family.world())
        .map(|(id, _)| id)
        .ok_or_else(|| wrong(format!("the contract has no world `{}`", family.world())))?;
    let mut core = core_wasm.to_vec();
    wit_component::embed_component_metadata(
        &mut core,
        contract,
        world,
        StringEncoding::UTF8,
        false,
    )
    .map_err(|error| wrong(format!("{error:#}")))?;
    encode(&core, metadata)
}

/// Whether `bytes` hold `name`. An export's name stands in a module as it is.
fn holds(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|window| window == name)
}

/// The policy crates of a workspace, sorted by the module's name.
///
/// # Errors
/// When cargo cannot read the workspace, or a crate's metadata is incomplete.
pub fn packages(workspace: &Path) -> Result<Vec<Package>, BuildError> {
    let mut command = cargo(workspace);
    command.args(["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let listing = output("cargo", &mut command)?;
    let listing: Listing = serde_json::from_str(&listing).map_err(|error| BuildError::Failed {
        command: "cargo metadata".into(),
        message: error.to_string(),
    })?;
    let mut packages = Vec::new();
    for manifest in listing.packages {
        if let Some(package) =
            package(manifest, &listing.workspace_root, &listing.target_directory)?
        {
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// The policy crate in a folder.
///
/// # Errors
/// When there is none, or cargo cannot read it.
pub fn package_at(folder: &Path) -> Result<Package, BuildError> {
    let folder = folder.canonicalize().map_err(|source| BuildError::Read {
        path: folder.to_owned(),
        source,
    })?;
    // Else cargo would look in the folders above.
    let manifest = folder.join("Cargo.toml");
    read(&manifest)?;
    packages(&folder)?
        .into_iter()
        .find(|package| package.folder == folder)
        .ok_or(BuildError::NoPolicy(folder))
}

/// The policy crate of the module `name`, or the cargo package of that name.
///
/// # Errors
/// When the workspace has none, or cargo cannot read it.
pub fn package_named(workspace: &Path, name: &str) -> Result<Package, BuildError> {
    let mut packages = packages(workspace)?;
    let place = packages
        .iter()
        .position(|package| package.name == name || package.package == name);
    match place {
        Some(place) => Ok(packages.swap_remove(place)),
        None => Err(BuildError::Unknown {
            name: name.to_owned(),
            known: packages.into_iter().map(|package| package.name).collect(),
        }),
    }
}

/// Builds the policy module `name`, or the one of the cargo package of that name.
///
/// Cargo's own progress goes to stderr.
///
/// # Errors
/// When the toolchain is incomplete, the crate does not compile, or the module fails the check.
pub fn build(workspace: &Path, name: &str) -> Result<Built, BuildError> {
    build_package(&package_named(workspace, name)?)
}

/// Builds the module of a policy crate.
///
/// # Errors
/// As [`build()`].
pub fn build_package(package: &Package) -> Result<Built, BuildError> {
    let toolchain = toolchain(&package.workspace)?;
    let core = compile(package)?;
    let metadata = Metadata {
        name: package.name.clone(),
        version: package.version.clone(),
        family: package.family,
        source: source_digest(&package.folder)?,
        toolchain,
    };
    let bytes = componentize(&core, &metadata)?;
    let checked = check::check(&bytes).map_err(|source| BuildError::Check {
        module: package.name.clone(),
        source,
    })?;
    Ok(Built { bytes, checked })
}

/// The core module, as cargo leaves it. In a folder of its own, so that a cargo that runs us does not wait.
fn compile(package: &Package) -> Result<Vec<u8>, BuildError> {
    let folder = package.target_folder.join("policy");
    let mut command = cargo(&package.workspace);
    command
        .args([
            "build",
            "--locked",
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "-p",
            &package.package,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(package)?)
        .stdout(Stdio::null());
    let status = command.status().map_err(|source| BuildError::Tool {
        tool: "cargo",
        source,
    })?;
    if !status.success() {
        let message = format!("{status}; the compiler's messages are above");
        return Err(BuildError::Failed {
            command: format!("cargo build -p {}", package.package),
            message,
        });
    }
    read(
        &folder
            .join(TARGET)
            .join(PROFILE)
            .join(format!("{}.wasm", package.library)),
    )
}

/// Cargo in the workspace, with none of the flags and profiles that the environment may hold.
fn cargo(workspace: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace).env_remove("RUSTFLAGS");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_BUILD_")
            || text.starts_with("CARGO_TARGET_WASM32_")
        {
            command.env_remove(&name);
        }
    }
    command
}

/// The SDK's link settings, and a remapping of every path that differs between machines.
fn flags(package: &Package) -> Result<OsString, BuildError> {
    let file = package.sdk.join(LINK_ARGS);
    let text = String::from_utf8_lossy(&read(&file)?).into_owned();
    let mut flags: Vec<OsString> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(OsString::from)
        .collect();
    let canonical = |path: &Path| {
        path.canonicalize().map_err(|source| BuildError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let workspace = canonical(&package.workspace)?;
    // The repository's own policies have it around them; others only depend on it.
    let repository = canonical(&package.sdk.join("../.."))?;
    let own = (repository != workspace).then(|| workspace.clone());
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let sysroot = output(
        "rustc",
        Command::new("rustc")
            .current_dir(&workspace)
            .args(["--print", "sysroot"]),
    )?;
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    for (from, to) in [
        (own, "/policy"),
        (Some(repository), "/gotong"),
        (home, "/cargo"),
        (Some(sources), "/rust"),
    ] {
        if let Some(from) = from {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flags.push(flag);
        }
    }
    Ok(flags.join(&OsString::from("\u{1f}")))
}

/// The compiler's name; its WebAssembly library is installed when it is missing.
fn toolchain(workspace: &Path) -> Result<String, BuildError> {
    let rustc = |arguments: &[&str]| {
        output(
            "rustc",
            Command::new("rustc").current_dir(workspace).args(arguments),
        )
    };
    let installed = || {
        Ok::<_, BuildError>(
            Path::new(rustc(&["--print", "target-libdir", "--target", TARGET])?.trim()).is_dir(),
        )
    };
    if !installed()? {
        output(
            "rustup",
            Command::new("rustup")
                .current_dir(workspace)
                .args(["target", "add", TARGET]),
        )
        .map_err(|error| BuildError::Target(error.to_string()))?;
        if !installed()? {
            return Err(BuildError::Target("its library is still missing".into()));
        }
    }
    Ok(rustc(&["--version"])?.trim().to_owned())
}

/// The digest of a crate's manifest and sources: names and contents, sorted by name.
fn source_digest(folder: &Path) -> Result<String, BuildError> {
    let mut files = vec![folder.join("Cargo.toml")];
    collect(&folder.join("src"), &mut files)?;
    let mut named = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(folder)
            .unwrap_or(&file)
            .to_string_lossy()
            .replace('\\', "/");
        named.push((name, read(&file)?));
    }
    named.sort();
    let mut hash = Sha256::new();
    for (name, bytes) in named {
        hash.update(format!("{name}\n{}\n", bytes.len()));
        hash.update(bytes);
    }
    Ok(format!("sha256:{}", hex::encode(hash.finalize())))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), BuildError> {
    let unreadable = |source| BuildError::Read {
        path: folder.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::Read {
        path: path.to_owned(),
        source,
    })
}

/// What a command prints. Its errors become ours.
fn output(tool: &'static str, command: &mut Command) -> Result<String, BuildError> {
    let output = command
        .output()
        .map_err(|source| BuildError::Tool { tool, source })?;
    if !output.status.success() {
        let arguments: Vec<_> = command
            .get_args()
            .map(|argument| argument.to_string_lossy())
            .collect();
        return Err(BuildError::Failed {
            command: format!("{tool} {}", arguments.join(" ")),
            message: String::from_utf8_lossy(&output.stderr)
                .trim()
                .replace('\n', " / "),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What `cargo metadata` prints, as far as it is needed.
#[derive(Deserialize)]
struct Listing {
    packages: Vec<Manifest>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    name: String,
    family: Family,
}

/// A policy crate, or `None` for a crate that has no table of ours.
fn package(
    manifest: Manifest,
    workspace: &Path,
    target_folder: &Path,
) -> Result<Option<Package>, BuildError> {
    let Some(table) = manifest.metadata.get("gotong-policy") else {
        return Ok(None);
    };
    let wrong = |message: String| BuildError::Manifest {
        package: manifest.name.clone(),
        message,
    };
    let table = PolicyTable::deserialize(table)
        .map_err(|error| wrong(format!("[package.metadata.gotong-policy]: {error}")))?;
    if !metadata::is_name(&table.name) {
        return Err(wrong(format!(
            "name `{}` is not of lower-case letters, digits and `-`",
            table.name
        )));
    }
    if metadata::version(&manifest.version).is_none() {
        return Err(wrong(format!(
            "version `{}` is not MAJOR.MINOR.PATCH",
            manifest.version
        )));
    }
    let is_module = |target: &&Target| target.kind.iter().any(|kind| kind == "cdylib");
    let library = manifest
        .targets
        .iter()
        .find(is_module)
        .ok_or_else(|| wrong("it has no `cdylib` library".into()))?;
    let sdk = manifest
        .dependencies
        .into_iter()
        .find(|dependency| dependency.name == SDK)
        .and_then(|dependency| dependency.path)
        .ok_or_else(|| wrong(format!("it does not depend on `{SDK}` by a path")))?;
    let folder = manifest
        .manifest_path
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned();
    Ok(Some(Package {
        library: library.name.replace('-', "_"),
        name: table.name,
        family: table.family,
        folder,
        sdk,
        workspace: workspace.to_owned(),
        target_folder: target_folder.to_owned(),
        version: manifest.version.clone(),
        package: manifest.name.clone(),
    }))
}
