//! Compiled modules, kept between starts. A cache file is only speed: the pinned module is the
//! identity, and whatever is wrong with a file leads to a new compilation, never to an error.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::engine::Engine;

const KEY_FILE: &str = "cache.key";
/// The block of SHA-256: HMAC takes such a key as it is.
const KEY_BYTES: usize = 64;
/// Raised when the layout of a file changes.
const HEADER: &[u8] = b"gotong-compiled-1\n";
const MAC_BYTES: usize = 32;

/// The cache folder could not be used at all.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The key could neither be read nor made.
    #[error(
        "the compile cache has no usable `{KEY_FILE}` ({0}): make the cache folder writable, or serve without a cache"
    )]
    Key(io::Error),
    /// The system gives no random bytes.
    #[error("the compile cache cannot make a key: {0}")]
    Random(getrandom::Error),
}

/// A folder of compiled modules. Each file is authenticated with the key of this installation, for
/// compiled code is trusted code. Cloning shares it.
#[derive(Clone)]
pub struct Cache {
    dir: Arc<Dir>,
    key: [u8; KEY_BYTES],
}

impl Cache {
    /// Opens a cache folder; its key is made when there is none.
    ///
    /// # Errors
    /// When there is no key and none can be written.
    pub fn open(dir: Dir) -> Result<Self, CacheError> {
        let key = match read_key(&dir) {
            Ok(key) => key,
            Err(_) => {
                let mut key = [0; KEY_BYTES];
                getrandom::fill(&mut key).map_err(CacheError::Random)?;
                write(&dir, KEY_FILE, &[&key]).map_err(CacheError::Key)?;
                // Another process may have been here too: the file says who won.
                read_key(&dir).map_err(CacheError::Key)?
            }
        };
        Ok(Self {
            dir: Arc::new(dir),
            key,
        })
    }

    /// The compiled module of a digest: from the cache, else by `compile`, which is then kept.
    pub(crate) fn component<E>(
        &self,
        engine: &Engine,
        digest: &Digest,
        compile: impl FnOnce() -> Result<Component, E>,
    ) -> Result<Component, E> {
        let name = file_name(engine, digest);
        if let Some(component) = self.read(engine, &name) {
            return Ok(component);
        }
        let component = compile()?;
        if let Ok(code) = component.serialize() {
            let mac = self.mac(&name, &code).finalize().into_bytes();
            // A full disk or a read-only folder costs the next start its speed, nothing else.
            let _ = write(&self.dir, &name, &[HEADER, &mac, &code]);
        }
        Ok(component)
    }

    fn read(&self, engine: &Engine, name: &str) -> Option<Component> {
        let file = self.dir.read(name).ok()?;
        let (mac, code) = file.strip_prefix(HEADER)?.split_at_checked(MAC_BYTES)?;
        self.mac(name, code).verify_slice(mac).ok()?;
        // SAFETY: the bytes must be an unchanged output of `Component::serialize`. The MAC, made with
        // a key that only this installation holds, covers all of them and the file's name, and is
        // checked above over the very buffer that is read here; only `component` writes such a MAC,
        // over what `serialize` returned. A build for another version, configuration or processor is
        // refused by wasmtime itself.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(engine.wasmtime(), code) };
        component.ok()
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(name.as_bytes());
        mac.update(b"\n");
        mac.update(code);
        mac
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

fn file_name(engine: &Engine, digest: &Digest) -> String {
    format!("{}-{}.compiled", engine.code_key().hex(), digest.hex())
}

fn read_key(dir: &Dir) -> io::Result<[u8; KEY_BYTES]> {
    dir.read(KEY_FILE)?
        .try_into()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not a key"))
}

/// Writes beside the file and renames, so that nobody ever reads half of one.
fn write(dir: &Dir, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let beside = format!("{name}.{}", hex::encode(random));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = dir.open_with(&beside, &options)?;
    let written = parts
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| dir.rename(&beside, dir, name));
    if written.is_err() {
        let _ = dir.remove_file(&beside);
    }
    written
}
