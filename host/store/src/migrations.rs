//! The schema, built from zero by numbered files and by nothing else.
//!
//! A file `NNNN_name.surql` runs as one transaction together with the row that records it. What was
//! applied never changes: a file whose checksum differs from the record is refused by name.

use std::fs;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use surrealdb::types::Variables;

use crate::error::{EngineError, Failure, StoreError};
use crate::key::{Key, KeyRange};
use crate::store::Store;
use crate::value::{int, object, object_with_id, text};
use crate::wrote::wrote;

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations");

/// Hosts that start together may want to apply the same migration.
const TRIES: usize = 5;

const TABLE: &str = "
    DEFINE TABLE IF NOT EXISTS migration SCHEMAFULL COMMENT 'which migrations built this database';
    DEFINE FIELD IF NOT EXISTS number ON migration TYPE int READONLY;
    DEFINE FIELD IF NOT EXISTS name ON migration TYPE string READONLY;
    DEFINE FIELD IF NOT EXISTS checksum ON migration TYPE string READONLY;
    DEFINE FIELD IF NOT EXISTS at ON migration TYPE datetime DEFAULT time::now() READONLY;";

/// One numbered file and its check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1, without gaps.
    pub number: u32,
    /// The file's name without number and extension.
    pub name: String,
    /// The statements.
    pub statements: String,
    /// The text of `checks/NNNN_name.surql`, if there is one.
    pub check: Option<String>,
}

impl Migration {
    /// `NNNN_name`, as in the file's name.
    pub fn title(&self) -> String {
        format!("{:04}_{}", self.number, self.name)
    }

    /// SHA-256 of the statements, in hex.
    pub fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.statements.as_bytes()))
    }
}

/// All migrations a binary knows, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    list: Vec<Migration>,
}

/// What [`Store::migrate`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// Titles of the migrations applied now.
    pub applied: Vec<String>,
    /// How many had been applied before.
    pub already: usize,
}

/// Why a database cannot be brought to this binary's schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A file's name is not `NNNN_name.surql`.
    #[error("`{file}` is not named NNNN_name.surql")]
    Name {
        /// The file.
        file: String,
    },
    /// A number is missing or used twice.
    #[error("expected migration {expected:04}, found `{found}`")]
    Gap {
        /// The number that should have come.
        expected: u32,
        /// The migration that came.
        found: String,
    },
    /// A file was changed after it had been applied.
    #[error("migration `{title}` was changed after it was applied; write a new one instead")]
    Changed {
        /// The migration as it was applied.
        title: String,
    },
    /// The database was built by a newer binary.
    #[error(
        "the database has migration `{title}`, which this binary does not know; use a newer binary"
    )]
    Newer {
        /// The first unknown migration.
        title: String,
    },
    /// A migration failed; nothing of it was applied.
    #[error("migration `{title}` failed: {reason}")]
    Failed {
        /// The migration.
        title: String,
        /// What the engine said; a migration's author is the reader.
        reason: EngineError,
    },
    /// A migration has no check.
    #[error("migration `{title}` has no check; write migrations/checks/{title}.surql")]
    Unproven {
        /// The migration.
        title: String,
    },
    /// A check did not go as it says.
    #[error("check of `{title}`, line {line}: expected {expected}, got {got}")]
    Check {
        /// The migration.
        title: String,
        /// Line of the block's `-- expect`.
        line: usize,
        /// What the check says.
        expected: String,
        /// What happened.
        got: String,
    },
    /// A migrations folder could not be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Migrations {
    /// The migrations built into this binary.
    ///
    /// # Errors
    ///
    /// When a file's name or number is wrong, which a test of this crate rules out.
    pub fn embedded() -> Result<Migrations, MigrationError> {
        let files = EMBEDDED.files().filter_map(|file| {
            let name = file.path().file_name()?.to_str()?;
            let check = EMBEDDED.get_file(Path::new("checks").join(name));
            Some((
                name.to_owned(),
                file.contents_utf8()?.to_owned(),
                check
                    .and_then(|check| check.contents_utf8())
                    .map(str::to_owned),
            ))
        });
        Migrations::of(files)
    }

    /// The migrations in a folder.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a file's name or number is wrong.
    pub fn from_dir(path: &Path) -> Result<Migrations, MigrationError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| MigrationError::Read { path, source }
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(failed(path))? {
            let file = entry.map_err(failed(path))?.path();
            let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if !name.ends_with(".surql") {
                continue;
            }
            let statements = fs::read_to_string(&file).map_err(failed(&file))?;
            let check = match fs::read_to_string(path.join("checks").join(name)) {
                Ok(check) => Some(check),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(failed(&path.join("checks").join(name))(error)),
            };
            files.push((name.to_owned(), statements, check));
        }
        Migrations::of(files)
    }

    /// The number of the last one, 0 when there is none.
    pub fn latest(&self) -> u32 {
        self.list.last().map_or(0, |migration| migration.number)
    }

    /// The migrations in order.
    pub fn iter(&self) -> impl Iterator<Item = &Migration> {
        self.list.iter()
    }

    fn of(
        files: impl IntoIterator<Item = (String, String, Option<String>)>,
    ) -> Result<Migrations, MigrationError> {
        let mut list = Vec::new();
        for (file, statements, check) in files {
            let Some(stem) = file.strip_suffix(".surql") else {
                continue;
            };
            let parsed = stem.split_once('_').and_then(|(number, name)| {
                (number.len() == 4 && !name.is_empty())
                    .then_some((number.parse().ok()?, name.to_owned()))
            });
            let Some((number, name)) = parsed else {
                return Err(MigrationError::Name { file });
            };
            list.push(Migration {
                number,
                name,
                statements,
                check,
            });
        }
        list.sort_by_key(|migration| migration.number);
        for (expected, migration) in (1..).zip(&list) {
            if migration.number != expected {
                return Err(MigrationError::Gap {
                    expected,
                    found: migration.title(),
                });
            }
        }
        Ok(Migrations { list })
    }
}

#[derive(Deserialize)]
struct Applied {
    number: u32,
    name: String,
    checksum: String,
}

impl Applied {
    fn title(&self) -> String {
        format!("{:04}_{}", self.number, self.name)
    }
}

impl Store {
    /// Applies the migrations that are missing, each in a transaction of its own.
    ///
    /// # Errors
    ///
    /// When the database and the binary disagree about the past, or a migration fails.
    pub async fn migrate(
        &self,
        migrations: &Migrations,
    ) -> Result<MigrationReport, MigrationError> {
        self.migrate_to(migrations, migrations.latest()).await
    }

    /// Checks, without changing anything, that the database has exactly these migrations or a first
    /// part of them; returns the titles of those that are missing.
    ///
    /// # Errors
    ///
    /// When the database and the binary disagree about the past.
    pub async fn missing_migrations(
        &self,
        migrations: &Migrations,
    ) -> Result<Vec<String>, MigrationError> {
        let applied = self.applied(migrations).await?;
        Ok(migrations
            .list
            .iter()
            .skip(applied)
            .map(Migration::title)
            .collect())
    }

    pub(crate) async fn migrate_to(
        &self,
        migrations: &Migrations,
        last: u32,
    ) -> Result<MigrationReport, MigrationError> {
        self.write_at_leisure(TABLE, Variables::new())
            .await
            .map_err(StoreError::from)?;
        let mut report = MigrationReport {
            already: self.applied(migrations).await?,
            ..Default::default()
        };
        for migration in migrations.list.iter().skip(report.already) {
            if migration.number > last {
                break;
            }
            if self.apply(migrations, migration).await? {
                report.applied.push(migration.title());
            } else {
                report.already += 1;
            }
        }
        Ok(report)
    }

    /// How many are applied, after comparing each with its record.
    async fn applied(&self, migrations: &Migrations) -> Result<usize, MigrationError> {
        let applied: Vec<Applied> = match self.scan(&KeyRange::table("migration")).await {
            // A database that was never migrated has no such table.
            Err(StoreError::Query(error)) if error.to_string().contains("does not exist") => {
                Vec::new()
            }
            rows => rows?,
        };
        for (expected, row) in (1..).zip(&applied) {
            if row.number != expected {
                return Err(MigrationError::Gap {
                    expected,
                    found: row.title(),
                });
            }
            match migrations.list.get(expected as usize - 1) {
                None => return Err(MigrationError::Newer { title: row.title() }),
                Some(known) if known.checksum() != row.checksum || known.name != row.name => {
                    return Err(MigrationError::Changed { title: row.title() });
                }
                Some(_) => {}
            }
        }
        Ok(applied.len())
    }

    /// Applies one; false when another host did so first.
    async fn apply(
        &self,
        migrations: &Migrations,
        migration: &Migration,
    ) -> Result<bool, MigrationError> {
        let row = object([
            ("number", int(i64::from(migration.number))),
            ("name", text(&migration.name)),
            ("checksum", text(&migration.checksum())),
        ]);
        let mut variables = Variables::new();
        variables.insert(
            "migration",
            object_with_id(&Key::parts("migration", migration.number), row),
        );
        let query = format!(
            "BEGIN;\n{}\n;{}\nCOMMIT;",
            migration.statements,
            wrote!("INSERT $migration")
        );
        let mut tries = 0;
        loop {
            let failure = match self.write_at_leisure(&query, variables.clone()).await {
                Ok(_) => return Ok(true),
                Err(failure) => failure,
            };
            tries += 1;
            let contended = matches!(failure, Failure::Conflict(_) | Failure::Exists { .. });
            if contended && self.applied(migrations).await? >= migration.number as usize {
                return Ok(false);
            }
            if !contended || tries == TRIES {
                let reason = match StoreError::from(failure) {
                    StoreError::Query(reason) | StoreError::Busy(reason) => reason,
                    other => EngineError::new(other),
                };
                return Err(MigrationError::Failed {
                    title: migration.title(),
                    reason,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Migrations, MigrationError> {
        Migrations::of(
            names
                .iter()
                .map(|name| ((*name).to_owned(), String::new(), None)),
        )
    }

    #[test]
    fn numbers_run_without_gaps_from_one() {
        assert_eq!(
            of(&["0002_b.surql", "0001_a.surql"])
                .expect("in order")
                .latest(),
            2
        );
        let gap = of(&["0001_a.surql", "0003_c.surql"])
            .expect_err("a gap")
            .to_string();
        assert_eq!(gap, "expected migration 0002, found `0003_c`");
        assert!(matches!(
            of(&["0001_a.surql", "0001_b.surql"]),
            Err(MigrationError::Gap { .. })
        ));
    }

    #[test]
    fn names_are_checked() {
        for name in ["1_a.surql", "0001.surql", "0001_.surql", "abcd_a.surql"] {
            assert!(
                matches!(of(&[name]), Err(MigrationError::Name { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_embedded_is_what_lies_in_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        assert_eq!(
            Migrations::embedded().expect("embedded"),
            Migrations::from_dir(&folder).expect("folder")
        );
    }
}
