//! Rules and their reasons, declared once.

use alloc::vec::Vec;

use crate::types::RuleDoc;

/// One rule a module decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable, in snake_case; a ruling names it.
    pub id: &'static str,
    /// The rule in one line, as a member of the community would read it.
    pub text: &'static str,
}

/// Why a ruling is as it is: one of the reasons that a rule was declared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Stable, in snake_case.
    pub code: &'static str,
    /// The id of the rule that decided.
    pub rule: &'static str,
}

/// A module's answer to `describe`, from the list that [`rules!`](crate::rules!) makes.
#[must_use]
pub fn describe(rules: &[Rule]) -> Vec<RuleDoc> {
    rules
        .iter()
        .map(|rule| RuleDoc {
            id: rule.id.into(),
            text: rule.text.into(),
        })
        .collect()
}

/// Declares a module's rules: `id: "text" [reason, reason];`.
///
/// Each rule becomes a module of the same name that holds a `&'static` [`Reason`] for each of its codes
/// (`quorum::quorum_not_met`), and all of them together become `RULES`. `REASONS`, in tests only, lists
/// every reason there is.
#[macro_export]
macro_rules! rules {
    ($($rule:ident: $text:literal [$($code:ident),+ $(,)?];)+) => {
        $(
            #[doc = $text]
            #[allow(non_upper_case_globals)]
            pub(crate) mod $rule {
                $(
                    #[doc = concat!("`", stringify!($code), "`")]
                    pub(crate) const $code: &$crate::Reason =
                        &$crate::Reason { code: stringify!($code), rule: stringify!($rule) };
                )+
            }
        )+

        /// Every rule of this module, in the order of their declaration.
        pub const RULES: &[$crate::Rule] =
            &[$($crate::Rule { id: stringify!($rule), text: $text }),+];

        #[cfg(test)]
        pub(crate) const REASONS: &[&$crate::Reason] = &[$($($rule::$code),+),+];
    };
}
