//! The signature of a lock: `policies.lock.sig` beside it, Ed25519 (RFC 8032) over the very bytes of the lock.
//!
//! Whoever may write the policies folder can change what decides; with a signature, only who holds the key can.
//! Keys are PEM as openssl writes them: PKCS#8 for the private one, SubjectPublicKeyInfo for the public one.

use std::fmt;
use std::io;

use cap_std::fs::Dir;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Deserialize;

use crate::digest::Digest;
use crate::input;
use crate::lock;
use crate::pin::{PinError, write};
use crate::policies::{self, LoadError};

/// The name of the signature in the policies folder.
pub const FILE: &str = "policies.lock.sig";

/// A lock is not signed as it has to be, or cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error(
        "policies.lock is not signed: there is no {FILE}: sign it with `gotong policy sign --key FILE`"
    )]
    Unsigned,
    /// The signature is no signature.
    #[error(
        "{FILE}, line {line}: {message}: sign the lock again with `gotong policy sign --key FILE`"
    )]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The key that signed is not trusted.
    #[error(
        "policies.lock is signed by the key {key}, trusted are {}",
        listed(trusted)
    )]
    Untrusted {
        /// Who signed.
        key: KeyId,
        /// Who may.
        trusted: Vec<KeyId>,
    },
    /// The lock is not what was signed.
    #[error(
        "policies.lock is not what the key {0} signed: it was changed since, or the signature was: restore both, or look at the lock and sign it again"
    )]
    Changed(KeyId),
    /// A file cannot be read.
    #[error("`{file}` in the policies folder cannot be read")]
    Read {
        /// The file.
        file: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No host would load it.
    #[error(transparent)]
    Refused(#[from] Box<LoadError>),
    /// The signature cannot be written.
    #[error(transparent)]
    Write(#[from] PinError),
}

/// A text that holds no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No private key.
    #[error(
        "it holds no Ed25519 private key in PEM (PKCS#8): make one with `gotong policy keygen`"
    )]
    Private,
    /// No public key.
    #[error(
        "it holds no Ed25519 public key in PEM: `openssl pkey -pubout` gives the one of a private key"
    )]
    Public,
    /// No randomness to make a key of.
    #[error("the system gave no random bytes")]
    Random,
}

/// What a key is called: the digest of its 32 public bytes.
pub type KeyId = Digest;

/// A key that may sign a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Every public key of a PEM text, of which there is at least one.
    ///
    /// # Errors
    /// When there is none, or one that is no Ed25519 key.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        const END: &str = "-----END PUBLIC KEY-----";
        let keys: Vec<Self> = text
            .split_inclusive(END)
            .filter(|block| block.contains("-----"))
            .map(|block| VerifyingKey::from_public_key_pem(block.trim()).map(Self))
            .collect::<Result<_, _>>()
            .map_err(|_| KeyError::Public)?;
        if keys.is_empty() {
            return Err(KeyError::Public);
        }
        Ok(keys)
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        Digest::of(self.0.as_bytes())
    }
}

/// A key that signs.
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| KeyError::Random)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// A key of a PEM text.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(text.trim())
            .map(Self)
            .map_err(|_| KeyError::Private)
    }

    /// The key as PEM: to be kept where only its owner can read.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn to_pem(&self) -> Result<impl AsRef<str> + use<>, KeyError> {
        // The secret alone: what openssl reads.
        let pair = ed25519_dalek::pkcs8::KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        pair.to_pkcs8_pem(LineEnding::LF)
            .map(Pem)
            .map_err(|_| KeyError::Private)
    }

    /// The public key as PEM.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn public_pem(&self) -> Result<String, KeyError> {
        self.0
            .verifying_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|_| KeyError::Public)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A private key's text, wiped when it is dropped.
struct Pem<T>(T);

impl<T: AsRef<str>> AsRef<str> for Pem<T> {
    fn as_ref(&self) -> &str {
        self.0.as_ref()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    key: toml::Spanned<String>,
    signature: toml::Spanned<String>,
}

/// Signs the lock of a policies folder as it stands, and writes the signature beside it.
///
/// # Errors
/// When there is no lock that a host would load, or the signature cannot be written.
pub fn sign(dir: &Dir, key: &PrivateKey) -> Result<KeyId, SignatureError> {
    let lock = read_lock(dir)?;
    // What no host would load is not signed.
    policies::loads(dir, &lock).map_err(Box::new)?;
    let signature = key.0.sign(lock.as_bytes());
    let id = key.public().id();
    let text = format!(
        "# Written by `gotong policy sign`: Ed25519 over the bytes of policies.lock.\nkey = \"{id}\"\nsignature = \"{}\"\n",
        hex::encode(signature.to_bytes())
    );
    write(dir, FILE, text.as_bytes())?;
    Ok(id)
}

/// Who of the trusted keys signed the lock of a policies folder as it stands.
///
/// # Errors
/// When it is not signed, was changed, or somebody else signed it.
pub fn verify(dir: &Dir, trusted: &[PublicKey]) -> Result<KeyId, SignatureError> {
    verify_text(dir, &read_lock(dir)?, trusted)
}

/// The same for a text of the lock that was read already: what is verified is what is used.
pub(crate) fn verify_text(
    dir: &Dir,
    lock: &str,
    trusted: &[PublicKey],
) -> Result<KeyId, SignatureError> {
    let text = match input::read_text_in(dir, FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SignatureError::Unsigned);
        }
        Err(source) => return Err(SignatureError::Read { file: FILE, source }),
    };
    let (key, signature) = parse(&text)?;
    let public = trusted.iter().find(|public| public.id() == key);
    let public = public.ok_or_else(|| SignatureError::Untrusted {
        key,
        trusted: trusted.iter().map(PublicKey::id).collect(),
    })?;
    public
        .0
        .verify_strict(lock.as_bytes(), &signature)
        .map_err(|_| SignatureError::Changed(key))?;
    Ok(key)
}

/// Whether a policies folder holds a signature, fitting or not.
pub fn is_signed(dir: &Dir) -> bool {
    dir.exists(FILE)
}

fn read_lock(dir: &Dir) -> Result<String, SignatureError> {
    input::read_text_in(dir, lock::FILE).map_err(|source| SignatureError::Read {
        file: lock::FILE,
        source,
    })
}

fn parse(text: &str) -> Result<(KeyId, Signature), SignatureError> {
    let malformed = |at: usize, message: &str| SignatureError::Malformed {
        line: lock::line_of(text, at),
        message: message.to_owned(),
    };
    let document: Document = toml::from_str(text)
        .map_err(|error| malformed(error.span().map_or(0, |span| span.start), error.message()))?;
    let key = document.key.get_ref().parse().map_err(|error| {
        malformed(
            document.key.span().start,
            &format!("key {}", crate::digest::ParseDigestError::to_string(&error)),
        )
    })?;
    let mut bytes = [0; Signature::BYTE_SIZE];
    hex::decode_to_slice(document.signature.get_ref(), &mut bytes).map_err(|_| {
        malformed(
            document.signature.span().start,
            "signature is not 128 hexadecimal digits",
        )
    })?;
    Ok((key, Signature::from_bytes(&bytes)))
}

fn listed(keys: &[KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(KeyId::to_string).collect();
    keys.join(", ")
}
