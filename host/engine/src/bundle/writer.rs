//! Writing a bundle.

use std::collections::HashSet;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{DECISION, Header, Line, MAX_LINE, MAX_MODULES, ModuleEntry, ModuleLine, Trailer};
use crate::decision::Decision;
use crate::digest::Digest;

/// A bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output fails.
    #[error("the bundle cannot be written")]
    Write(#[from] io::Error),
    /// It has no canonical JSON.
    #[error("decision `{0}` has no canonical JSON")]
    Canonical(String, #[source] serde_json::Error),
    /// The source gives its decisions in another order.
    #[error(
        "the source gave decision `{decision_id}` behind `{before}`, which is not the order of ids"
    )]
    Order {
        /// The decision.
        decision_id: String,
        /// The one before it.
        before: String,
    },
    /// A decision that came before its module.
    #[error("decision `{0}` was to be written before its module")]
    BeforeItsModule(String),
    /// Nobody could read it.
    #[error("decision `{0}` makes a line longer than {MAX_LINE} bytes")]
    Oversized(String),
    /// Nobody could read it.
    #[error(
        "the decisions were made by more than {MAX_MODULES} modules: ask for fewer with the filters"
    )]
    TooManyModules,
}

/// Writes a bundle that [`super::Reader`] reads.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    hasher: Sha256,
    modules: HashSet<Digest>,
    decisions: u64,
    newest: String,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When the output fails.
    pub fn new(output: W, header: Header) -> Result<Self, WriteError> {
        let mut writer = Self {
            output,
            hasher: Sha256::new(),
            modules: HashSet::new(),
            decisions: 0,
            newest: String::new(),
        };
        let line = canonical("header", &Line::Header(header))?;
        writer.line(&line)?;
        Ok(writer)
    }

    /// Whether a module has been written.
    pub fn has(&self, digest: &Digest) -> bool {
        self.modules.contains(digest)
    }

    /// Writes a module, unless it has been: before the first decision it made. Without bytes when there are none.
    ///
    /// # Errors
    /// When the output fails or there are too many.
    pub fn module(&mut self, entry: ModuleEntry, bytes: Option<&[u8]>) -> Result<(), WriteError> {
        if self.has(&entry.digest) {
            return Ok(());
        }
        if self.modules.len() == MAX_MODULES {
            return Err(WriteError::TooManyModules);
        }
        self.modules.insert(entry.digest);
        let line = canonical(
            "module",
            &Line::Module(ModuleLine {
                abi: entry.abi,
                digest: entry.digest,
                family: entry.family,
                mode: entry.mode,
                name: entry.name,
                version: entry.version,
                wasm: bytes.map(|bytes| STANDARD.encode(bytes)),
            }),
        )?;
        self.line(&line)
    }

    /// Writes a decision.
    ///
    /// # Errors
    /// When the output fails, or it may not stand there.
    pub fn decision(&mut self, decision: &Decision) -> Result<(), WriteError> {
        let id = &decision.decision_id;
        let known = decision
            .module_digest
            .parse()
            .is_ok_and(|digest| self.has(&digest));
        if !known {
            return Err(WriteError::BeforeItsModule(id.clone()));
        }
        if self.decisions > 0 && self.newest >= *id {
            return Err(WriteError::Order {
                decision_id: id.clone(),
                before: self.newest.clone(),
            });
        }
        let mut line = DECISION.0.to_vec();
        line.extend(canonical(id, decision)?);
        line.extend(DECISION.1);
        if line.len() > MAX_LINE {
            return Err(WriteError::Oversized(id.clone()));
        }
        self.newest.clone_from(id);
        self.decisions += 1;
        self.line(&line)
    }

    /// Writes the trailer. What was written is no bundle without it.
    ///
    /// # Errors
    /// When the output fails.
    pub fn finish(mut self) -> Result<(W, Trailer), WriteError> {
        let trailer = Trailer {
            decisions: self.decisions,
            digest: Digest::from_hasher(self.hasher.clone()),
            modules: self.modules.len() as u64,
        };
        let line = canonical("trailer", &Line::Trailer(trailer))?;
        self.line(&line)?;
        self.output.flush()?;
        Ok((self.output, trailer))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), WriteError> {
        for part in [line, b"\n"] {
            self.hasher.update(part);
            self.output.write_all(part)?;
        }
        Ok(())
    }
}

fn canonical(id: &str, value: &impl Serialize) -> Result<Vec<u8>, WriteError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| WriteError::Canonical(id.to_owned(), error))
}
