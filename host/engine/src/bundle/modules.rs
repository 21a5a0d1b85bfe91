//! The modules of a bundle, compiled.

use std::collections::HashMap;

use super::{Contents, ModuleEntry};
use crate::digest::Digest;
use crate::engine::{Engine, Fingerprint};
use crate::module::Module;
use crate::policies::LoadError;
use crate::replay::ModuleSet;

/// The modules of a bundle: what its decisions replay with.
#[derive(Debug)]
pub struct Modules {
    engine: Engine,
    modules: HashMap<Digest, Module>,
}

impl Modules {
    /// Compiles the modules of a bundle; those that it lacks are left out.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(engine: &Engine, contents: &Contents) -> Result<Self, LoadError> {
        let load = |(entry, bytes): &(ModuleEntry, Option<Vec<u8>>)| {
            let bytes = bytes.as_deref()?;
            Some(Module::from_bytes(engine, bytes).map(|module| (entry.digest, module)))
        };
        let modules = contents.modules.iter().filter_map(load);
        Ok(Self {
            engine: engine.clone(),
            modules: modules.collect::<Result<_, _>>()?,
        })
    }

    /// The fingerprint of the engine they run in.
    pub fn fingerprint(&self) -> Fingerprint {
        self.engine.fingerprint()
    }
}

impl ModuleSet for Modules {
    fn module(&self, digest: &Digest) -> Option<&Module> {
        self.modules.get(digest)
    }
}
