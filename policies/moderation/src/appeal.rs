//! Whether a decision may be appealed now.

use gotong_policy::Reason;
use gotong_policy::moderation::{Action, AppealFacts, Status};

use crate::limits::APPEAL_WINDOW_HOURS;
use crate::rules::appeal;

/// May this decision be appealed now?
///
/// # Errors
/// The reason why it stands.
pub fn appeal(facts: &AppealFacts) -> Result<&'static Reason, &'static Reason> {
    if !facts.is_author {
        return Err(appeal::not_the_author);
    }
    let nothing = facts.status == Status::Processing || facts.action == Action::PublishNow;
    if nothing {
        return Err(appeal::nothing_to_appeal);
    }
    if facts.answers_appeal {
        return Err(appeal::decision_final);
    }
    if facts.appeals > 0 {
        return Err(appeal::already_appealed);
    }
    if facts.hours_since_decision >= APPEAL_WINDOW_HOURS {
        return Err(appeal::appeal_window_over);
    }
    Ok(appeal::appeal_open)
}
