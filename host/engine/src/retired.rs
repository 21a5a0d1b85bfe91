//! A retired module: compared with its digest at start, compiled when somebody first asks for it.

use std::sync::OnceLock;

use crate::cache::Cache;
use crate::engine::Engine;
use crate::lock::Pin;
use crate::module::Module;
use crate::policies::{LoadError, prepare};

/// Old decisions replay and open gates close under it; most hosts never need most of them.
pub(crate) struct Retired {
    pin: Pin,
    /// Kept in memory: the file was what was pinned when the host started, and may not be later.
    bytes: Vec<u8>,
    cache: Option<Cache>,
    module: OnceLock<Result<Module, LoadError>>,
}

impl Retired {
    pub(crate) fn new(pin: &Pin, bytes: Vec<u8>, cache: Option<&Cache>) -> Self {
        Self {
            pin: pin.clone(),
            bytes,
            cache: cache.cloned(),
            module: OnceLock::new(),
        }
    }

    /// The module, compiled by the first who asks; others wait for it.
    pub(crate) fn module(&self, engine: &Engine) -> Result<&Module, &LoadError> {
        self.module
            .get_or_init(|| prepare(engine, &self.pin, &self.bytes, self.cache.as_ref()))
            .as_ref()
    }
}
