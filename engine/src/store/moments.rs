//! Where the store's own tests end a process: at a moment between two effects. Nothing of it is in the program.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
};

/// The variable that says when: `MOMENT`, or `MOMENT/COUNT` for a later time.
pub(super) const VARIABLE: &str = "RESPLIT_TEST_MOMENT";

static PASSED: AtomicU64 = AtomicU64::new(0);

/// A moment has come.
pub(super) fn moment(name: &str) {
    let Ok(wanted) = env::var(VARIABLE) else { return };
    let (wanted, count) = wanted.split_once('/').unwrap_or((&wanted, "1"));
    if wanted == name && Some(PASSED.fetch_add(1, Ordering::SeqCst) + 1) == count.parse().ok() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
