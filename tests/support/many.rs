//! Many things that are tried, some at a time, and a sample of them that a seed decides.

use std::{
    collections::BTreeMap,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
};

/// How many are at work at once for each processor: most of the time they wait for a disk.
const AT_ONCE: usize = 2;
/// What decides which, unless `RESPLIT_SEED` does.
const SEED: &str = "20261120";

/// Does all of this, some at a time; what panicked is its message.
pub(crate) fn each<T: Sync, R: Send>(work: &[T], to: impl Fn(&T) -> R + Sync) -> Vec<Result<R, String>> {
    let next = Mutex::new(0..work.len());
    let done: Mutex<BTreeMap<usize, Result<R, String>>> = Mutex::default();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE * processors {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().unwrap().next() else { return };
                    let ended = catch_unwind(AssertUnwindSafe(|| to(&work[index]))).map_err(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                            .unwrap_or_default()
                    });
                    done.lock().unwrap().insert(index, ended);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// A number that a text and the seed decide.
pub(crate) fn drawn(text: &str) -> u64 {
    let seed = env::var("RESPLIT_SEED").unwrap_or_else(|_| SEED.to_owned());
    let hash = blake3::hash(format!("{seed} {text}").as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}
