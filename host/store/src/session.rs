//! One session at the database.

use std::future::IntoFuture;
use std::time::Duration;

use surrealdb::engine::any::Any;
use surrealdb::types::Variables;
use surrealdb::{IndexedResults, Surreal};

use crate::error::{EngineError, Failure, StoreError};

/// A server that has not answered by then is taken for gone: what was under way when a connection broke may
/// never be answered. Shorter than a request may take, and long for a query.
const ANSWERS_WITHIN: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
#[error("the server did not answer within {ANSWERS_WITHIN:?}")]
struct Silence;

/// A client of the database, signed in as somebody.
#[derive(Debug)]
pub(crate) struct Session {
    db: Surreal<Any>,
    /// Whether the database is somewhere else, so that an answer can be lost on its way.
    remote: bool,
}

impl Session {
    pub(crate) fn new(db: Surreal<Any>, remote: bool) -> Self {
        Self { db, remote }
    }

    #[cfg(test)]
    pub(crate) fn db(&self) -> &Surreal<Any> {
        &self.db
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.remote
    }

    /// Another session of the same client, signed in with a token. Until it is, it has the rights of this one: it is
    /// dropped if that fails.
    pub(crate) async fn signed_in(&self, token: String) -> Result<Session, StoreError> {
        let db = self.db.clone();
        self.answered(db.authenticate(token).into_future())
            .await
            .map_err(StoreError::SignIn)?
            .map_err(|error| StoreError::SignIn(EngineError::new(error)))?;
        Ok(Session::new(db, self.remote))
    }

    /// Waits for an answer; from a server, not for ever.
    async fn answered<T>(&self, answer: impl Future<Output = T>) -> Result<T, EngineError> {
        if !self.remote {
            return Ok(answer.await);
        }
        tokio::time::timeout(ANSWERS_WITHIN, answer)
            .await
            .map_err(|_| EngineError::new(Silence))
    }

    /// Runs a query and takes all of its errors. Whether a write that was not answered took effect is unknown.
    pub(crate) async fn run(
        &self,
        query: &str,
        variables: Variables,
    ) -> Result<IndexedResults, Failure> {
        let answer = self.db.query(query).bind(variables);
        let mut response = self
            .answered(answer.into_future())
            .await
            .map_err(Failure::Away)?
            .map_err(Failure::of_error)?;
        match Failure::of(&mut response) {
            Some(failure) => Err(failure),
            None => Ok(response),
        }
    }
}
