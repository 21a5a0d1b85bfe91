//! JSON in, JSON out: the one place where values of the database are made and read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use surrealdb::types::{Number, Object, SurrealValue, Value};

use crate::error::StoreError;
use crate::key::Key;

/// Encodes any serialisable value. JSON null stays NULL: fields that may be null are typed `… | null`.
pub(crate) fn encode(value: &impl Serialize) -> Result<Value, StoreError> {
    let json = serde_json::to_value(value).map_err(StoreError::Encode)?;
    Ok(json.into_value())
}

/// Decodes one value; record ids become their text form.
pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, StoreError> {
    serde_json::from_value(value.into_json_value()).map_err(StoreError::Decode)
}

/// Encodes what must be an object, such as a row.
pub(crate) fn encode_object(json: serde_json::Value) -> Result<Object, StoreError> {
    match json.into_value() {
        Value::Object(object) => Ok(object),
        _ => Err(StoreError::NotAnObject),
    }
}

/// An object from a fixed set of fields.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Object {
    let mut object = Object::new();
    for (name, value) in fields {
        object.insert(name.to_owned(), value);
    }
    object
}
pub(crate) fn with_id(key: &Key, row: serde_json::Value) -> Result<Value, StoreError> {
    let mut row = encode_object(row)?;
    row.insert("id".to_owned(), key.to_value());
    Ok(Value::Object(row))
}

/// The same for a row that was built as an object.
pub(crate) fn object_with_id(key: &Key, mut row: Object) -> Value {
    row.insert("id".to_owned(), key.to_value());
    Value::Object(row)
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn int(number: i64) -> Value {
    Value::Number(Number::Int(number))
}

/// Sequence numbers count events of one stream; none gets near `i64::MAX`.
pub(crate) fn seq(number: u64) -> Value {
    int(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(crate) fn json(value: &serde_json::Value) -> Value {
    value.clone().into_value()
}
