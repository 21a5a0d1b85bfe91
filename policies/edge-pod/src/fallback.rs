//! What happens without an answer: the course of every endpoint, and whether the model is asked again.

use alloc::vec::Vec;

use gotong_policy::Reason;
use gotong_policy::edge_pod::{
    Course, Endpoint, Failure, FallbackFacts, FallbackRuling, Obligation,
};

use crate::rules::{
    credit_unadvised, duplicates_unchecked, gaming_unchecked, media_unchecked, siaga_unjudged,
};

/// Calls for one request, the first among them.
pub const MOST_CALLS: u32 = 6;
/// Calls for an answer that breaks its schema and does not itself ask to be asked again.
pub const MOST_CALLS_FOR_SCHEMA: u32 = 2;

/// How soon the model is asked again: `first`, doubled for each call, up to `most` seconds.
#[derive(Debug, Clone, Copy)]
pub struct BackOff {
    /// After the first call.
    pub first: u32,
    /// The longest.
    pub most: u32,
}

/// For what nobody waits for.
pub const PATIENT: BackOff = BackOff {
    first: 30,
    most: 3_600,
};
/// For what may be an emergency.
pub const URGENT: BackOff = BackOff { first: 5, most: 60 };

impl BackOff {
    /// Seconds until the next call, after so many.
    #[must_use]
    pub fn after(self, calls: u32) -> u32 {
        let doublings = calls.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

/// The reasons of an endpoint that is asked again.
struct Asking {
    again: &'static Reason,
    often_enough: &'static Reason,
    not_worth: &'static Reason,
}

macro_rules! asking {
    ($rule:ident) => {
        Asking {
            again: $rule::asked_again,
            often_enough: $rule::asked_often_enough,
            not_worth: $rule::not_worth_asking_again,
        }
    };
}

/// The course without the model.
#[must_use]
pub fn fallback(facts: &FallbackFacts) -> FallbackRuling {
    let refused = facts.failure == Failure::PolicyBlock;
    match facts.endpoint {
        Endpoint::DuplicateDetection => {
            let asking = asking!(duplicates_unchecked);
            retried(facts, Course::GoOnWithWarning, &asking, PATIENT, &[])
        }
        Endpoint::GamingRisk => {
            given_up(facts, Course::GoOn, gaming_unchecked::not_asked_again, &[])
        }
        Endpoint::SensitiveMedia if refused => given_up(
            facts,
            Course::ManualModeration,
            media_unchecked::refused_by_model,
            &[Obligation::QueueModeration, Obligation::BlurMedia],
        ),
        Endpoint::SensitiveMedia => {
            let asking = asking!(media_unchecked);
            let queue = &[Obligation::QueueModeration];
            retried(facts, Course::ManualModeration, &asking, PATIENT, queue)
        }
        Endpoint::CreditRecommendation => given_up(
            facts,
            Course::ManualForm,
            credit_unadvised::not_asked_again,
            &[],
        ),
        Endpoint::SiagaEvaluation => {
            let asking = asking!(siaga_unjudged);
            let call = &[Obligation::CallApprovers];
            retried(facts, Course::HumanApproval, &asking, URGENT, call)
        }
    }
}

/// An endpoint whose late answer is still of use.
fn retried(
    facts: &FallbackFacts,
    course: Course,
    asking: &Asking,
    back_off: BackOff,
    also: &[Obligation],
) -> FallbackRuling {
    let most = match most_calls(facts) {
        0 => return given_up(facts, course, asking.not_worth, also),
        most => most,
    };
    if facts.attempts >= most {
        return given_up(facts, course, asking.often_enough, also);
    }
    let mut obligations = obligations(facts, also);
    obligations.push(Obligation::RetryLater);
    FallbackRuling::of(
        course,
        asking.again,
        &obligations,
        Some(back_off.after(facts.attempts)),
    )
}

/// How many calls a failure is worth; none when the next one would fail as well.
const fn most_calls(facts: &FallbackFacts) -> u32 {
    match facts.failure {
        Failure::ModelUnavailable
        | Failure::Timeout
        | Failure::RetryableTransient
        | Failure::Unreachable => MOST_CALLS,
        Failure::SchemaViolation if facts.retryable => MOST_CALLS,
        Failure::SchemaViolation => MOST_CALLS_FOR_SCHEMA,
        Failure::InvalidInput | Failure::PolicyBlock | Failure::SwitchedOff => 0,
    }
}

fn given_up(
    facts: &FallbackFacts,
    course: Course,
    reason: &'static Reason,
    also: &[Obligation],
) -> FallbackRuling {
    FallbackRuling::of(course, reason, &obligations(facts, also), None)
}

/// What every fallback asks of the host: the warning, and to tell the operator of what does not pass by itself.
fn obligations(facts: &FallbackFacts, also: &[Obligation]) -> Vec<Obligation> {
    let mut obligations = Vec::from([Obligation::WarnInHeaders]);
    obligations.extend_from_slice(also);
    let stays = match facts.failure {
        Failure::InvalidInput | Failure::SchemaViolation => true,
        Failure::ModelUnavailable
        | Failure::Timeout
        | Failure::RetryableTransient
        | Failure::Unreachable => facts.attempts >= MOST_CALLS,
        // The operator did it, or the model did as it should.
        Failure::PolicyBlock | Failure::SwitchedOff => false,
    };
    if stays {
        obligations.push(Obligation::TellOperator);
    }
    obligations
}
