//! Every problem that the host tells in its own name: one list, from which the answers, the API's document and
//! `docs/problems.md` are made. What a policy rules out is told in the policy's words.

use std::fmt;

/// Which requests can be answered with a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any request.
    Every,
    /// Any write.
    Writes,
    /// Any request of a route that takes a token: a policy rules on it.
    Ruled,
    /// Those whose operation names the status.
    Some,
}

macro_rules! codes {
    ($($code:ident $word:literal $status:literal $reach:ident $meaning:literal, $remedy:literal;)+) => {
        /// The stable code of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $meaning] $code,)+ }

        impl Code {
            /// Every code, by status.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The word that a client sees.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $word,)+ }
            }

            /// The HTTP status that it always has.
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)+ }
            }

            pub const fn reach(self) -> Reach {
                match self { $(Self::$code => Reach::$reach,)+ }
            }

            /// What happened.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)+ }
            }

            /// What a client does about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$code => $remedy,)+ }
            }
        }
    };
}

codes! {
    RequestIdRequired "request_id_required" 400 Writes
        "The write has no `Idempotency-Key`.",
        "Send one: 8 to 128 characters of A-Z a-z 0-9 _ : . -";
    RequestIdInvalid "request_id_invalid" 400 Writes
        "The `Idempotency-Key` (or `X-Request-Id`) has other characters or another length, or there are two that differ.",
        "Send one: 8 to 128 characters of A-Z a-z 0-9 _ : . -";
    RequestIdReserved "request_id_reserved" 400 Writes
        "The `Idempotency-Key` begins with `timer:`.",
        "Take another: these are the host's own.";
    CorrelationIdInvalid "correlation_id_invalid" 400 Every
        "The `X-Correlation-Id` has other characters or another length, or there are two.",
        "Send one of 4 to 128 characters of A-Z a-z 0-9 _ : . -, or none.";
    MalformedJson "malformed_json" 400 Writes
        "The body is not JSON.",
        "Correct the body; `detail` names the place.";
    InvalidQuery "invalid_query" 400 Some
        "A parameter of the query is unknown, missing or not within its limits.",
        "Correct the query; `detail` names the parameter.";
    InvalidCursor "invalid_cursor" 400 Some
        "The cursor is not the `next` of a page of this list, with these filters, for this caller.",
        "Begin at the first page, without `after`.";
    BodyIncomplete "body_incomplete" 400 Every
        "The body was cut off, or is not as the head says.",
        "Send the request again with the same `Idempotency-Key`.";
    TokenRequired "token_required" 401 Writes
        "The request needs a token, and there is none.",
        "Send `Authorization: Bearer TOKEN`.";
    TokenInvalid "token_invalid" 401 Every
        "The token is not one that this host accepts. It is never taken for an anonymous request.",
        "Get a new token.";
    TokenExpired "token_expired" 401 Every
        "The token has expired.",
        "Get a new token.";
    TokenAlgorithm "token_algorithm" 401 Every
        "The token is signed with an algorithm that this host does not accept.",
        "Get a token that is signed as the host's settings ask for.";
    PolicyTrapped "policy_trapped" 403 Ruled
        "The policy ended abnormally, so the answer is no.",
        "Tell the people who run the host; the decision is recorded.";
    PolicyFuelExhausted "policy_fuel_exhausted" 403 Ruled
        "The policy did not come to an end, so the answer is no.",
        "Tell the people who run the host; the decision is recorded.";
    PolicyObligationUnknown "policy_obligation_unknown" 403 Writes
        "The policy allows it on a condition that this host does not carry out, so the answer is no.",
        "Tell the people who run the host; the decision is recorded.";
    PolicyTermsUnusable "policy_terms_unusable" 403 Writes
        "The policy gives terms that no gate can hold to, so the answer is no.",
        "Tell the people who run the host; the decision is recorded.";
    PolicyAnswersMissing "policy_answers_missing" 403 Some
        "The policy answered fewer questions than it was asked, so the answer is no.",
        "Tell the people who run the host.";
    NotFound "not_found" 404 Some
        "There is nothing here, or nothing that is visible to the caller. The two look the same.",
        "Correct the address, or ask with a token of somebody who may see it.";
    MethodNotAllowed "method_not_allowed" 405 Some
        "The route does not answer to that method.",
        "Use one of the methods in `Allow`.";
    BodyTimeout "body_timeout" 408 Every
        "The body took too long to arrive.",
        "Send the request again with the same `Idempotency-Key`.";
    RelationHeld "relation_held" 409 Some
        "That person holds the relation already.",
        "Nothing: it is as it was to be.";
    GateOpen "gate_open" 409 Some
        "A gate of this entity is open.",
        "Wait until it has closed.";
    GateClosed "gate_closed" 409 Some
        "The window of this gate has ended.",
        "Read the transition: it says how it ended.";
    NoVoteOpen "no_vote_open" 409 Some
        "This gate passes by consent: it is objected to, not voted on.",
        "Object if you have a reason to.";
    AlreadyVoted "already_voted" 409 Some
        "The caller's ballot is cast.",
        "Nothing: a ballot does not change.";
    IdempotencyKeyTaken "idempotency_key_taken" 409 Writes
        "Somebody else used this `Idempotency-Key` here.",
        "Take a new key.";
    RequestInProgress "request_in_progress" 409 Writes
        "The same request is still running.",
        "Send it again after `Retry-After`, with the same key.";
    JobRunning "job_running" 409 Some
        "A worker has this job in hand.",
        "Wait until its attempt has ended.";
    JobWaits "job_waits" 409 Some
        "This job has not been tried yet; it runs when it is due.",
        "Wait: nothing went wrong with it.";
    JobNeeded "job_needed" 409 Some
        "Nobody else does this job's work: called off, it stays undone for ever.",
        "Leave it, or send `force` to call it off all the same.";
    JobOver "job_over" 409 Some
        "This job is done, or was called off.",
        "Nothing: nothing can be done about it any more.";
    ClockIsShared "clock_is_shared" 409 Some
        "Other hosts share this store, so its clock cannot be moved from here.",
        "Move the clock of a host with an embedded store.";
    BodyTooLarge "body_too_large" 413 Every
        "The body is larger than the host takes.",
        "Send less.";
    JsonRequired "json_required" 415 Writes
        "The body is not sent as `application/json`.",
        "Send `Content-Type: application/json`.";
    EncodingUnsupported "encoding_unsupported" 415 Writes
        "The body has a `Content-Encoding`.",
        "Send it without.";
    UnknownField "unknown_field" 422 Writes
        "The body holds a field that is none of the request's.",
        "Leave it out; `errors` names it.";
    InvalidField "invalid_field" 422 Writes
        "A field is missing, of another type or not within its limits.",
        "Correct it; `errors` names it.";
    EvidenceInTheFuture "evidence_in_the_future" 422 Some
        "The evidence is dated after now.",
        "Correct the clock or the timestamp.";
    EvidenceTooOld "evidence_too_old" 422 Some
        "The evidence is dated more than 30 days ago.",
        "Submit newer evidence.";
    IdempotencyKeyReused "idempotency_key_reused" 422 Writes
        "The caller used this `Idempotency-Key` for another request.",
        "Take a new key.";
    RateLimited "rate_limited" 429 Every
        "The caller asked too often; `RateLimit-Policy` says how often it may.",
        "Send the request again after `Retry-After`, with the same `Idempotency-Key`.";
    HeadTooLarge "head_too_large" 431 Every
        "The address and the headers are larger, or more, than the host takes.",
        "Send less.";
    Internal "internal" 500 Every
        "The host failed. Nothing was half done.",
        "Send the request again, a write with the same `Idempotency-Key`; with the `correlation_id` the cause is found in the log.";
    RequestTimeout "request_timeout" 503 Every
        "The request took too long. It may still take effect.",
        "Send it again after `Retry-After`, a write with the same `Idempotency-Key`: its effect happens once.";
    Overloaded "overloaded" 503 Every
        "The host has too much to do.",
        "Send the request again after `Retry-After`, a write with the same `Idempotency-Key`.";
    Contention "contention" 503 Writes
        "Too many changes at once.",
        "Send it again after `Retry-After`, with the same `Idempotency-Key`.";
    PolicyEngineError "policy_engine_error" 503 Ruled
        "The policy engine could not run, so there is no ruling.",
        "Send it again after `Retry-After`.";
    NotReady "not_ready" 503 Every
        "The store does not answer, is busy, does not let this host in or write, or can no longer be written. A write may still have taken effect.",
        "Send the request again after `Retry-After`, a write with the same `Idempotency-Key`: its effect happens once.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_there_once_and_in_the_order_of_status() {
        let statuses: Vec<u16> = Code::ALL.iter().map(|code| code.status()).collect();
        assert!(statuses.is_sorted());
        let mut words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
    }
}
