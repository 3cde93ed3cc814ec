//! Walks the directories of a tree on several threads, without recursion.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::failure::Failure;

/// Threads that a pass uses. Twice as many as processors: half of them wait for the disk.
fn threads() -> usize {
    thread::available_parallelism().map_or(4, |processors| 2 * processors.get()).min(16)
}

struct Queue<T> {
    waiting: Vec<Vec<u8>>,
    busy: usize,
    results: Vec<T>,
    failed: Option<Failure>,
}

/// Calls `visit` for the directories `from` and all that it finds below them. `visit` is given a directory's path
/// and adds those of its own directories; what it returns is collected, in no order. The first failure ends it.
/// Each thread has a scratch value of its own.
pub(super) fn walk<T: Send, S>(
    from: Vec<Vec<u8>>,
    scratch: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, Vec<u8>, &mut Vec<Vec<u8>>) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let queue = Mutex::new(Queue { waiting: from, busy: 0, results: Vec::new(), failed: None });
    let changed = Condvar::new();
    let work = || {
        let mut scratch = scratch();
        let mut found = Vec::new();
        let mut results = Vec::new();
        while let Some(path) = next(&queue, &changed) {
            let result = visit(&mut scratch, path, &mut found);
            let mut queue = lock(&queue);
            queue.busy -= 1;
            match result {
                Ok(result) => results.push(result),
                Err(failure) => queue.failed = queue.failed.take().or(Some(failure)),
            }
            queue.waiting.append(&mut found);
            drop(queue);
            changed.notify_all();
        }
        lock(&queue).results.append(&mut results);
    };
    thread::scope(|scope| {
        for _ in 1..threads() {
            let _ = scope.spawn(work);
        }
        work();
    });
    let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    queue.failed.map_or(Ok(queue.results), Err)
}

fn lock<T>(queue: &Mutex<Queue<T>>) -> MutexGuard<'_, Queue<T>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next directory, or `None` once there will be no more.
fn next<T>(queue: &Mutex<Queue<T>>, changed: &Condvar) -> Option<Vec<u8>> {
    let mut queue = lock(queue);
    loop {
        if queue.failed.is_some() {
            return None;
        }
        if let Some(path) = queue.waiting.pop() {
            queue.busy += 1;
            return Some(path);
        }
        if queue.busy == 0 {
            return None;
        }
        queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Fewer items than this are not worth another thread.
const FEW: usize = 16;

/// Calls `work` for every one of `items`, on several threads if they are many, and collects what it returns, in no
/// order.
pub(super) fn walk_slices<I: Sync, T: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), None));
    let run = || {
        let mut done = Vec::new();
        let mut failed = None;
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            match work(item) {
                Ok(result) => done.push(result),
                Err(failure) => {
                    // Nothing more is begun, by any thread.
                    next.store(items.len(), Ordering::Relaxed);
                    failed = Some(failure);
                    break;
                }
            }
        }
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.0.append(&mut done);
        results.1 = results.1.take().or(failed);
    };
    thread::scope(|scope| {
        for _ in 1..threads().min(items.len().div_ceil(FEW)) {
            let _ = scope.spawn(run);
        }
        run();
    });
    let (results, failed) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(results), Err)
}
