//! Executions, for as long as is asked.

use std::{
    env,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;

static PANICS: AtomicU64 = AtomicU64::new(0);

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// How many panics there were of an engine's tasks in this process, which its server catches.
pub(crate) fn panics() -> u64 {
    static COUNTS: Once = Once::new();
    COUNTS.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // What panics on a test's own thread is that test's.
            if std::thread::current().name().is_none_or(|name| name.starts_with("tokio")) {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            told(panic);
        }));
    });
    PANICS.load(Ordering::Relaxed)
}

/// Executes again and again; what fails is told by its number.
pub(crate) fn execute(what: &str, mut once: impl FnMut(&mut Rng)) {
    let (limit, seed) = (Duration::from_secs(number("RESPLIT_FUZZ", 4)), number("RESPLIT_SEED", 20_261_120));
    let (began, before) = (Instant::now(), panics());
    let mut executions = 0_u64;
    while began.elapsed() < limit {
        let mut rng = Rng::with_seed(seed.wrapping_add(executions));
        let ended = catch_unwind(AssertUnwindSafe(|| once(&mut rng)));
        if let Err(panic) = ended {
            eprintln!("{what}: RESPLIT_SEED={} fails at once", seed.wrapping_add(executions));
            resume_unwind(panic);
        }
        assert_eq!(panics(), before, "{what}: a panic with RESPLIT_SEED={}", seed.wrapping_add(executions));
        executions += 1;
    }
    // Past the test's own capture: the count is what this is for.
    let told = format!("{what}: {executions} executions in {} s\n", began.elapsed().as_secs());
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    assert!(executions > 0);
}
