//! Statements that prove what they wrote.
//!
//! SurrealDB passes over the rows that a session may not write, and reports success: for a login that may only read,
//! a whole transaction of inserts ends well and leaves nothing. A client that signs in again after a lost connection
//! gets whatever rights its login has by then. So each statement is looked at, inside the transaction.

/// What a transaction throws that wrote less than it was to.
macro_rules! may_not_write {
    () => {
        "gotong may not write"
    };
}

/// An INSERT, UPSERT or UPDATE that throws when it wrote nothing. A login may write every table or none (each is closed to
/// whoever is no editor), so one row stands for all. `RETURN NULL` is the cheapest answer that tells a row from none: no
/// row is copied for it.
macro_rules! wrote {
    ($statement:literal) => {
        concat!(
            "IF !(",
            $statement,
            " RETURN NULL) { THROW '",
            $crate::wrote::may_not_write!(),
            "' };"
        )
    };
}

pub(crate) use {may_not_write, wrote};

pub(crate) const MAY_NOT_WRITE: &str = may_not_write!();

#[cfg(test)]
mod tests;
