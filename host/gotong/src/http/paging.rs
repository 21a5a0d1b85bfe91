//! Pages: how large one is, and the cursor that says where the next begins.
//!
//! A cursor is opaque and good for one thing: it was made by a host with the same secret, for the same list with the
//! same filters, and for the same caller. Everything else is `invalid_cursor`. What it holds cannot be read: it is
//! encrypted and authenticated (AES-256-GCM-SIV, RFC 8452) under a key of its own (HKDF, RFC 5869).

use std::borrow::Cow;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::problem::{Asked, Problem};
use crate::config::Config;
use crate::ledger::source::PAGE;
use crate::problems::Code;
use crate::request::{Caller, Listed};

/// How many items a page has at most; 20 unless the caller says otherwise.
pub type PageSize = Size<20, 50>;

/// Rows for auditors, who read all of them.
pub type AuditPageSize = Size<PAGE, PAGE>;

/// 1 to `MOST`, `USUAL` by default.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "usize")]
pub struct Size<const USUAL: usize, const MOST: usize>(usize);

/// A page of that size is not given.
#[derive(Debug, thiserror::Error)]
#[error("is not within 1 to {0}")]
pub struct SizeError(usize);

impl<const USUAL: usize, const MOST: usize> TryFrom<usize> for Size<USUAL, MOST> {
    type Error = SizeError;

    fn try_from(size: usize) -> Result<Self, SizeError> {
        match size {
            1.. if size <= MOST => Ok(Self(size)),
            _ => Err(SizeError(MOST)),
        }
    }
}

impl<const USUAL: usize, const MOST: usize> Default for Size<USUAL, MOST> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<const USUAL: usize, const MOST: usize> Size<USUAL, MOST> {
    pub fn get(self) -> usize {
        self.0
    }
}

impl<const USUAL: usize, const MOST: usize> PartialSchema for Size<USUAL, MOST> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MOST))
            .default(Some(Value::from(USUAL)))
            .into()
    }
}

impl<const USUAL: usize, const MOST: usize> ToSchema for Size<USUAL, MOST> {
    fn name() -> Cow<'static, str> {
        format!("PageSizeTo{MOST}").into()
    }
}

/// Which page of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// The `next` of a page.
    pub after: Option<String>,
    #[param(inline)]
    pub limit: Option<PageSize>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it back as `after`; null: that is all.
    #[schema(required)]
    pub next: Option<String>,
}

/// Makes and reads cursors.
#[derive(Clone)]
pub struct Cursors {
    key: Arc<RandomizedNonceKey>,
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursors").finish_non_exhaustive()
    }
}

/// The system gave no key for cursors.
#[derive(Debug, thiserror::Error)]
#[error("the key of cursors cannot be made")]
pub struct CursorKeyError;

impl From<Unspecified> for CursorKeyError {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl Cursors {
    /// Hosts with the same secret take each other's cursors. Without one, which a host that only has a public key may
    /// be, the key is random: cursors are then good for this process alone.
    pub fn new(config: &Config) -> Result<Self, CursorKeyError> {
        let secret = config
            .cursor_secret
            .as_ref()
            .or(config.auth.hs256_secret.as_ref());
        match secret {
            Some(secret) => Self::keyed(secret.expose().as_bytes()),
            None => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|_| CursorKeyError)?;
                tracing::warn!(
                    "no cursor_secret is set: cursors end with this process, and no other host takes them"
                );
                Self::keyed(&random)
            }
        }
    }

    fn keyed(secret: &[u8]) -> Result<Self, CursorKeyError> {
        let secret = Salt::new(HKDF_SHA256, b"gotong").extract(secret);
        let mut key = [0; 32];
        secret
            .expand(&[b"cursors/1"], HKDF_SHA256)?
            .fill(&mut key)?;
        Ok(Self {
            key: Arc::new(RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)?),
        })
    }

    /// The cursors of one list as one caller asks for it: `list` is the operation's id, `filters` everything that
    /// decides what is in it, also from the path.
    pub fn of(
        &self,
        list: &str,
        filters: &impl Serialize,
        caller: &Caller,
    ) -> Result<ListCursors<'_>, Problem> {
        let known = caller.actor().is_some();
        let bound = serde_json::to_vec(&(list, filters, known, caller.user_id()));
        Ok(ListCursors {
            cursors: self,
            bound: bound.map_err(|_| unmade())?,
        })
    }
}

/// The cursors of one list, for one caller.
#[derive(Debug)]
pub struct ListCursors<'a> {
    cursors: &'a Cursors,
    /// What a cursor has to agree with.
    bound: Vec<u8>,
}

impl ListCursors<'_> {
    /// The cursor of a position.
    pub fn seal(&self, position: &impl Serialize) -> Result<String, Problem> {
        let mut sealed = serde_json::to_vec(position).map_err(|_| unmade())?;
        let key = &self.cursors.key;
        let nonce = key
            .seal_in_place_append_tag(Aad::from(&self.bound), &mut sealed)
            .map_err(|_| unmade())?;
        sealed.extend_from_slice(nonce.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The page of some items, with the cursor to the next ones.
    pub fn page<T, P: Serialize>(&self, listed: Listed<T, P>) -> Result<Json<Page<T>>, Problem> {
        let next = listed.next.map(|place| self.seal(&place)).transpose()?;
        let items = listed.items;
        Ok(Json(Page { items, next }))
    }

    /// The position of a cursor; none when there is no cursor.
    pub fn open<P: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<P>, Problem> {
        cursor
            .map(|cursor| self.position(cursor).ok_or_else(invalid))
            .transpose()
    }

    fn position<P: DeserializeOwned>(&self, cursor: &str) -> Option<P> {
        let mut sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let end = sealed.len().checked_sub(NONCE_LEN)?;
        let (sealed, nonce) = sealed.split_at_mut_checked(end)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = &self.cursors.key;
        let position = key
            .open_in_place(nonce, Aad::from(&self.bound), sealed)
            .ok()?;
        serde_json::from_slice(position).ok()
    }
}

fn invalid() -> Problem {
    Problem::new(
        Code::InvalidCursor,
        "`after` is not the `next` of a page of this list, with these filters, for you",
    )
}

fn unmade() -> Problem {
    tracing::error!("a cursor could not be made");
    Problem::internal(Asked::ToRead)
}

#[cfg(test)]
mod tests {
    use gotong_engine::types::TokenRole;

    use super::*;
    use crate::request::Actor;

    fn known(user_id: &str) -> Caller {
        Caller::Known(Actor {
            user_id: user_id.into(),
            username: user_id.into(),
            role: TokenRole::User,
        })
    }

    fn sealed(cursors: &Cursors) -> String {
        let list = cursors
            .of("list", &("id/jabar", 1), &known("sari"))
            .unwrap();
        list.seal(&(1_700_000_000_000_i64, "t-1")).unwrap()
    }

    fn opened(
        cursors: &Cursors,
        list: &str,
        filters: (&str, u8),
        caller: &Caller,
        cursor: &str,
    ) -> Option<(i64, String)> {
        let list = cursors.of(list, &filters, caller).unwrap();
        list.open(Some(cursor)).ok().flatten()
    }

    #[test]
    fn a_cursor_is_good_for_its_list_its_filters_and_its_caller() {
        let cursors = Cursors::keyed(b"one secret").unwrap();
        let cursor = sealed(&cursors);
        let sari = known("sari");
        let filters = ("id/jabar", 1);
        assert_eq!(
            opened(&cursors, "list", filters, &sari, &cursor),
            Some((1_700_000_000_000, "t-1".into()))
        );
        assert_eq!(opened(&cursors, "other", filters, &sari, &cursor), None);
        assert_eq!(
            opened(&cursors, "list", ("id/jabar", 2), &sari, &cursor),
            None
        );
        assert_eq!(
            opened(&cursors, "list", filters, &known("wati"), &cursor),
            None
        );
        assert_eq!(
            opened(&cursors, "list", filters, &Caller::Anonymous, &cursor),
            None
        );
    }

    #[test]
    fn hosts_take_each_others_cursors_by_their_secret() {
        let cursor = sealed(&Cursors::keyed(b"one secret").unwrap());
        let sari = known("sari");
        let by = |secret: &[u8]| {
            opened(
                &Cursors::keyed(secret).unwrap(),
                "list",
                ("id/jabar", 1),
                &sari,
                &cursor,
            )
        };
        assert!(by(b"one secret").is_some());
        assert!(by(b"another secret").is_none());
    }

    #[test]
    fn a_cursor_that_was_changed_anywhere_is_none() {
        let cursors = Cursors::keyed(b"one secret").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(sealed(&cursors)).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(
                opened(&cursors, "list", ("id/jabar", 1), &known("sari"), &changed),
                None
            );
        }
        for text in ["", "nonsense", "AAAA", "\u{0}", "1700000000000.t-1"] {
            assert_eq!(
                opened(&cursors, "list", ("id/jabar", 1), &known("sari"), text),
                None
            );
        }
    }

    #[test]
    fn a_cursor_shows_nothing_of_its_position() {
        let bytes = URL_SAFE_NO_PAD
            .decode(sealed(&Cursors::keyed(b"one secret").unwrap()))
            .unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("1700000000000") && !text.contains("t-1"));
    }
}
