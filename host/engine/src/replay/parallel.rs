//! Work over a stream on several threads, in bounded memory, with one result whatever the number of threads.
//!
//! The calling thread reads; batches go over a bounded channel, so a slow worker holds the reader back.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

/// The engine's pool has room for so many evaluations at once.
pub const MAX_THREADS: usize = crate::engine::CONCURRENT as usize;

/// Items a batch.
const ITEMS: usize = 64;

/// A batch is closed behind the item that reaches this, in bytes.
const BYTES: usize = 256 << 10;

/// How a stream is walked.
pub struct Run<'a> {
    /// Worker threads; at most [`MAX_THREADS`] of them are started.
    pub threads: NonZeroUsize,
    /// Told of every so many items that are done.
    pub done: &'a (dyn Fn(u64) + Sync),
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Run<'_> {
    /// A thread for each core, and nobody to be told.
    pub fn on_every_core() -> Self {
        Run {
            threads: cores(),
            done: &|_| {},
        }
    }
}

/// The cores of this machine that this process may use.
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

struct Batch<T> {
    /// The place of its first item in the stream.
    first: u64,
    items: Vec<T>,
}

/// Folds a stream: each worker folds what it gets into a part of its own, and the parts are returned.
///
/// # Errors
/// The source's, or the one of the earliest item that has one.
pub(crate) fn fold<T, P, E>(
    run: &Run<'_>,
    source: impl Iterator<Item = Result<T, E>>,
    size: impl Fn(&T) -> usize,
    part: impl Fn() -> P + Sync,
    each: impl Fn(&mut P, u64, T) -> Result<(), E> + Sync,
) -> Result<Vec<P>, E>
where
    T: Send,
    P: Send,
    E: Send,
{
    let threads = run.threads.get().min(MAX_THREADS);
    let (sender, receiver) = sync_channel::<Batch<T>>(2 * threads);
    let receiver = Mutex::new(receiver);
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = || {
            let mut part = part();
            while let Some(batch) = next(&receiver) {
                if failed.load(Ordering::Relaxed) {
                    // Drained, so that the reader is never stuck.
                    continue;
                }
                let items = batch.items.len() as u64;
                for (place, item) in (batch.first..).zip(batch.items) {
                    if let Err(error) = each(&mut part, place, item) {
                        failed.store(true, Ordering::Relaxed);
                        return Err((place, error));
                    }
                }
                (run.done)(items);
            }
            Ok(part)
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let read = batches(source, size, &failed, |batch| sender.send(batch).is_ok());
        drop(sender);
        let mut parts = Vec::with_capacity(threads);
        let mut first: Option<(u64, E)> = None;
        for worker in workers {
            match worker.join() {
                Ok(Ok(part)) => parts.push(part),
                Ok(Err((place, error))) => {
                    if first.as_ref().is_none_or(|(earliest, _)| place < *earliest) {
                        first = Some((place, error));
                    }
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        match (first, read) {
            (Some((_, error)), _) | (None, Err(error)) => Err(error),
            (None, Ok(())) => Ok(parts),
        }
    })
}

/// The next batch; none when the reader has ended.
fn next<T>(receiver: &Mutex<Receiver<Batch<T>>>) -> Option<Batch<T>> {
    // A worker that panicked held no half-done state here.
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    receiver.recv().ok()
}

fn batches<T, E>(
    source: impl Iterator<Item = Result<T, E>>,
    size: impl Fn(&T) -> usize,
    failed: &AtomicBool,
    mut send: impl FnMut(Batch<T>) -> bool,
) -> Result<(), E> {
    let mut first = 0;
    let (mut items, mut bytes) = (Vec::with_capacity(ITEMS), 0);
    let mut broken = Ok(());
    for item in source {
        match item {
            Ok(item) => {
                bytes += size(&item);
                items.push(item);
            }
            Err(error) => {
                broken = Err(error);
                break;
            }
        }
        if items.len() == ITEMS || bytes >= BYTES {
            let full = std::mem::replace(&mut items, Vec::with_capacity(ITEMS));
            let count = full.len() as u64;
            if failed.load(Ordering::Relaxed) || !send(Batch { first, items: full }) {
                return Ok(());
            }
            first += count;
            bytes = 0;
        }
    }
    if !items.is_empty() {
        send(Batch { first, items });
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(number: usize) -> Run<'static> {
        Run {
            threads: NonZeroUsize::new(number).unwrap(),
            done: &|_| {},
        }
    }

    fn sums(
        run: &Run<'_>,
        source: impl Iterator<Item = Result<u64, u64>>,
        bad: &[u64],
    ) -> Result<u64, u64> {
        let each = |sum: &mut u64, place, item| {
            assert_eq!(place, item);
            if bad.contains(&item) {
                return Err(item);
            }
            *sum += item;
            Ok(())
        };
        fold(run, source, |_| 8, || 0, each).map(|parts| parts.iter().sum())
    }

    #[test]
    fn the_result_is_one_whatever_the_number_of_threads() {
        for number in [1, 2, 3, 8, 1_000] {
            assert_eq!(
                sums(&threads(number), (0..10_000).map(Ok), &[]),
                Ok(49_995_000)
            );
            assert_eq!(sums(&threads(number), std::iter::empty(), &[]), Ok(0));
        }
    }

    #[test]
    fn the_earliest_failure_is_the_one_that_is_told() {
        for _ in 0..50 {
            let failed = sums(&threads(4), (0..10_000).map(Ok), &[9_000, 333, 340, 5_000]);
            assert_eq!(failed, Err(333));
        }
        let broken = (0..1_000).map(Ok).chain([Err(7)]);
        assert_eq!(sums(&threads(2), broken, &[]), Err(7), "the source's own");
    }

    #[test]
    fn a_source_without_an_end_is_left_at_the_first_failure() {
        assert_eq!(sums(&threads(2), (0..).map(Ok), &[5]), Err(5));
    }
}
