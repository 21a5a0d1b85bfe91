//! What becomes of a recommended credit: a suggestion to people, or an empty form. Never a booking.

use gotong_policy::edge_pod::{Course, CreditFacts, CreditRuling};

use crate::rules::{credit_form, credit_suggestion};

/// A model that is less sure suggests nothing.
pub const SURE_FROM_PERMILLE: u32 = 600;
/// All weights together.
pub const WHOLE_PERMILLE: u32 = 1000;
/// How long a credit may be disputed.
pub const DISPUTE_HOURS: u32 = 72;
/// How long, when one asks for oneself.
pub const DISPUTE_HOURS_FOR_ONESELF: u32 = 168;

/// A suggestion that people confirm, or the form they fill in.
#[must_use]
pub fn credit(facts: &CreditFacts) -> CreditRuling {
    let hours = if facts.asks_for_oneself {
        DISPUTE_HOURS_FOR_ONESELF
    } else {
        DISPUTE_HOURS
    };
    let form = |reason| CreditRuling::of(Course::ManualForm, hours, reason, &[]);
    if facts.candidates == 0 {
        return form(credit_form::no_candidates);
    }
    if facts.weight_permille == 0 || facts.weight_permille > WHOLE_PERMILLE {
        return form(credit_form::weights_unusable);
    }
    match facts.confidence_permille {
        Some(sure) if sure < SURE_FROM_PERMILLE => form(credit_form::not_sure_enough),
        // A model that does not say how sure it is can still suggest: people confirm.
        Some(_) | None => {
            let reason = if facts.asks_for_oneself {
                credit_suggestion::asks_for_oneself
            } else {
                credit_suggestion::suggested
            };
            CreditRuling::of(Course::HumanApproval, hours, reason, &[])
        }
    }
}
