//! A question: the facts of one function of one family, and the type of its ruling.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::contract::Family;

/// The facts of one question. Implemented, from the contract, for every record that a function of a
/// family takes; nothing else can be asked.
pub trait Question:
    Lower
    + ComponentType
    + Serialize
    + DeserializeOwned
    + Clone
    + Debug
    + Eq
    + Hash
    + Send
    + Sync
    + 'static
{
    /// The family that answers.
    const FAMILY: Family;
    /// The function's name in the contract.
    const FUNCTION: &'static str;
    /// The function's place in [`Family::functions`].
    const INDEX: usize;
    /// What the answer is.
    type Ruling: Lift
        + ComponentType
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
        + PartialEq
        + Send
        + Sync
        + 'static;
}

/// Something to be done with a question whose type is known only by name.
pub(crate) trait Visitor {
    /// What is made of it.
    type Output;

    /// Called with the question's own type.
    fn visit<Q: Question>(self) -> Self::Output;
}
