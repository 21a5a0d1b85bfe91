//! What labels may say. Each is a closed set, so that every count is there from the start.

use gotong_engine::{Outcome, TrapCode};

/// What a label says that is none of the words it may be.
pub const OTHER: &str = "other";

/// The words of one label.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $word:ident $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $word,)+ }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// As the label has it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }
        }
    };
}

words! {
    /// How a command ended.
    CommandEnd {
        /// It was answered; a refusal is an answer.
        Done "done",
        Replayed "replayed",
        StillRunning "still_running",
        Contention "contention",
        KeyRefused "key_refused",
        Failed "failed",
    }
}

words! {
    /// How an attempt at a job ended.
    JobEnd {
        Done "done",
        /// It is tried again.
        Failed "failed",
        Dead "dead",
        LeaseLost "lease_lost",
    }
}

words! {
    /// What there was no room for.
    Room {
        Connection "connection",
        Request "request",
        /// Of a request, in memory.
        Body "body",
    }
}

/// How a question to a module can end.
pub fn outcomes() -> [&'static str; 4] {
    [
        Outcome::Ruled,
        Outcome::FuelExhausted,
        Outcome::Trapped {
            trap_code: TrapCode::Other,
        },
        Outcome::EngineError,
    ]
    .map(Outcome::as_str)
}

/// The methods that are told apart.
pub fn method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => OTHER,
    }
}
