//! Proves each migration by its check file, on a fresh in-memory store.
//!
//! A check is a list of blocks. A line `-- expect ok` or `-- expect error: TEXT` opens a block; the
//! lines up to the next one are its query. `-- expect ok as PERSON` runs it in a person's session. See
//! `migrations/README.md`.

use surrealdb::types::Variables;

use crate::error::StoreError;
use crate::migrations::{Migration, MigrationError, Migrations};
use crate::store::Store;
use crate::target::Target;

/// What [`prove`] went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ProofReport {
    /// Migrations with a check that held.
    pub migrations: usize,
    /// Blocks in those checks.
    pub blocks: usize,
}

/// Runs the check of every migration, each on a store of its own that was migrated up to there.
///
/// # Errors
///
/// [`MigrationError::Unproven`] when one has no check, [`MigrationError::Check`] when one does not hold.
pub async fn prove(migrations: &Migrations) -> Result<ProofReport, MigrationError> {
    let mut report = ProofReport::default();
    for migration in migrations.iter() {
        let unproven = || MigrationError::Unproven {
            title: migration.title(),
        };
        let blocks = parse(migration.check.as_deref().ok_or_else(unproven)?);
        if blocks.is_empty() {
            return Err(unproven());
        }
        let store = Store::open(&Target::Memory, None).await?;
        store.migrate_to(migrations, migration.number).await?;
        for block in &blocks {
            run(&store, migration, block).await?;
        }
        report.migrations += 1;
        report.blocks += blocks.len();
    }
    Ok(report)
}

#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    /// Whose session it runs in; the host's unless it says otherwise.
    person: Option<String>,
    /// The text an error has to contain; none when the block has to succeed.
    error: Option<String>,
    query: String,
}

fn parse(check: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (i, line) in check.lines().enumerate() {
        match line.trim().strip_prefix("-- expect ") {
            Some(expected) => {
                let (head, error) = match expected.split_once(':') {
                    Some((head, text)) => (head, Some(text.trim().to_owned())),
                    None => (expected, None),
                };
                blocks.push(Block {
                    line: i + 1,
                    person: head
                        .split_once(" as ")
                        .map(|(_, who)| who.trim().to_owned()),
                    error,
                    query: String::new(),
                });
            }
            None => {
                if let Some(block) = blocks.last_mut() {
                    block.query.push_str(line);
                    block.query.push('\n');
                }
            }
        }
    }
    blocks
}

/// The queries of a check's blocks that run as the host.
#[cfg(test)]
pub(crate) fn blocks(check: &str) -> impl Iterator<Item = String> {
    let blocks = parse(check).into_iter();
    blocks
        .filter(|block| block.person.is_none())
        .map(|block| block.query)
}

async fn run(store: &Store, migration: &Migration, block: &Block) -> Result<(), MigrationError> {
    let failed = match &block.person {
        None => store
            .write(&block.query, Variables::new())
            .await
            .err()
            .map(StoreError::from),
        Some(person) => store
            .as_person(person)
            .await?
            .read(&block.query)
            .await
            .err(),
    };
    let failure = failed.map(|failure| match failure {
        StoreError::Query(reason) | StoreError::Busy(reason) => reason.to_string(),
        other => other.to_string(),
    });
    let wrong = match (&block.error, &failure) {
        (None, None) => None,
        (None, Some(got)) => Some(("success".to_owned(), got.clone())),
        (Some(text), None) => Some((format!("an error with `{text}`"), "success".to_owned())),
        (Some(text), Some(got)) if got.contains(text) => None,
        (Some(text), Some(got)) => Some((format!("an error with `{text}`"), got.clone())),
    };
    match wrong {
        None => Ok(()),
        Some((expected, got)) => Err(MigrationError::Check {
            title: migration.title(),
            line: block.line,
            expected,
            got,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_blocks() {
        let blocks = parse("-- a note\n-- expect ok\nA;\nB;\n-- expect error as sari: no\nC;");
        assert_eq!(
            blocks,
            [
                Block {
                    line: 2,
                    person: None,
                    error: None,
                    query: "A;\nB;\n".to_owned()
                },
                Block {
                    line: 5,
                    person: Some("sari".to_owned()),
                    error: Some("no".to_owned()),
                    query: "C;\n".to_owned()
                },
            ]
        );
    }
}
