//! Async locks by key, kept only while somebody holds or waits for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// When so many keys are on the books, the ones nobody holds are struck off.
const SWEEP_AT: usize = 4_096;

#[derive(Debug, Default)]
pub struct KeyedLocks {
    locks: Mutex<HashMap<String, Weak<AsyncMutex<()>>>>,
}

impl KeyedLocks {
    /// Waits for the lock of `key`; first come, first served.
    pub async fn lock(&self, key: &str) -> OwnedMutexGuard<()> {
        self.of(key).lock_owned().await
    }

    fn of(&self, key: &str) -> Arc<AsyncMutex<()>> {
        // A panic while the map is held leaves it whole: it is only ever inserted into or swept.
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() >= SWEEP_AT {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(key.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_key_is_held_once_and_other_keys_are_free() {
        let locks = KeyedLocks::default();
        let held = locks.lock("a").await;
        assert!(locks.of("a").try_lock().is_err());
        assert!(locks.of("b").try_lock().is_ok());
        drop(held);
        assert!(locks.of("a").try_lock().is_ok());
    }

    #[tokio::test]
    async fn keys_nobody_holds_are_struck_off() {
        let locks = KeyedLocks::default();
        for key in 0..SWEEP_AT + 1 {
            drop(locks.lock(&key.to_string()).await);
        }
        assert!(locks.locks.lock().unwrap().len() <= SWEEP_AT);
    }
}
