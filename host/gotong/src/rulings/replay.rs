//! Every recorded decision, evaluated again with the module it was made by.

use gotong_engine::{Filter, Policies, Run, Summary};

use crate::ledger::source::{Source, SourceError};

/// Replays everything a source holds, on every core. It blocks the calling thread, not the runtime.
pub fn replay_all(policies: &Policies, source: &Source) -> Result<Summary, SourceError> {
    let everything = Filter::default();
    tokio::task::block_in_place(|| {
        gotong_engine::replay_all(
            policies,
            policies.engine().fingerprint(),
            &Run::on_every_core(),
            source.walk(&everything),
            Source::size_of_row,
            |row| Ok(Some(row)),
        )
    })
}
