//! What the author of a Gotong policy module depends on.
//!
//! A module answers the questions of one *family*: it implements the family's trait and names itself to
//! [`export!`]. It is a pure function, facts in and ruling out: there is no clock, no I/O and no
//! memory between calls, and an instance lives for one call.
//!
//! ```
//! use gotong_policy::{Reason, gate::*, rules, types::*};
//!
//! rules! {
//!     everything_passes: "Any step may be taken at once." [at_once];
//! }
//!
//! struct Open;
//!
//! impl Gate for Open {
//!     fn describe() -> Vec<RuleDoc> { gotong_policy::describe(RULES) }
//!     fn plan(_: PlanFacts) -> TermsRuling { TermsRuling::allow(everything_passes::at_once, Terms::AT_ONCE) }
//! #   fn object(_: ObjectFacts) -> TermsRuling { TermsRuling::deny(everything_passes::at_once) }
//! #   fn challenge(_: ChallengeFacts) -> TermsRuling { TermsRuling::deny(everything_passes::at_once) }
//! #   fn close(_: CloseFacts) -> CloseRuling { CloseRuling::applied(everything_passes::at_once) }
//! #   fn stages(_: StagesFacts) -> Vec<StageDoc> { Vec::new() }
//! #   fn weigh(_: WeighFacts) -> Weight { Weight { permille: 1000 } }
//!     // and the other questions of the family
//! }
//!
//! gotong_policy::export!(Open as gate);
//! # fn main() {}
//! ```
//!
//! A module's crate has `crate-type = ["cdylib", "rlib"]` and begins with
//! `#![cfg_attr(target_arch = "wasm32", no_std)]`: in WebAssembly the SDK brings the allocator and the panic
//! handler (a panic traps), natively a policy is plain Rust and a panic reaches the author's tests as usual.
//!
//! # Building
//!
//! `gotong policy build` does it. By hand: `cargo build --profile policy --target wasm32-unknown-unknown`
//! with the `RUSTFLAGS` in `link-args.txt` beside this crate's manifest (one flag a line), and
//! `--remap-path-prefix` for the workspace and for `$CARGO_HOME`, so that two checkouts in two places
//! give the same bytes; then encode the core module as a component.

#![no_std]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

pub mod edge_pod;
pub mod gate;
pub mod moderation;
pub mod retention;
pub mod role_matrix;
mod rules;

#[cfg(any(target_arch = "wasm32", test))]
mod arena;
#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;

#[doc(hidden)]
pub mod bindings;

pub use rules::{Reason, Rule, describe};

/// The words that every family shares.
pub mod types {
    pub use crate::bindings::exports::gotong::policy::types::{
        Effect, PrivacyLevel, Relations, RuleDoc, Stage, TokenRole, Track, Trigger, TrustTier,
    };
}

/// Exports a type as the module's answer to one family: `export!(MyPolicy as gate)`.
///
/// Outside WebAssembly it exports nothing, so that several policies can be linked into one native program. It
/// makes the function `answer(function, facts)`: the same questions and answers as JSON, for tools and tests.
#[macro_export]
macro_rules! export {
    ($policy:ident as role_matrix) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::gotong::policy::role_matrix as family;
    $crate::__export_gotong_policy_role_matrix_1_1_0_cabi!($policy with_types_in family);
            $crate::__embed!("role-matrix-policy", ROLE_MATRIX);
        };
        $crate::__answer!($policy, role_matrix);
    };
    ($policy:ident as gate) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::gotong::policy::gate as family;
    $crate::__export_gotong_policy_gate_1_1_0_cabi!($policy with_types_in family);
            $crate::__embed!("gate-policy", GATE);
        };
        $crate::__answer!($policy, gate);
    };
    ($policy:ident as moderation) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::gotong::policy::moderation as family;
    $crate::__export_gotong_policy_moderation_1_1_0_cabi!($policy with_types_in family);
            $crate::__embed!("moderation-policy", MODERATION);
        };
        $crate::__answer!($policy, moderation);
    };
    ($policy:ident as retention) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::gotong::policy::retention as family;
    $crate::__export_gotong_policy_retention_1_1_0_cabi!($policy with_types_in family);
            $crate::__embed!("retention-policy", RETENTION);
        };
        $crate::__answer!($policy, retention);
    };
    ($policy:ident as edge_pod) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::gotong::policy::edge_pod as family;
    $crate::__export_gotong_policy_edge_pod_1_1_0_cabi!($policy with_types_in family);
            $crate::__embed!("edge-pod-policy", EDGE_POD);
        };
        $crate::__answer!($policy, edge_pod);
    };
}

/// A policy's answers as JSON, for native programs.
#[doc(hidden)]
#[macro_export]
macro_rules! __answer {
    ($policy:ident, $family:ident) => {
        /// Answers a question as the module does: facts and ruling are JSON in the host's words.
        ///
        /// # Errors
        /// When there is no such function, or the facts are not those that it takes.
        #[cfg(not(target_arch = "wasm32"))]
        pub fn answer(
            function: &str,
            facts: &str,
        ) -> ::core::result::Result<$crate::native::Text, $crate::native::NativeError> {
            $crate::native::$family::<$policy>(function, facts)
        }
    };
}

/// Puts the component type of one world into the module, where the component encoder looks for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __embed {
    ($world:literal, $component_type:ident) => {
        #[unsafe(link_section = concat!("component-type:gotong:policy@1.1.0:", $world))]
        static COMPONENT_TYPE: [u8; $crate::bindings::$component_type.len()] =
            $crate::bindings::$component_type;
    };
}
