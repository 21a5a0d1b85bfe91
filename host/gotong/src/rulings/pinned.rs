//! The bytes of pinned modules, for those who take decisions away to replay them elsewhere.

use std::io;
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use gotong_engine::pin::{self, PinError};
use gotong_engine::{Digest, Lock, Pin};

use crate::config::{Config, ConfigError};

/// A policies folder and its lock.
#[derive(Debug)]
pub struct PinnedModules {
    dir: Dir,
    lock: Lock,
}

#[derive(Debug, thiserror::Error)]
pub enum PinnedError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the folder `{}` cannot be opened", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Lock(#[from] PinError),
    #[error("the pinned file `{file}` cannot be read")]
    File {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("the pinned file `{0}` is not what the lock says: restore it")]
    Changed(String),
}

impl PinnedModules {
    pub fn open(config: &Config) -> Result<Self, PinnedError> {
        let path = config.policies_dir()?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority())
            .map_err(|source| PinnedError::Folder { path, source })?;
        let lock = pin::read_lock(&dir)?;
        Ok(Self { dir, lock })
    }

    /// The pin of a digest.
    pub fn pin(&self, digest: &Digest) -> Option<&Pin> {
        self.lock.pins().iter().find(|pin| pin.digest == *digest)
    }

    /// The bytes of a pin, which are those of its digest.
    pub fn bytes(&self, pin: &Pin) -> Result<Vec<u8>, PinnedError> {
        let file = &pin.file;
        let bytes = self.dir.read(file).map_err(|source| PinnedError::File {
            file: file.clone(),
            source,
        })?;
        match Digest::of(&bytes) == pin.digest {
            true => Ok(bytes),
            false => Err(PinnedError::Changed(file.clone())),
        }
    }
}
