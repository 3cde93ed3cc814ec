//! The same work on several threads.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::failure::Failure;

/// More threads than this read no faster from memory.
const MOST_CORES: usize = 4;

/// How many threads work that needs a core each has.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_CORES)
}

/// Runs the same on so many threads until all have ended; the first failure stops the others.
pub(super) fn on_threads<T: Send>(
    threads: usize,
    work: impl Fn(&AtomicBool) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let stopped = AtomicBool::new(false);
    let one = || work(&stopped).inspect_err(|_| stopped.store(true, Ordering::Relaxed));
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        let own = one();
        let early = |_| Err(Failure::permanent("a thread that compares ended too early"));
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(early));
        std::iter::once(own).chain(others).collect()
    })
}
