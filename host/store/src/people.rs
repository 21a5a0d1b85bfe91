//! Sessions of people: reads that the database itself limits to what one person may see.
//!
//! A private table has row permissions for the record access `person` (migration 0006). What a person reads of it is
//! read through [`Store::as_person`]: a handler that forgets a condition gets fewer rows, never somebody else's.
//!
//! On the lock every clone of a client is a session of its own, so a few are kept: making one takes several
//! times as long as a read.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use quick_cache::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use surrealdb::types::{RecordId, ToSql};

use crate::error::{EngineError, Failure, StoreError};
use crate::key::KeyRange;
use crate::read::Read;
use crate::session::Session;
use crate::store::Store;
use crate::target::Secret;
use crate::value::text;

/// The record access of people, and the JWT access of an embedded store's host.
pub(crate) const PERSON: &str = "person";
pub(crate) const HOST: &str = "host";

/// Sessions that are kept, the least used of them going first.
const KEPT: usize = 256;
/// A session ends at the database after an hour; it is made anew well before.
const LASTS: Duration = Duration::from_secs(30 * 60);
const ENDS: &str = "1h";
/// As long as a session is kept, and a minute: a client that lost its connection signs in with it again.
const TOKEN_LASTS_S: u64 = LASTS.as_secs() + 60;

/// Where tokens for the database are good for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub namespace: String,
    pub database: String,
}

/// Makes sessions of people, and keeps them for a while.
pub(crate) struct People {
    place: Place,
    key: EncodingKey,
    /// Cloned for each person: every clone is a session of its own.
    nobody: Session,
    sessions: Cache<String, Kept>,
}

#[derive(Clone)]
struct Kept {
    session: Arc<Session>,
    since: Instant,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("People").finish_non_exhaustive()
    }
}

/// A store as one person may see it.
pub struct PersonStore {
    store: Store,
    person: String,
    session: Arc<Session>,
}

impl fmt::Debug for PersonStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonStore").finish_non_exhaustive()
    }
}

impl PersonStore {
    /// Begins a read: SurrealQL with `$name` parameters, awaited for its rows. Rows and fields that the person may not
    /// see are not there.
    pub fn read<'a>(&'a self, query: &'a str) -> Read<'a> {
        Read::new(&self.session, query, self.store.failed()).of_person(self)
    }

    /// A session in the place of this one, which lost its sign-in: the client signs in again by itself after a lost
    /// connection, and does not look whether it may.
    pub(crate) async fn signed_in_anew(&self) -> Result<Arc<Session>, StoreError> {
        let people = self.store.people().ok_or(StoreError::NoPeople)?;
        let anew = people.anew(&self.person, &self.session).await;
        if anew.is_err() {
            self.store.failed().note_sign_in();
        }
        anew
    }

    /// Neighbouring rows in key order, as far as the person may see them.
    ///
    /// # Errors
    ///
    /// When the store fails or a row has another shape.
    pub async fn scan<T: DeserializeOwned>(&self, range: &KeyRange) -> Result<Vec<T>, StoreError> {
        self.read(&range.query())
            .bind_range("range", range)
            .await?
            .take(0)
    }

    #[cfg(test)]
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}

impl People {
    pub(crate) fn new(place: Place, key: &Secret, nobody: Session) -> Self {
        Self {
            place,
            key: EncodingKey::from_secret(key.reveal().as_bytes()),
            nobody,
            sessions: Cache::new(KEPT),
        }
    }

    async fn session(&self, person: &str) -> Result<Kept, StoreError> {
        let kept = self
            .sessions
            .get_or_insert_async(person, self.sign_in(person))
            .await?;
        if kept.since.elapsed() < LASTS {
            return Ok(kept);
        }
        let anew = self.sign_in(person).await?;
        self.sessions.insert(person.to_owned(), anew.clone());
        Ok(anew)
    }

    /// The session of a person in the place of a broken one, which nobody gets again.
    async fn anew(&self, person: &str, broken: &Arc<Session>) -> Result<Arc<Session>, StoreError> {
        let is_broken = |kept: &Kept| Arc::ptr_eq(&kept.session, broken);
        self.sessions.remove_if(person, |kept| is_broken(kept));
        // Another read of the same person may have signed in by now.
        Ok(self.session(person).await?.session)
    }

    async fn sign_in(&self, person: &str) -> Result<Kept, StoreError> {
        let id = RecordId::new(PERSON, person).to_sql();
        let token = self
            .place
            .token(PERSON, &self.key, Some(id), &[])
            .map_err(StoreError::SignIn)?;
        Ok(Kept {
            session: Arc::new(self.nobody.signed_in(token).await?),
            since: Instant::now(),
        })
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    #[serde(rename = "NS")]
    namespace: &'a str,
    #[serde(rename = "DB")]
    database: &'a str,
    #[serde(rename = "AC")]
    access: &'a str,
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "RL", skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [&'a str],
    exp: u64,
}

impl Place {
    /// A token for one access method.
    fn token(
        &self,
        access: &str,
        key: &EncodingKey,
        id: Option<String>,
        roles: &[&str],
    ) -> Result<String, EngineError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let claims = Claims {
            namespace: &self.namespace,
            database: &self.database,
            access,
            id,
            roles,
            exp: now.as_secs() + TOKEN_LASTS_S,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key).map_err(EngineError::new)
    }
}

/// Lets people in by tokens that `key` signed. Needs an owner of the database.
pub(crate) fn define_people(key: &Secret) -> String {
    format!(
        "DEFINE ACCESS OVERWRITE {PERSON} ON DATABASE TYPE RECORD WITH JWT ALGORITHM HS256 KEY {} \
         DURATION FOR SESSION {ENDS}",
        text(key.reveal()).to_sql()
    )
}

/// Lets the host in as an editor: it may change every row and every table, and nobody's rights.
pub(crate) fn define_host(key: &Secret) -> String {
    format!(
        "DEFINE ACCESS OVERWRITE {HOST} ON DATABASE TYPE JWT ALGORITHM HS256 KEY {}",
        text(key.reveal()).to_sql()
    )
}

/// The token by which the host takes a role.
pub(crate) fn host_token(place: &Place, key: &Secret, role: &str) -> Result<String, EngineError> {
    let key = EncodingKey::from_secret(key.reveal().as_bytes());
    place.token(HOST, &key, None, &[role])
}

/// A key that nobody else knows, for as long as this process runs.
pub(crate) fn fresh_key() -> Result<Secret, EngineError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(EngineError::new)?;
    Ok(Secret::new(hex::encode(bytes)))
}

impl Store {
    /// The store as one person may see it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoPeople`] when a server's store was opened without the key of people's sessions,
    /// [`StoreError::SignIn`] when the database does not let the person in.
    pub async fn as_person(&self, person: &str) -> Result<PersonStore, StoreError> {
        let people = self.people().ok_or(StoreError::NoPeople)?;
        let kept = people.session(person).await;
        let kept = kept.inspect_err(|_| self.failed().note_sign_in())?;
        Ok(PersonStore {
            store: self.clone(),
            person: person.to_owned(),
            session: kept.session,
        })
    }

    /// Lets people in by tokens that are signed with this key. Once for a server, by an owner of the database;
    /// an embedded store does it by itself.
    ///
    /// # Errors
    ///
    /// When the session may not define access, or the store fails.
    pub async fn admit_people(&self, key: &Secret) -> Result<(), StoreError> {
        let defined = self.write(&define_people(key), Default::default()).await;
        defined.map(drop).map_err(Failure::into)
    }
}

#[cfg(test)]
mod tests;
