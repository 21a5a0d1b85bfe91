//! The append-only ledger: one hash chain per stream.
//!
//! An event's body is canonical JSON (RFC 8785) that holds the hash of the event before it; its own hash is
//! the SHA-256 of those bytes. Personal fields are not in the body: it holds a salted commitment to each, and
//! the value lies with its salt in `event_private`, where it can be erased without breaking the chain.

pub mod event;
pub mod export;
pub mod routes;
pub mod source;
pub mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use gotong_store::{EventRow, PrivateRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::command::refusal::Fault;
use event::Event;

/// What the first event of a stream holds in place of a hash before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Bytes of salt before each personal value.
const SALT_BYTES: usize = 16;

/// The hashed part of an event, field by field as it stands in its body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    pub event_id: String,
    pub stream: String,
    pub seq: u64,
    pub kind: String,
    pub at_ms: Millis,
    /// Hash of the event before, or `GENESIS`.
    pub prev: String,
    pub request_id: String,
    pub correlation_id: String,
    /// Token role of the one who acted; who it was lies in `event_private`.
    pub actor_role: String,
    /// `user_action`, `timer` or `webhook`.
    pub mechanism: String,
    pub payload: Value,
    /// Personal field to SHA-256(salt, canonical value), hex.
    pub commitments: BTreeMap<String, String>,
    /// The decisions this event rests on, so that the chain holds them too.
    pub decisions: Vec<DecisionDigest>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionDigest {
    pub decision_id: String,
    /// SHA-256 of the decision row in canonical JSON, hex.
    pub digest: String,
}

/// One personal value and its salt, as `event_private` keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sealed {
    pub salt: String,
    pub value: Value,
}

/// Where a chain stands: version and hash of its newest event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    pub seq: u64,
    pub hash: String,
}

impl Tip {
    pub fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }
}

/// The circumstances an event is recorded in.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    pub event_id: String,
    pub stream: &'a str,
    pub at_ms: Millis,
    pub request_id: &'a str,
    pub correlation_id: &'a str,
    pub actor_role: &'a str,
    pub mechanism: &'a str,
    pub decisions: Vec<DecisionDigest>,
}

/// Chains `event` behind `tip`.
pub fn chain(
    event: Event,
    tip: &Tip,
    around: Circumstances<'_>,
) -> Result<(EventRow, Option<PrivateRow>), Fault> {
    let seq = tip.seq + 1;
    let mut commitments = BTreeMap::new();
    let mut fields = serde_json::Map::new();
    for (name, value) in event.private {
        let mut salt = [0_u8; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let sealed = Sealed {
            salt: hex::encode(salt),
            value,
        };
        commitments.insert(name.to_owned(), commitment(&sealed)?);
        fields.insert(name.to_owned(), serde_json::to_value(sealed)?);
    }
    let body = Body {
        event_id: around.event_id,
        stream: around.stream.to_owned(),
        seq,
        kind: event.kind.as_str().to_owned(),
        at_ms: around.at_ms,
        prev: tip.hash.clone(),
        request_id: around.request_id.to_owned(),
        correlation_id: around.correlation_id.to_owned(),
        actor_role: around.actor_role.to_owned(),
        mechanism: around.mechanism.to_owned(),
        payload: event.payload,
        commitments,
        decisions: around.decisions,
    };
    let text = canonical(&body)?;
    let row = EventRow {
        stream: body.stream.clone(),
        seq,
        kind: body.kind,
        at_ms: body.at_ms,
        hash: sha256_hex(text.as_bytes()),
        body: text,
    };
    let private = (!fields.is_empty()).then_some(PrivateRow {
        stream: body.stream,
        seq,
        fields,
    });
    Ok((row, private))
}

/// What an event says of a personal value without saying it.
pub fn commitment(sealed: &Sealed) -> Result<String, Fault> {
    let salt = hex::decode(&sealed.salt).map_err(|_| Fault::Broken("a salt is not hex".into()))?;
    let mut digest = Sha256::new();
    digest.update(salt);
    digest.update(canonical(&sealed.value)?);
    Ok(hex::encode(digest.finalize()))
}

/// RFC 8785.
pub fn canonical(value: &impl Serialize) -> Result<String, Fault> {
    serde_json_canonicalizer::to_string(value).map_err(Fault::Json)
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
