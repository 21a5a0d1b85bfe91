//! `policy new`: a crate that builds and passes at once.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use gotong_engine::{Family, is_name};

use crate::folder::lock;
use crate::{Outcome, ToolError};

/// The arguments of `policy new`.
#[derive(Debug, Args)]
pub struct New {
    /// The question it answers: role-matrix, gate, moderation, retention or edge-pod
    family: String,
    /// The module's name: lower-case letters, digits and `-`
    name: String,
    /// Folder to make it in [default: `policies` of the repository around here, else this folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A clone of Gotong's repository [default: the one around here, else the one this program was built from]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum NewError {
    #[error(
        "name `{0}` must be 1 to 64 lower-case letters, digits and `-`, beginning with a letter"
    )]
    Name(String),
    #[error("there is no template for the family `{0}`")]
    Template(Family),
    #[error("`{}` exists already: choose another name, or remove it", .0.display())]
    Exists(PathBuf),
    #[error("`{}` is no clone of Gotong's repository: it has no sdk/policy", .0.display())]
    NoSdk(PathBuf),
    #[error(
        "there is no clone of Gotong's repository around here: say where one is with --sdk DIR"
    )]
    Sdk,
    #[error("`{}` cannot be read or written", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cargo could not lock the new crate's dependencies: {0}")]
    Lock(String),
}

/// What is written for one family, beside what all share.
struct Template {
    family: &'static str,
    library: &'static str,
    cases: &'static str,
}

macro_rules! templates {
    ($($family:literal)*) => { &[$(Template {
        family: $family,
        library: include_str!(concat!("../../../sdk/template/", $family, "/src/lib.rs")),
        cases: include_str!(concat!("../../../sdk/template/", $family, "/cases/first.json")),
    }),*] };
}

const TEMPLATES: &[Template] = templates!("role-matrix" "gate" "moderation" "retention" "edge-pod");

macro_rules! shared {
    ($file:literal) => {
        include_str!(concat!("../../../sdk/template/common/", $file))
    };
}

/// The clone that this program was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

impl New {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let family: Family = self.family.parse()?;
        if !is_name(&self.name) {
            return Err(NewError::Name(self.name.clone()).into());
        }
        let template = TEMPLATES
            .iter()
            .find(|template| template.family == family.as_str())
            .ok_or(NewError::Template(family))?;
        let here = canonical(Path::new("."))?;
        let repository = self.repository(&here)?;
        let own_policies = repository.join("policies");
        let dir = match &self.dir {
            Some(dir) => canonical(dir)?,
            None if here.starts_with(&repository) => own_policies.clone(),
            None => here.clone(),
        };
        let folder = dir.join(&self.name);
        if folder.symlink_metadata().is_ok() {
            return Err(NewError::Exists(folder).into());
        }
        let place = Place {
            inside: dir == own_policies,
            repository,
            folder,
        };
        self.write(family, template, &place)?;
        let shown = place
            .folder
            .strip_prefix(&here)
            .unwrap_or(&place.folder)
            .display();
        say!("{shown}: a policy of the family {family}, with its cases");
        say!("next: gotong-policy test {shown}");
        Ok(Outcome::Held)
    }

    /// The clone whose SDK the crate depends on.
    fn repository(&self, here: &Path) -> Result<PathBuf, NewError> {
        let has_sdk = |folder: &Path| folder.join("sdk/policy/link-args.txt").is_file();
        if let Some(given) = &self.sdk {
            let given = canonical(given)?;
            return if has_sdk(&given) {
                Ok(given)
            } else {
                Err(NewError::NoSdk(given))
            };
        }
        let from_dir = self.dir.as_deref().map(canonical).transpose()?;
        from_dir
            .iter()
            .flat_map(|dir| dir.ancestors())
            .chain(here.ancestors())
            .chain([Path::new(BUILT_FROM)])
            .find(|folder| has_sdk(folder))
            .ok_or(NewError::Sdk)
            .and_then(canonical)
    }

    /// Writes the crate beside its place and moves it there when it is whole.
    fn write(&self, family: Family, template: &Template, place: &Place) -> Result<(), ToolError> {
        let beside =
            place
                .folder
                .with_file_name(format!(".{}.new-{}", self.name, std::process::id()));
        let written = self
            .fill(family, template, place, &beside)
            .and_then(|()| {
                if place.inside {
                    Ok(())
                } else {
                    lock(&beside).map_err(NewError::Lock)
                }
            })
            .and_then(|()| fs::rename(&beside, &place.folder).map_err(|e| file(&place.folder, e)));
        if written.is_err() {
            // Best effort: what could not be written may not be there.
            let _ = fs::remove_dir_all(&beside);
        }
        written?;
        if place.inside
            && let Err(error) = lock(&place.repository).map_err(NewError::Lock)
        {
            let _ = fs::remove_dir_all(&place.folder);
            return Err(error.into());
        }
        Ok(())
    }

    fn fill(
        &self,
        family: Family,
        template: &Template,
        place: &Place,
        folder: &Path,
    ) -> Result<(), NewError> {
        let package = format!("{}-policy", self.name);
        let library = package.replace('-', "_");
        let (manifest, shown, build) = if place.inside {
            let shown = format!("policies/{}", self.name);
            (shared!("inside.toml"), shown, self.name.clone())
        } else {
            // Which host will pin it is not known here.
            let build = ". --policies DIR".to_owned();
            (shared!("outside.toml"), ".".to_owned(), build)
        };
        // As a TOML string, whatever the path holds.
        let sdk = toml::Value::from(place.repository.join("sdk/policy").display().to_string());
        let filled = |text: &str| {
            text.replace("{{name}}", &self.name)
                .replace("{{family}}", family.as_str())
                .replace("{{package}}", &package)
                .replace("{{library}}", &library)
                .replace("{{folder}}", &shown)
                .replace("{{build}}", &build)
                .replace("{{sdk}}", &sdk.to_string())
        };
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, text))
                .map_err(|error| file(&path, error))
        };
        write("Cargo.toml", &filled(manifest))?;
        write("README.md", &filled(shared!("README.md")))?;
        write("src/lib.rs", &filled(template.library))?;
        write("cases/first.json", template.cases)?;
        let example = format!("examples/{}.rs", self.name);
        write(&example, &filled(shared!("example.rs")))?;
        if !place.inside {
            write(".gitignore", shared!("gitignore"))?;
            for name in ["Cargo.lock", "rust-toolchain.toml"] {
                let from = place.repository.join(name);
                let text = fs::read_to_string(&from).map_err(|error| file(&from, error))?;
                write(name, &text)?;
            }
        }
        Ok(())
    }
}

/// Where the crate goes.
struct Place {
    /// Among the repository's own policies, and so of its workspace.
    inside: bool,
    repository: PathBuf,
    folder: PathBuf,
}

fn canonical(path: &Path) -> Result<PathBuf, NewError> {
    path.canonicalize().map_err(|error| file(path, error))
}

fn file(path: &Path, source: std::io::Error) -> NewError {
    NewError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_template() {
        for family in Family::ALL {
            assert!(
                TEMPLATES.iter().any(|each| each.family == family.as_str()),
                "{family}"
            );
        }
    }
}
