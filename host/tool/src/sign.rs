//! `policy keygen`, `policy sign` and `policy verify`: who may say what decides.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gotong_engine::input;
use gotong_engine::signature::{self, KeyError, PrivateKey, PublicKey, SignatureError};

use crate::folder::Policies;
use crate::{Outcome, ToolError};

/// The arguments of `policy keygen`.
#[derive(Debug, Args)]
pub struct Keygen {
    /// The new private key, for its owner alone; the public one goes to FILE.pub
    file: PathBuf,
}

/// The arguments of `policy sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// An Ed25519 private key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    policies: Policies,
}

/// The arguments of `policy verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The trusted Ed25519 public keys, PEM, one behind the other
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    policies: Policies,
}

/// A file that holds no key, or cannot take one.
#[derive(Debug, thiserror::Error)]
enum KeyFileError {
    #[error("`{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}`", path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error("`{}` cannot be written; a key is never overwritten", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Keygen {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let wrong = |source| KeyFileError::Key {
            path: self.file.clone(),
            source,
        };
        let key = PrivateKey::generate().map_err(wrong)?;
        let mut public = self.file.clone().into_os_string();
        public.push(".pub");
        let public = PathBuf::from(public);
        write_new(&public, &key.public_pem().map_err(wrong)?, false)?;
        let written = key
            .to_pem()
            .map_err(wrong)
            .and_then(|pem| write_new(&self.file, pem.as_ref(), true));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&public);
            return Err(error.into());
        }
        say!(
            "key {}: private in `{}`, public in `{}`",
            key.public().id(),
            self.file.display(),
            public.display()
        );
        Ok(Outcome::Held)
    }
}

impl Sign {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let key = PrivateKey::from_pem(&read(&self.key)?).map_err(|source| KeyFileError::Key {
            path: self.key.clone(),
            source,
        })?;
        let id = signature::sign(&self.policies.open()?, &key)?;
        say!(
            "policies.lock is signed by the key {id}: {} is to be kept beside it",
            signature::FILE
        );
        Ok(Outcome::Held)
    }
}

impl Verify {
    pub(crate) fn run(&self) -> Result<Outcome, ToolError> {
        let trusted =
            PublicKey::all_from_pem(&read(&self.key)?).map_err(|source| KeyFileError::Key {
                path: self.key.clone(),
                source,
            })?;
        match signature::verify(&self.policies.open()?, &trusted) {
            Ok(id) => {
                say!("policies.lock is signed by the key {id}");
                Ok(Outcome::Held)
            }
            Err(
                error @ (SignatureError::Read { .. }
                | SignatureError::Malformed { .. }
                | SignatureError::Refused(_)
                | SignatureError::Write(_)),
            ) => Err(error.into()),
            Err(error) => {
                complain!("{error}");
                Ok(Outcome::DidNotHold)
            }
        }
    }
}

fn read(path: &Path) -> Result<String, KeyFileError> {
    input::read_text(path).map_err(|source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str, private: bool) -> Result<(), KeyFileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| KeyFileError::Write {
            path: path.to_owned(),
            source,
        })
}
