//! Proofs about policy modules: what a module rules over the *whole* domain of its facts.
//!
//! A module is a pure function of facts that are nearly all words, flags and truth values. This crate
//! interprets its WebAssembly with the facts left open, and cuts the domain only where the code itself
//! tells inputs apart; a number is cut where it is compared with a constant. What comes out is a tree with
//! one ruling at each leaf, for every input there is: nothing is sampled. Two such trees are compared
//! input by input ([`compare()`]), and stated properties are held against one ([`Properties`]).
//!
//! Promises:
//!
//! - Sound: a ruling at a leaf is the module's for every input of the leaf. Where the prover cannot follow a
//!   module it says so and proves nothing.
//! - Whole: the leaves' inputs add up to the domain's exactly.
//! - It knows no engine, no file system and no network. Holding it against the engine is its tests' job,
//!   and the command's before it shows an example.
#![deny(missing_docs)]

mod abi;
mod change;
mod code;
mod compare;
mod condition;
mod count;
mod domain;
mod error;
mod expectation;
mod explore;
mod formula;
mod integer;
mod known;
mod machine;
mod memory;
mod module;
mod property;
mod split;
mod term;
mod tidy;
mod tree;
mod types;
mod wiring;

pub use change::Change;
pub use compare::{Comparison, Group, Relation, compare};
pub use count::Count;
pub use domain::{Cube, Domain, Fact, Kind, Range};
pub use error::ProveError;
pub use explore::{Evaluated, FUEL, evaluate, rulings};
pub use module::{Function, Module};
pub use property::{Properties, Property, PropertyError, Verdict, Violation};
pub use tree::{Outcome, Rulings};
pub use types::Type;
