//! The spans of the domain page, kind by kind, and what must hold for every record.

use std::collections::BTreeSet;
use std::format;
use std::string::String;
use std::vec::Vec;

use gotong_policy::retention::{
    ClassifyFacts, ClassifyManyFacts, DueFacts, DueManyFacts, DueRuling,
    Kind::{self, *},
    Measure, OnExpiry, Retention,
    State::{self, *},
    Tag,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{GotongRetention as Policy, rules};

const STATES: [State; 4] = [Live, Ended, Revoked, Expired];

/// "NAME forever|HOURSh WHAT_THEN RULE REASON".
fn tag_line(tag: Tag) -> String {
    let keep = tag
        .keep_hours
        .map_or(String::from("forever"), |hours| format!("{hours}h"));
    let then = match tag.on_expiry {
        OnExpiry::Keep => "keep",
        OnExpiry::Anonymise => "anonymise",
        OnExpiry::DeletePayload => "delete_payload",
    };
    format!("{} {keep} {then} {} {}", tag.name, tag.rule, tag.reason)
}

#[rustfmt::skip]
const TAGS: [(Kind, &str); 26] = [
    (Entity, "entity forever keep memory kept"),
    (Relation, "relation forever keep memory kept"),
    (Transition, "transition forever keep accountability kept"),
    (Ballot, "ballot forever keep memory kept"),
    (Decision, "decision forever keep accountability kept"),
    (Contribution, "contribution forever keep memory kept"),
    (Evidence, "evidence forever keep memory kept"),
    (Vouch, "vouch forever keep memory kept"),
    (FeedItem, "feed_item 8760h delete_payload feed_item kept_for_a_time"),
    (ModerationTrail, "moderation_trail forever keep accountability kept"),
    (ModerationSnippet, "moderation_snippet 4320h delete_payload moderation_snippet kept_for_a_time"),
    (SiagaBroadcast, "siaga_broadcast forever keep accountability kept"),
    (SiagaResponder, "siaga_responder 168h anonymise siaga_responder kept_for_a_time"),
    (VaultPayload, "vault_payload 87600h delete_payload vault kept_for_a_time"),
    (VaultMetadata, "vault_metadata forever keep vault metadata_kept"),
    (DeliveryLog, "delivery_log 2160h delete_payload delivery_log kept_for_a_time"),
    (Notification, "notification 4320h delete_payload notification kept_for_a_time"),
    (ChatMessage, "chat_message forever keep chat kept"),
    (ChatDeletedBody, "chat_deleted_body 720h delete_payload chat kept_for_a_time"),
    (IdempotentResponse, "idempotent_response 24h delete_payload idempotent_response kept_for_a_time"),
    (MediaFile, "media_file 8760h delete_payload media_file kept_for_a_time"),
    (ModerationReport, "moderation_report 4320h anonymise moderation_report kept_for_a_time"),
    (ModelAnswer, "model_answer 720h delete_payload model_answer kept_for_a_time"),
    (OutboxEvent, "outbox_event 2160h delete_payload outbox_event kept_for_a_time"),
    (ReadCursor, "read_cursor 720h delete_payload read_cursor kept_for_a_time"),
    (PrivateField, "private_field forever delete_payload personal_field kept"),
];

#[test]
fn every_kind_has_the_tag_of_the_domain_page() {
    assert_eq!(TAGS.map(|(kind, _)| kind), Kind::ALL);
    for (kind, expected) in TAGS {
        assert_eq!(tag_line(Policy::classify(ClassifyFacts { kind })), expected);
    }
}

/// A record of this kind, state and age; no open matter needs it, and nobody chose a time.
fn record(kind: Kind, state: State, age_hours: u32) -> DueFacts {
    DueFacts {
        kind,
        state,
        age_hours,
        chosen_hours: None,
        needed: false,
    }
}

fn needed(kind: Kind, state: State, age_hours: u32) -> DueFacts {
    DueFacts {
        needed: true,
        ..record(kind, state, age_hours)
    }
}

fn vault(state: State, age_hours: u32, chosen: u32) -> DueFacts {
    DueFacts {
        chosen_hours: Some(chosen),
        ..record(VaultPayload, state, age_hours)
    }
}

/// "MEASURE RULE REASON[ in HOURSh]".
fn due_line(ruling: DueRuling) -> String {
    let measure = match ruling.measure {
        Measure::Nothing => "nothing",
        Measure::Anonymise => "anonymise",
        Measure::DeletePayload => "delete_payload",
    };
    let mut line = format!("{measure} {} {}", ruling.rule, ruling.reason);
    if let Some(hours) = ruling.due_in_hours {
        line += &format!(" in {hours}h");
    }
    line
}

#[rustfmt::skip]
fn records() -> Vec<(DueFacts, &'static str)> {
    Vec::from([
        // siaga: names for 7 days after the end, then never again
        (record(SiagaResponder, Live, u32::MAX), "nothing siaga_responder matter_open"),
        (record(SiagaResponder, Ended, 0), "nothing siaga_responder not_yet in 168h"),
        (record(SiagaResponder, Ended, 167), "nothing siaga_responder not_yet in 1h"),
        (record(SiagaResponder, Ended, 168), "anonymise siaga_responder time_over"),
        (needed(SiagaResponder, Ended, 168), "anonymise siaga_responder time_over"),
        (record(SiagaResponder, Revoked, 168), "anonymise siaga_responder time_over"),
        (record(SiagaBroadcast, Ended, u32::MAX), "nothing accountability kept"),
        // vault: as long as chosen, 3,650 days at most; revoked or expired at once
        (record(VaultPayload, Live, 0), "nothing vault not_yet in 87600h"),
        (record(VaultPayload, Live, 87_599), "nothing vault not_yet in 1h"),
        (record(VaultPayload, Live, 87_600), "delete_payload vault longest_time_over"),
        (vault(Live, 99, 100), "nothing vault not_yet in 1h"),
        (vault(Live, 100, 100), "delete_payload vault chosen_time_over"),
        (vault(Ended, 100, 100), "delete_payload vault chosen_time_over"),
        (vault(Live, 87_600, 87_600), "delete_payload vault chosen_time_over"),
        (vault(Live, 87_600, 87_601), "delete_payload vault longest_time_over"),
        (vault(Live, 87_599, u32::MAX), "nothing vault not_yet in 1h"),
        (vault(Revoked, 0, 87_600), "delete_payload vault revoked"),
        (vault(Expired, 0, 87_600), "delete_payload vault expired"),
        (needed(VaultPayload, Revoked, 0), "delete_payload vault revoked"),
        (needed(VaultPayload, Live, 87_600), "delete_payload vault longest_time_over"),
        (record(VaultMetadata, Revoked, u32::MAX), "nothing vault metadata_kept"),
        // kept
        (record(Transition, Live, u32::MAX), "nothing accountability kept"),
        (record(Decision, Live, u32::MAX), "nothing accountability kept"),
        (record(ModerationTrail, Ended, u32::MAX), "nothing accountability kept"),
        (record(Entity, Ended, u32::MAX), "nothing memory kept"),
        (record(Ballot, Revoked, u32::MAX), "nothing memory kept"),
        (record(ChatMessage, Live, u32::MAX), "nothing chat kept"),
        // moderation: excerpts and reporters for 180 days
        (record(ModerationSnippet, Live, 4_319), "nothing moderation_snippet not_yet in 1h"),
        (record(ModerationSnippet, Live, 4_320), "delete_payload moderation_snippet time_over"),
        (needed(ModerationSnippet, Live, 4_320), "nothing open_matter needed"),
        (record(ModerationReport, Live, u32::MAX), "nothing moderation_report matter_open"),
        (record(ModerationReport, Ended, 4_319), "nothing moderation_report not_yet in 1h"),
        (record(ModerationReport, Ended, 4_320), "anonymise moderation_report time_over"),
        // deliveries for 90 days, notifications for 180
        (record(DeliveryLog, Live, 2_159), "nothing delivery_log not_yet in 1h"),
        (record(DeliveryLog, Live, 2_160), "delete_payload delivery_log time_over"),
        (record(OutboxEvent, Live, u32::MAX), "nothing outbox_event matter_open"),
        (record(OutboxEvent, Ended, 2_159), "nothing outbox_event not_yet in 1h"),
        (record(OutboxEvent, Ended, 2_160), "delete_payload outbox_event time_over"),
        (record(Notification, Live, 4_319), "nothing notification not_yet in 1h"),
        (record(Notification, Live, 4_320), "delete_payload notification time_over"),
        (needed(Notification, Live, 4_320), "delete_payload notification time_over"),
        // chat: deleted bodies for 30 days
        (record(ChatDeletedBody, Ended, 719), "nothing chat not_yet in 1h"),
        (record(ChatDeletedBody, Ended, 720), "delete_payload chat time_over"),
        (needed(ChatDeletedBody, Ended, 720), "nothing open_matter needed"),
        (record(ReadCursor, Live, u32::MAX), "nothing read_cursor matter_open"),
        (record(ReadCursor, Ended, 719), "nothing read_cursor not_yet in 1h"),
        (record(ReadCursor, Ended, 720), "delete_payload read_cursor time_over"),
        // idempotent responses: 24 hours at least
        (record(IdempotentResponse, Live, 23), "nothing idempotent_response not_yet in 1h"),
        (record(IdempotentResponse, Expired, 23), "nothing idempotent_response not_yet in 1h"),
        (record(IdempotentResponse, Live, 24), "delete_payload idempotent_response time_over"),
        // the rest
        (record(FeedItem, Live, 8_759), "nothing feed_item not_yet in 1h"),
        (record(FeedItem, Live, 8_760), "delete_payload feed_item time_over"),
        (record(ModelAnswer, Live, 719), "nothing model_answer not_yet in 1h"),
        (record(ModelAnswer, Live, 720), "delete_payload model_answer time_over"),
        (record(MediaFile, Live, u32::MAX), "nothing media_file matter_open"),
        (record(MediaFile, Ended, 8_759), "nothing media_file not_yet in 1h"),
        (record(MediaFile, Ended, 8_760), "delete_payload media_file time_over"),
        (record(MediaFile, Revoked, 0), "delete_payload media_file taken_back"),
        (needed(MediaFile, Revoked, 0), "nothing open_matter needed"),
        (record(MediaFile, Expired, 8_760), "delete_payload media_file time_over"),
        (record(PrivateField, Live, u32::MAX), "nothing personal_field kept"),
        (record(PrivateField, Ended, u32::MAX), "nothing personal_field kept"),
        (record(PrivateField, Revoked, 0), "delete_payload personal_field taken_back"),
        (record(PrivateField, Expired, 0), "delete_payload personal_field taken_back"),
        (needed(PrivateField, Revoked, 0), "nothing open_matter needed"),
    ])
}

#[test]
fn what_is_due_is_due_at_the_hour() {
    for (facts, expected) in records() {
        assert_eq!(due_line(Policy::due(facts)), expected, "{facts:?}");
    }
}

#[test]
fn every_reason_is_reached_by_a_case() {
    let tags = TAGS.into_iter().map(|(_, line)| (line, 3));
    let dues = records().into_iter().map(|(_, line)| (line, 1));
    let reached: BTreeSet<String> = tags
        .chain(dues)
        .map(|(line, skipped)| {
            let mut words = line.split(' ').skip(skipped);
            format!("{} {}", words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    let declared: BTreeSet<String> = rules::REASONS
        .iter()
        .map(|reason| format!("{} {}", reason.rule, reason.code))
        .collect();
    assert_eq!(reached, declared);
}

#[test]
fn describe_tells_every_rule_once_on_one_line() {
    let told = Policy::describe();
    let distinct: BTreeSet<&String> = told.iter().map(|rule| &rule.id).collect();
    assert_eq!(distinct.len(), told.len());
    for reason in rules::REASONS {
        assert!(distinct.iter().any(|id| *id == reason.rule));
    }
    assert!(told.iter().all(|rule| !rule.text.contains('\n')));
}

fn facts() -> impl Strategy<Value = DueFacts> {
    let hours = || {
        prop_oneof![
            0_u32..200,
            0_u32..90_000,
            select(
                &[
                    23, 24, 167, 168, 719, 720, 2_159, 2_160, 4_319, 4_320, 8_760, 87_600
                ][..]
            ),
            any::<u32>(),
        ]
    };
    (
        select(&Kind::ALL[..]),
        select(&STATES[..]),
        hours(),
        proptest::option::of(hours()),
        any::<bool>(),
    )
        .prop_map(|(kind, state, age_hours, chosen_hours, needed)| DueFacts {
            kind,
            state,
            age_hours,
            chosen_hours,
            needed,
        })
}

proptest! {
    #[test]
    fn what_is_due_is_what_the_tag_says(facts in facts()) {
        let tag = Policy::classify(ClassifyFacts { kind: facts.kind });
        let measure = Policy::due(facts).measure;
        let of_the_tag = match tag.on_expiry {
            OnExpiry::Keep => Measure::Nothing,
            OnExpiry::Anonymise => Measure::Anonymise,
            OnExpiry::DeletePayload => Measure::DeletePayload,
        };
        prop_assert!(measure == Measure::Nothing || measure == of_the_tag);
    }

    #[test]
    fn a_wait_ends_at_the_hour_it_names(facts in facts()) {
        if let Some(hours) = Policy::due(facts).due_in_hours {
            prop_assert!(hours > 0);
            let at = |age_hours| Policy::due(DueFacts { age_hours, needed: false, ..facts }).measure;
            prop_assert_eq!(at(facts.age_hours + hours - 1), Measure::Nothing);
            prop_assert_ne!(at(facts.age_hours + hours), Measure::Nothing);
        }
    }

    #[test]
    fn what_is_due_stays_due(facts in facts(), later in any::<u32>()) {
        let now = Policy::due(facts);
        if now.measure != Measure::Nothing {
            let later = DueFacts { age_hours: facts.age_hours.saturating_add(later), ..facts };
            prop_assert_eq!(Policy::due(later), now);
        }
    }

    #[test]
    fn an_open_matter_only_delays(facts in facts()) {
        let free = Policy::due(DueFacts { needed: false, ..facts });
        let needed = Policy::due(DueFacts { needed: true, ..facts });
        prop_assert!(needed == free || needed.measure == Measure::Nothing);
        if matches!(facts.kind, SiagaResponder | VaultPayload) {
            prop_assert_eq!(needed, free);
        }
    }

    #[test]
    fn no_vault_entry_outlives_its_longest_time(facts in facts()) {
        let facts = DueFacts { kind: VaultPayload, ..facts };
        if facts.age_hours >= crate::schedule::VAULT_MOST_HOURS || matches!(facts.state, Revoked | Expired) {
            prop_assert_eq!(Policy::due(facts).measure, Measure::DeletePayload);
        }
    }

    #[test]
    fn lists_answer_item_by_item_in_order(items in proptest::collection::vec(facts(), 0..20)) {
        let each: Vec<DueRuling> = items.iter().copied().map(Policy::due).collect();
        let tags: Vec<Tag> =
            items.iter().map(|facts| Policy::classify(ClassifyFacts { kind: facts.kind })).collect();
        let kinds = items.iter().map(|facts| ClassifyFacts { kind: facts.kind }).collect();
        prop_assert_eq!(Policy::classify_many(ClassifyManyFacts { items: kinds }), tags);
        prop_assert_eq!(Policy::due_many(DueManyFacts { items }), each);
    }
}
