//! The table: how long each kind is kept, from when on, and what then.

use gotong_policy::Reason;
use gotong_policy::retention::{Kind, OnExpiry};

use crate::rules;

const DAY: u32 = 24;

/// Responders of a siaga, after its end.
pub const SIAGA_RESPONDER_HOURS: u32 = 7 * DAY;
/// The longest an owner may keep a vault entry, from its writing.
pub const VAULT_MOST_HOURS: u32 = 3_650 * DAY;
/// Uploaded files, after the end of their matter.
pub const MEDIA_FILE_HOURS: u32 = 365 * DAY;
/// Excerpts that moderators were shown.
pub const MODERATION_SNIPPET_HOURS: u32 = 180 * DAY;
/// Reporters' names, after the review.
pub const MODERATION_REPORT_HOURS: u32 = 180 * DAY;
/// Models' answers.
pub const MODEL_ANSWER_HOURS: u32 = 30 * DAY;
/// Outgoing events, after delivery.
pub const OUTBOX_EVENT_HOURS: u32 = 90 * DAY;
/// The log of deliveries.
pub const DELIVERY_LOG_HOURS: u32 = 90 * DAY;
/// Items of the feed.
pub const FEED_ITEM_HOURS: u32 = 365 * DAY;
/// Notifications.
pub const NOTIFICATION_HOURS: u32 = 180 * DAY;
/// The text of deleted chat messages.
pub const CHAT_DELETED_BODY_HOURS: u32 = 30 * DAY;
/// Read cursors, after the member left.
pub const READ_CURSOR_HOURS: u32 = 30 * DAY;
/// Answers to requests.
pub const IDEMPOTENT_RESPONSE_HOURS: u32 = DAY;

/// What is done with one kind.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The tag's name: that of the kind.
    pub name: &'static str,
    /// How long it is kept.
    pub keeping: Keeping,
    /// What becomes of it in the end.
    pub on_expiry: OnExpiry,
    /// It stays longer when an open matter needs it.
    pub waits: bool,
}

/// How long something is kept.
#[derive(Debug, Clone, Copy)]
pub enum Keeping {
    /// For ever.
    Forever {
        /// Why.
        kept: &'static Reason,
    },
    /// Until its owner takes it back.
    UntilTakenBack {
        /// Why it is there.
        kept: &'static Reason,
        /// Why it goes.
        taken_back: &'static Reason,
    },
    /// For so many hours since it was written.
    SinceWritten {
        /// How long.
        hours: u32,
        /// Why, at each time.
        span: Span,
    },
    /// As long as its matter is open, and for so many hours after.
    SinceEnded {
        /// How long after the end.
        hours: u32,
        /// Why it stays while the matter is open.
        open: &'static Reason,
        /// Why it goes at once when its owner takes it back, if it does.
        taken_back: Option<&'static Reason>,
        /// Why, at each time after.
        span: Span,
    },
    /// As the vault: as long as its owner chose since it was written, at most so many hours.
    AsChosen {
        /// The most.
        most: u32,
    },
}

/// The reasons of a limited time.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// It has one.
    pub limited: &'static Reason,
    /// It is not over.
    pub not_yet: &'static Reason,
    /// It is over.
    pub over: &'static Reason,
}

macro_rules! span {
    ($rule:ident) => {
        Span {
            limited: rules::$rule::kept_for_a_time,
            not_yet: rules::$rule::not_yet,
            over: rules::$rule::time_over,
        }
    };
}

macro_rules! since_written {
    ($rule:ident, $hours:expr) => {
        Keeping::SinceWritten {
            hours: $hours,
            span: span!($rule),
        }
    };
}

macro_rules! since_ended {
    ($rule:ident, $hours:expr, $taken_back:expr) => {
        Keeping::SinceEnded {
            hours: $hours,
            open: rules::$rule::matter_open,
            taken_back: $taken_back,
            span: span!($rule),
        }
    };
}

const fn forever(name: &'static str, kept: &'static Reason) -> Schedule {
    Schedule {
        name,
        keeping: Keeping::Forever { kept },
        on_expiry: OnExpiry::Keep,
        waits: false,
    }
}

/// Goes in the end, but waits for an open matter.
const fn waiting(name: &'static str, keeping: Keeping, on_expiry: OnExpiry) -> Schedule {
    Schedule {
        name,
        keeping,
        on_expiry,
        waits: true,
    }
}

/// Goes in the end, whatever else is open.
const fn strict(name: &'static str, keeping: Keeping, on_expiry: OnExpiry) -> Schedule {
    Schedule {
        name,
        keeping,
        on_expiry,
        waits: false,
    }
}

/// The line of one kind.
#[rustfmt::skip]
#[must_use]
pub fn schedule(kind: Kind) -> Schedule {
    use OnExpiry::{Anonymise, DeletePayload};
    match kind {
        Kind::Entity => forever("entity", rules::memory::kept),
        Kind::Relation => forever("relation", rules::memory::kept),
        Kind::Ballot => forever("ballot", rules::memory::kept),
        Kind::Contribution => forever("contribution", rules::memory::kept),
        Kind::Evidence => forever("evidence", rules::memory::kept),
        Kind::Vouch => forever("vouch", rules::memory::kept),
        Kind::Transition => forever("transition", rules::accountability::kept),
        Kind::Decision => forever("decision", rules::accountability::kept),
        Kind::ModerationTrail => forever("moderation_trail", rules::accountability::kept),
        Kind::SiagaBroadcast => forever("siaga_broadcast", rules::accountability::kept),
        Kind::VaultMetadata => forever("vault_metadata", rules::vault::metadata_kept),
        Kind::ChatMessage => forever("chat_message", rules::chat::kept),

        Kind::PrivateField => waiting("private_field",
            Keeping::UntilTakenBack {
                kept: rules::personal_field::kept,
                taken_back: rules::personal_field::taken_back,
            },
            DeletePayload),
        Kind::SiagaResponder => strict("siaga_responder",
            since_ended!(siaga_responder, SIAGA_RESPONDER_HOURS, None), Anonymise),
        Kind::VaultPayload => strict("vault_payload",
            Keeping::AsChosen { most: VAULT_MOST_HOURS }, DeletePayload),
        Kind::MediaFile => waiting("media_file",
            since_ended!(media_file, MEDIA_FILE_HOURS, Some(rules::media_file::taken_back)), DeletePayload),
        Kind::ModerationSnippet => waiting("moderation_snippet",
            since_written!(moderation_snippet, MODERATION_SNIPPET_HOURS), DeletePayload),
        Kind::ModerationReport => waiting("moderation_report",
            since_ended!(moderation_report, MODERATION_REPORT_HOURS, None), Anonymise),
        Kind::ModelAnswer => waiting("model_answer",
            since_written!(model_answer, MODEL_ANSWER_HOURS), DeletePayload),
        Kind::OutboxEvent => waiting("outbox_event",
            since_ended!(outbox_event, OUTBOX_EVENT_HOURS, None), DeletePayload),
        Kind::DeliveryLog => waiting("delivery_log",
            since_written!(delivery_log, DELIVERY_LOG_HOURS), DeletePayload),
        Kind::FeedItem => waiting("feed_item",
            since_written!(feed_item, FEED_ITEM_HOURS), DeletePayload),
        Kind::Notification => strict("notification",
            since_written!(notification, NOTIFICATION_HOURS), DeletePayload),
        Kind::ChatDeletedBody => waiting("chat_deleted_body",
            since_written!(chat, CHAT_DELETED_BODY_HOURS), DeletePayload),
        Kind::ReadCursor => strict("read_cursor",
            since_ended!(read_cursor, READ_CURSOR_HOURS, None), DeletePayload),
        Kind::IdempotentResponse => strict("idempotent_response",
            since_written!(idempotent_response, IDEMPOTENT_RESPONSE_HOURS), DeletePayload),
    }
}
