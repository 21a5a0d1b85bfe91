//! The only crate that knows SurrealDB.
//!
//! It promises four things and nothing else:
//!
//! - **Reads** are SurrealQL with bound parameters, typed by serde ([`Store::read`], [`Store::get`],
//!   [`Store::scan`]); what is private to a person in a session of that person ([`Store::as_person`]). Rows are keyed by what they are read by: [`Key`] and [`KeyRange`].
//! - **Writes** of domain state go through one door, [`Store::commit`]: a [`Commit`] is applied whole,
//!   in one transaction, or not at all, and only if what it was decided on is still true.
//! - **The schema** is what [`Migrations`] built from zero, recorded with checksums.
//! - **Errors** are typed here. No type or message of the database leaves the crate except as a source.
//!
//! It does not retry, does not know what an event means, and holds no state beside the connection.

#![warn(missing_docs)]

mod breakage;
mod commit;
mod decisions;
mod error;
mod jobs;
mod key;
mod ledger;
mod migrations;
mod people;
mod proof;
mod race;
mod read;
mod session;
mod store;
mod target;
mod transaction;
mod value;
mod wrote;

pub use commit::{Commit, EventRow, Job, JobChange, Moved, PrivateRow, RowChange, StoredResponse};
pub use decisions::DecisionQuery;
pub use error::{CommitError, EngineError, StoreError};
pub use jobs::{AfterFailure, Due, JobRow, JobState, Jobs, LOOKED_AT, Lease, Listed, QueueDepth};
pub use key::{IntoParts, Key, KeyRange, Part};
pub use ledger::{Counts, Head};
pub use migrations::{Migration, MigrationError, MigrationReport, Migrations};
pub use people::PersonStore;
pub use proof::{ProofReport, prove};
pub use race::Race;
pub use read::{Read, Rows};
pub use store::{Failures, Store};
pub use target::{Durability, Secret, Server, Target, TargetError};
