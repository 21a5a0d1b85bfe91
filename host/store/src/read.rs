//! Reads: SurrealQL with bound parameters in, typed rows out.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use surrealdb::IndexedResults;
use surrealdb::types::{Value, Variables};

use crate::error::{Failure, StoreError};
use crate::key::{Key, KeyRange};
use crate::people::PersonStore;
use crate::session::Session;
use crate::store::{FailureCounts, Store};
use crate::value::{decode, encode};

/// A read being put together; await it for its [`Rows`].
#[derive(Debug)]
#[must_use = "a read does nothing until it is awaited"]
pub struct Read<'a> {
    session: &'a Session,
    query: &'a str,
    variables: Result<Variables, StoreError>,
    failed: &'a FailureCounts,
    /// Whose session it runs in; the host's unless it says otherwise.
    person: Option<&'a PersonStore>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(session: &'a Session, query: &'a str, failed: &'a FailureCounts) -> Self {
        Read {
            session,
            query,
            variables: Ok(Variables::new()),
            failed,
            person: None,
        }
    }

    /// Signs the person in once more when the session is let in no longer.
    pub(crate) fn of_person(mut self, person: &'a PersonStore) -> Self {
        self.person = Some(person);
        self
    }

    /// Binds `$name` to a value.
    pub fn bind(self, name: &str, value: impl Serialize) -> Self {
        let value = encode(&value);
        self.bind_value(name, value)
    }

    /// Binds `$name` to a record id.
    pub fn bind_key(self, name: &str, key: Key) -> Self {
        self.bind_value(name, Ok(key.to_value()))
    }

    /// Binds `$name` to a list of record ids: `SELECT * FROM $name` reads them in that order.
    pub fn bind_keys(self, name: &str, keys: impl IntoIterator<Item = Key>) -> Self {
        let keys: Vec<Value> = keys.into_iter().map(|key| key.to_value()).collect();
        self.bind_value(name, Ok(Value::Array(keys.into())))
    }

    /// Binds `$name` to the bounds of a range: `SELECT seq FROM $name`. Its order and limit are not
    /// part of the bounds; write them in the query.
    pub fn bind_range(self, name: &str, range: &KeyRange) -> Self {
        let range = range.to_value();
        self.bind_value(name, Ok(range))
    }

    fn bind_value(mut self, name: &str, value: Result<Value, StoreError>) -> Self {
        match (&mut self.variables, value) {
            (Ok(variables), Ok(value)) => variables.insert(name, value),
            (Ok(_), Err(error)) => self.variables = Err(error),
            (Err(_), _) => {}
        }
        self
    }
}

impl<'a> IntoFuture for Read<'a> {
    type Output = Result<Rows, StoreError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let variables = self.variables?;
            let Some(person) = self.person else {
                let ran = self.session.run(self.query, variables).await;
                let ran = ran.inspect_err(|failure| self.failed.note(failure));
                return Ok(Rows::new(ran?));
            };
            let mut ran = self.session.run(self.query, variables.clone()).await;
            if let Err(failure @ Failure::NotLetIn(_)) = &ran {
                self.failed.note(failure);
                let anew = person.signed_in_anew().await?;
                ran = anew.run(self.query, variables).await;
            }
            Ok(Rows::new(
                ran.inspect_err(|failure| self.failed.note(failure))?,
            ))
        })
    }
}

/// The results of a read, one per statement (LET counts as one).
#[derive(Debug)]
pub struct Rows {
    response: IndexedResults,
}

impl Rows {
    pub(crate) fn new(response: IndexedResults) -> Self {
        Rows { response }
    }

    /// Takes the rows of a statement. A single value is a list of one, nothing is an empty list.
    ///
    /// # Errors
    ///
    /// When there is no such statement or a row has another shape.
    pub fn take<T: DeserializeOwned>(&mut self, index: usize) -> Result<Vec<T>, StoreError> {
        match self.value(index)? {
            Value::None | Value::Null => Ok(Vec::new()),
            Value::Array(values) => values.into_inner().into_iter().map(decode).collect(),
            value => Ok(vec![decode(value)?]),
        }
    }

    /// Takes the first row of a statement.
    ///
    /// # Errors
    ///
    /// When there is no such statement or the row has another shape.
    pub fn first<T: DeserializeOwned>(&mut self, index: usize) -> Result<Option<T>, StoreError> {
        match self.value(index)? {
            Value::None | Value::Null => Ok(None),
            Value::Array(values) => values
                .into_inner()
                .into_iter()
                .next()
                .map(decode)
                .transpose(),
            value => decode(value).map(Some),
        }
    }

    /// Whether some statement answered `true`: for conditional writes, whose BEGIN and COMMIT may or
    /// may not have results of their own.
    pub(crate) fn any_true(self) -> bool {
        self.response
            .results
            .values()
            .any(|(_, result)| matches!(result, Ok(Value::Bool(true))))
    }

    /// The one row among the results of a conditional write, if it took place.
    pub(crate) fn any_row<T: DeserializeOwned>(self) -> Result<Option<T>, StoreError> {
        let mut results = self.response.results.into_values();
        let row = results.find_map(|(_, result)| match result {
            Ok(row @ Value::Object(_)) => Some(row),
            _ => None,
        });
        row.map(decode).transpose()
    }

    fn value(&mut self, index: usize) -> Result<Value, StoreError> {
        match self.response.results.swap_remove(&index) {
            Some((_, Ok(value))) => Ok(value),
            _ => Err(StoreError::NoResult { index }),
        }
    }
}

impl Store {
    /// One row by its key.
    ///
    /// # Errors
    ///
    /// When the store fails or the row has another shape.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.read("SELECT * FROM $key")
            .bind_key("key", key.clone())
            .await?
            .first(0)
    }

    /// The rows of several keys in the order of the keys; those that do not exist are left out.
    ///
    /// # Errors
    ///
    /// When the store fails or a row has another shape.
    pub async fn get_many<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<T>, StoreError> {
        self.read("SELECT * FROM $keys")
            .bind_keys("keys", keys.iter().cloned())
            .await?
            .take(0)
    }

    /// Neighbouring rows in key order.
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
}
