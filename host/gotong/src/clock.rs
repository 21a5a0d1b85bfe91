//! The host's time. `now` is read once per command; nothing else reads a clock for domain time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// System time, moved forward by what a `--dev` caller asked for.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// Domain time: what events, windows and timers go by.
    pub fn now_ms(&self) -> Millis {
        system_now_ms().saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// Moves domain time forward and returns the new now. Token expiry stays on system time.
    pub fn advance(&self, by_ms: u64) -> Millis {
        let by_ms = i64::try_from(by_ms).unwrap_or(i64::MAX);
        let add = |ahead: i64| Some(ahead.saturating_add(by_ms));
        let _ = self
            .ahead_ms
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        self.now_ms()
    }
}

/// System time: token expiry.
pub fn system_now_ms() -> Millis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
