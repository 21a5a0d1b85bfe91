//! Record ids. Tables here are keyed by what they are read by, so that a page of rows is a range of
//! keys and needs no secondary index.

use std::fmt;
use std::ops::Bound;

use surrealdb::types::{Array, Number, Range, RecordId, RecordIdKey, RecordIdKeyRange, Value};

/// One part of a composite record id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// An integer; sorts before every text.
    Int(i64),
    /// A text; sorts by its bytes.
    Text(String),
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Part::Text(text.to_owned())
    }
}

impl From<&String> for Part {
    fn from(text: &String) -> Self {
        Part::Text(text.clone())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Part::Text(text)
    }
}

impl From<i64> for Part {
    fn from(number: i64) -> Self {
        Part::Int(number)
    }
}

impl From<u64> for Part {
    /// Numbers beyond `i64::MAX` do not occur in keys; they saturate rather than wrap.
    fn from(number: u64) -> Self {
        Part::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Part {
    fn from(number: u32) -> Self {
        Part::Int(i64::from(number))
    }
}

/// What can be written where a composite key is wanted: one part, a tuple, an array or a `Vec`.
pub trait IntoParts {
    /// The parts in order.
    fn into_parts(self) -> Vec<Part>;
}

impl<P: Into<Part>, const N: usize> IntoParts for [P; N] {
    fn into_parts(self) -> Vec<Part> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<P: Into<Part>> IntoParts for Vec<P> {
    fn into_parts(self) -> Vec<Part> {
        self.into_iter().map(Into::into).collect()
    }
}

macro_rules! one_part {
    ($($kind:ty),*) => {$(
        impl IntoParts for $kind {
            fn into_parts(self) -> Vec<Part> {
                vec![Part::from(self)]
            }
        }
    )*};
}
one_part!(&str, &String, String, i64, u64, u32, Part);

macro_rules! tuple_of_parts {
    ($($name:ident),*) => {
        impl<$($name: Into<Part>),*> IntoParts for ($($name,)*) {
            #[allow(non_snake_case)]
            fn into_parts(self) -> Vec<Part> {
                let ($($name,)*) = self;
                vec![$($name.into()),*]
            }
        }
    };
}
tuple_of_parts!(A);
tuple_of_parts!(A, B);
tuple_of_parts!(A, B, C);
tuple_of_parts!(A, B, C, D);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Id {
    Plain(String),
    Parts(Vec<Part>),
}

/// The id of one record: its table, and a text or a list of parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    table: String,
    id: Id,
}

impl Key {
    /// A record named by one text, `table:⟨id⟩`.
    pub fn new(table: impl Into<String>, id: impl Into<String>) -> Key {
        Key {
            table: table.into(),
            id: Id::Plain(id.into()),
        }
    }

    /// A record named by a list, `table:[a, b]`; see [`KeyRange::prefix`] for reading its neighbours.
    pub fn parts(table: impl Into<String>, parts: impl IntoParts) -> Key {
        Key {
            table: table.into(),
            id: Id::Parts(parts.into_parts()),
        }
    }

    /// The table the record lives in.
    pub fn table(&self) -> &str {
        &self.table
    }

    pub(crate) fn to_record_id(&self) -> RecordId {
        let key = match &self.id {
            Id::Plain(text) => RecordIdKey::String(text.clone()),
            Id::Parts(parts) => array_key(parts, None),
        };
        RecordId::new(self.table.as_str(), key)
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::RecordId(self.to_record_id())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Id::Plain(text) => write!(f, "{}:{text}", self.table),
            Id::Parts(parts) => {
                write!(f, "{}:[", self.table)?;
                for (i, part) in parts.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    match part {
                        Part::Int(number) => write!(f, "{comma}{number}")?,
                        Part::Text(text) => write!(f, "{comma}{text}")?,
                    }
                }
                f.write_str("]")
            }
        }
    }
}

/// Neighbouring rows of one table, in key order.
///
/// Bounds are prefixes too: on `event:[stream, seq]`, `KeyRange::table("event").after("s")` skips every
/// event of stream `s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    table: String,
    plain: bool,
    prefix: Vec<Part>,
    start: Start,
    end: End,
    descending: bool,
    limit: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    First,
    From(Vec<Part>),
    After(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Last,
    Before(Vec<Part>),
    Through(Vec<Part>),
}

impl KeyRange {
    /// Every row of a table whose keys are lists.
    pub fn table(table: impl Into<String>) -> KeyRange {
        KeyRange::prefix(table, Vec::<Part>::new())
    }

    /// Every row of a table whose keys are one text each. Bounds then take that one text.
    pub fn plain(table: impl Into<String>) -> KeyRange {
        KeyRange {
            plain: true,
            ..KeyRange::table(table)
        }
    }

    /// The rows whose key begins with `parts`.
    pub fn prefix(table: impl Into<String>, parts: impl IntoParts) -> KeyRange {
        KeyRange {
            table: table.into(),
            plain: false,
            prefix: parts.into_parts(),
            start: Start::First,
            end: End::Last,
            descending: false,
            limit: None,
        }
    }

    /// Leaves out everything up to and including the rows at these parts behind the prefix.
    pub fn after(mut self, parts: impl IntoParts) -> KeyRange {
        self.start = Start::After(parts.into_parts());
        self
    }

    /// Begins at these parts behind the prefix.
    pub fn from(mut self, parts: impl IntoParts) -> KeyRange {
        self.start = Start::From(parts.into_parts());
        self
    }

    /// Ends before these parts behind the prefix.
    pub fn before(mut self, parts: impl IntoParts) -> KeyRange {
        self.end = End::Before(parts.into_parts());
        self
    }

    /// Ends with the rows at these parts behind the prefix.
    pub fn through(mut self, parts: impl IntoParts) -> KeyRange {
        self.end = End::Through(parts.into_parts());
        self
    }

    /// Last key first. The engine of the lock then walks the whole range even under a limit (11 us a
    /// row): for short ranges only. A table that is read newest first has its time negated in the key,
    /// `(scope, -at_ms, id)`, and is read ascending.
    pub fn descending(mut self) -> KeyRange {
        self.descending = true;
        self
    }

    /// At most so many rows.
    pub fn limit(mut self, rows: usize) -> KeyRange {
        self.limit = Some(rows);
        self
    }

    /// The SELECT that reads the range bound as `$range`.
    pub(crate) fn query(&self) -> String {
        let order = if self.descending {
            " ORDER BY id DESC"
        } else {
            ""
        };
        let limit = self
            .limit
            .map(|rows| format!(" LIMIT {rows}"))
            .unwrap_or_default();
        format!("SELECT * FROM $range{order}{limit}")
    }

    pub(crate) fn to_value(&self) -> Value {
        let start = match &self.start {
            Start::First if self.prefix.is_empty() => Bound::Unbounded,
            Start::First => Bound::Included(self.key(&[], false)),
            Start::From(parts) => Bound::Included(self.key(parts, false)),
            Start::After(parts) if self.plain => Bound::Excluded(self.key(parts, false)),
            Start::After(parts) => Bound::Included(self.key(parts, true)),
        };
        let end = match &self.end {
            End::Last if self.prefix.is_empty() => Bound::Unbounded,
            End::Last => Bound::Excluded(self.key(&[], true)),
            End::Before(parts) => Bound::Excluded(self.key(parts, false)),
            End::Through(parts) if self.plain => Bound::Included(self.key(parts, false)),
            End::Through(parts) => Bound::Excluded(self.key(parts, true)),
        };
        let range = RecordIdKey::Range(Box::new(RecordIdKeyRange { start, end }));
        Value::RecordId(RecordId::new(self.table.as_str(), range))
    }

    fn key(&self, parts: &[Part], past_all: bool) -> RecordIdKey {
        if let (true, Some(Part::Text(text))) = (self.plain, parts.first()) {
            return RecordIdKey::String(text.clone());
        }
        let parts: Vec<Part> = self.prefix.iter().chain(parts).cloned().collect();
        // An unbounded range sorts behind every text and number: it closes a prefix from above.
        array_key(
            &parts,
            past_all.then(|| Value::Range(Box::new(Range::unbounded()))),
        )
    }
}

fn array_key(parts: &[Part], last: Option<Value>) -> RecordIdKey {
    let values = parts.iter().map(|part| match part {
        Part::Int(number) => Value::Number(Number::Int(*number)),
        Part::Text(text) => Value::String(text.clone()),
    });
    RecordIdKey::Array(Array::from(values.chain(last).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_is_written_in_the_database() {
        assert_eq!(Key::new("entity", "a").to_string(), "entity:a");
        assert_eq!(
            Key::parts("event", ("a", 3_u64)).to_string(),
            "event:[a, 3]"
        );
    }
}
