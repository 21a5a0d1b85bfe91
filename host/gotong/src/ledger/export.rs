//! Decisions and their modules into a bundle, which an auditor replays without a host.

use std::io::Write;

use gotong_engine::bundle::{Header, ModuleEntry, Trailer, VERSION, WriteError, Writer};
use gotong_engine::{Digest, EngineError, Filter, Fingerprint, Pin};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::source::{Source, SourceError};
use crate::clock::system_now_ms;
use crate::config::Config;
use crate::rulings::decision::DecisionRow;
use crate::rulings::pinned::{PinnedError, PinnedModules};

/// Where the bundle says it comes from.
const PROGRAM: &str = concat!("gotong ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Pinned(#[from] PinnedError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(
        "decision `{decision_id}` names the module `{digest}`, which is no digest: replay it to see what else is wrong"
    )]
    Module { decision_id: String, digest: String },
    #[error(
        "decision `{decision_id}` names the family `{family}`, which nobody knows: replay it to see what else is wrong"
    )]
    Family { decision_id: String, family: String },
    #[error("there is no decision `{0}`")]
    NoSuchDecision(String),
    #[error(
        "no module `{0}` made any of the decisions that were asked for: check the name and the filters"
    )]
    NoDecision(String),
}

/// Where the bytes of modules come from: the host that is asked, or the policies folder beside a store.
#[derive(Debug)]
pub enum Modules<'a> {
    Host(&'a Source, Vec<Pin>),
    Folder(PinnedModules),
}

impl<'a> Modules<'a> {
    pub async fn of(source: &'a Source, config: &Config) -> Result<Modules<'a>, ExportError> {
        Ok(match source {
            Source::Host(_) => Self::Host(source, source.pins().await?),
            Source::Store(_) => Self::Folder(PinnedModules::open(config)?),
        })
    }

    /// The pin of a digest and its bytes; neither when it is pinned there no more.
    fn find(&self, digest: &Digest) -> Result<Option<(&Pin, Vec<u8>)>, ExportError> {
        match self {
            Self::Folder(folder) => match folder.pin(digest) {
                Some(pin) => Ok(Some((pin, folder.bytes(pin)?))),
                None => Ok(None),
            },
            Self::Host(source, pins) => {
                let Some(pin) = pins.iter().find(|pin| pin.digest == *digest) else {
                    return Ok(None);
                };
                let read = source.module(digest);
                let bytes = block_in_place(|| Handle::current().block_on(read))?;
                Ok(Some((pin, bytes)))
            }
        }
    }
}

/// Writes what a filter asks for; each module before the first decision it made.
pub fn export<W: Write>(
    source: &Source,
    modules: &Modules<'_>,
    engine: Fingerprint,
    filter: Filter,
    output: W,
) -> Result<(W, Trailer), ExportError> {
    let header = Header {
        bundle_version: VERSION,
        created_at_ms: system_now_ms(),
        engine,
        filter: filter.clone(),
        host: PROGRAM.to_owned(),
    };
    let mut writer = Writer::new(output, header)?;
    for row in source.walk(&filter) {
        let row = row?;
        let digest = row.module_digest.parse().map_err(|_| ExportError::Module {
            decision_id: row.decision_id.clone(),
            digest: row.module_digest.clone(),
        })?;
        if !writer.has(&digest) {
            let found = modules.find(&digest)?;
            let entry = entry(&row, digest, found.as_ref().map(|(pin, _)| *pin))?;
            writer.module(entry, found.as_ref().map(|(_, bytes)| &bytes[..]))?;
        }
        writer.decision(&row)?;
    }
    let (output, trailer) = writer.finish()?;
    // What is named and not there is a mistake; that nothing was decided since yesterday is none.
    if trailer.decisions == 0 {
        if let Some(id) = filter.decision {
            return Err(ExportError::NoSuchDecision(id));
        }
        if let Some(name) = filter.named_module() {
            return Err(ExportError::NoDecision(name));
        }
    }
    Ok((output, trailer))
}

/// A module as the lock names it; as the decision does when no lock has it.
fn entry(row: &DecisionRow, digest: Digest, pin: Option<&Pin>) -> Result<ModuleEntry, ExportError> {
    if let Some(pin) = pin {
        return Ok(ModuleEntry {
            abi: pin.abi.clone(),
            digest,
            family: pin.family,
            mode: Some(pin.mode),
            name: pin.name.clone(),
            version: pin.version.clone(),
        });
    }
    Ok(ModuleEntry {
        abi: row.abi.clone(),
        digest,
        family: row.family.parse().map_err(|_| ExportError::Family {
            decision_id: row.decision_id.clone(),
            family: row.family.clone(),
        })?,
        mode: None,
        name: row.module_name.clone(),
        version: row.module_version.clone(),
    })
}
