//! When an embedded store can no longer be written.
//!
//! The on-disk engine of the lock puts a transaction into a queue before it writes it. One that the disk refuses (it is full,
//! say) stays in that queue, and every later one waits behind it for ever, whatever becomes of the disk. What waits may
//! lie on the disk all the same. Only opening the store again puts that right, so the process has to end.

use std::sync::Arc;
use std::time::Duration;

use surrealdb::IndexedResults;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::{EngineError, Failure};

/// A write that takes longer is taken for one that never ends. Counted in steps, of which a process that was paused in
/// the middle loses one.
const STEPS: u32 = 20;
const STEP: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("a write has not ended within {} s", STEP.as_secs() * u64::from(STEPS))]
struct Endless;

/// Why a store can no longer be written, as soon as that is so.
#[derive(Debug)]
pub(crate) struct Breakage {
    why: watch::Sender<Option<Arc<EngineError>>>,
    step: Duration,
}

impl Breakage {
    pub(crate) fn none() -> Self {
        Self {
            why: watch::Sender::new(None),
            step: STEP,
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.why.borrow().is_some()
    }

    /// Waits for it.
    pub(crate) async fn wait(&self) -> Arc<EngineError> {
        let mut told = self.why.subscribe();
        loop {
            if let Some(why) = &*told.borrow_and_update() {
                return why.clone();
            }
            // The sender is ours: it does not go away meanwhile.
            if told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for the end of a write, and notes when it is one after which nothing can be written.
    pub(crate) async fn watch(
        &self,
        write: impl Future<Output = Result<IndexedResults, Failure>>,
    ) -> Result<IndexedResults, Failure> {
        match self.within(write).await {
            Some(Err(Failure::Storage(error) | Failure::Away(error))) => Err(self.note(error)),
            Some(ended) => ended,
            None => Err(self.note(EngineError::new(Endless))),
        }
    }

    /// Whoever is first says why.
    pub(crate) fn note(&self, why: EngineError) -> Failure {
        self.why.send_if_modified(|told| {
            let is_first = told.is_none();
            told.get_or_insert_with(|| Arc::new(why));
            is_first
        });
        Failure::Broken
    }

    async fn within<T>(&self, ending: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(ending);
        for _ in 0..STEPS {
            if let Ok(ended) = timeout(self.step, &mut ending).await {
                return Some(ended);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasty() -> Breakage {
        Breakage {
            step: Duration::from_millis(10),
            ..Breakage::none()
        }
    }

    #[tokio::test]
    async fn a_write_that_never_ends_breaks_the_store() {
        let breakage = hasty();
        let ended = breakage.watch(std::future::pending()).await;
        assert!(matches!(ended, Err(Failure::Broken)), "{ended:?}");
        let why = breakage.wait().await;
        assert_eq!(why.to_string(), "a write has not ended within 20 s");
        breakage.note(EngineError::new("later"));
        assert_eq!(breakage.wait().await.to_string(), why.to_string());
    }

    #[tokio::test]
    async fn a_slow_write_does_not_and_one_that_the_disk_refused_does() {
        let breakage = hasty();
        let slow = breakage.watch(async {
            tokio::time::sleep(breakage.step * (STEPS / 2)).await;
            Err(Failure::Other(EngineError::new("a field is missing")))
        });
        assert!(matches!(slow.await, Err(Failure::Other(_))));
        assert!(!breakage.is_there());
        let refused =
            breakage.watch(async { Err(Failure::Storage(EngineError::new("no space is left"))) });
        assert!(matches!(refused.await, Err(Failure::Broken)));
        assert!(breakage.is_there());
    }
}
