//! One session at the database.

use std::future::IntoFuture;
use std::time::Duration;

use surrealdb::engine::any::Any;
use surrealdb::types::Variables;
use surrealdb::{IndexedResults, Surreal};

use crate::error::{EngineError, Failure, StoreError};

/// A server that has not answered by then is taken for gone: what was under way when a connection broke may
/// never be answered. Shorter than a request may take, and long for a query.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
#[error("the server did not answer within {ANSWERS_WITHIN:?}")]
pub(crate) struct Silence;

/// How often, and how far apart, the engine is asked whether it has come to know a session.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Asks the first question of a new session. The client of the lock, of both kinds of store, looks for new sessions before
/// it looks for questions, each time round: a question that comes between the two looks finds its session unknown. Seldom, and
/// on a busy machine.
pub(crate) async fn first_asked<T, Asked: Future<Output = Result<T, surrealdb::Error>>>(
    mut question: impl FnMut() -> Asked,
) -> Result<T, surrealdb::Error> {
    for _ in 1..LOOKS {
        match question().await {
            Err(surrealdb::Error::InternalError(words))
                if words.starts_with("Session not found") => {}
            answer => return answer,
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    question().await
}

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
        let sign_in = first_asked(|| db.authenticate(token.clone()).into_future());
        self.answered(sign_in)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_that_is_not_known_yet_is_asked_again_and_no_other_error_is() {
        let asked = std::cell::Cell::new(0);
        let ask = async |words: &str, until: u32| {
            asked.set(0);
            first_asked(|| {
                asked.set(asked.get() + 1);
                let answer = match asked.get() < until {
                    true => Err(surrealdb::Error::InternalError(words.to_owned())),
                    false => Ok(()),
                };
                std::future::ready(answer)
            })
            .await
            .is_ok()
        };
        assert!(ask("Session not found: 1", 3).await);
        assert_eq!(asked.get(), 3);
        assert!(!ask("Session not found: 1", 100).await);
        assert_eq!(asked.get(), LOOKS);
        assert!(!ask("another", 3).await);
        assert_eq!(asked.get(), 1);
    }
}
