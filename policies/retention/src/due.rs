//! What is due for one record now. Every case has an answer, also those the host never asks.

use gotong_policy::Reason;
use gotong_policy::retention::{DueFacts, DueRuling, Measure, OnExpiry, State};

use crate::rules::{open_matter, vault};
use crate::schedule::{Keeping, Span, schedule};

/// What becomes of the record, or when something will.
#[must_use]
pub fn due(facts: &DueFacts) -> DueRuling {
    let line = schedule(facts.kind);
    let verdict = match line.keeping {
        Keeping::Forever { kept } => Verdict::Stays(kept, None),
        Keeping::UntilTakenBack { kept, taken_back } => match facts.state {
            State::Live | State::Ended => Verdict::Stays(kept, None),
            State::Revoked | State::Expired => Verdict::Goes(taken_back),
        },
        Keeping::SinceWritten { hours, span } => after(facts.age_hours, hours, span),
        Keeping::SinceEnded {
            hours,
            open,
            taken_back,
            span,
        } => match (facts.state, taken_back) {
            (State::Live, _) => Verdict::Stays(open, None),
            (State::Revoked, Some(reason)) => Verdict::Goes(reason),
            (State::Ended | State::Revoked | State::Expired, _) => {
                after(facts.age_hours, hours, span)
            }
        },
        Keeping::AsChosen { most } => vault_entry(facts, most),
    };
    match verdict {
        Verdict::Goes(_) if line.waits && facts.needed => {
            DueRuling::nothing(open_matter::needed, None)
        }
        Verdict::Goes(reason) => DueRuling::now(measure(line.on_expiry), reason),
        Verdict::Stays(reason, due_in_hours) => DueRuling::nothing(reason, due_in_hours),
    }
}

/// What time and state alone say.
enum Verdict {
    /// Stays, for so many hours more where time alone ends it.
    Stays(&'static Reason, Option<u32>),
    Goes(&'static Reason),
}

fn after(age_hours: u32, hours: u32, span: Span) -> Verdict {
    match hours.checked_sub(age_hours) {
        Some(left) if left > 0 => Verdict::Stays(span.not_yet, Some(left)),
        _ => Verdict::Goes(span.over),
    }
}

fn vault_entry(facts: &DueFacts, most: u32) -> Verdict {
    let (hours, over) = match facts.chosen_hours {
        Some(chosen) if chosen <= most => (chosen, vault::chosen_time_over),
        Some(_) | None => (most, vault::longest_time_over),
    };
    match facts.state {
        State::Revoked => Verdict::Goes(vault::revoked),
        State::Expired => Verdict::Goes(vault::expired),
        State::Live | State::Ended => {
            let span = Span {
                limited: vault::kept_for_a_time,
                not_yet: vault::not_yet,
                over,
            };
            after(facts.age_hours, hours, span)
        }
    }
}

const fn measure(on_expiry: OnExpiry) -> Measure {
    match on_expiry {
        OnExpiry::Keep => Measure::Nothing,
        OnExpiry::Anonymise => Measure::Anonymise,
        OnExpiry::DeletePayload => Measure::DeletePayload,
    }
}
