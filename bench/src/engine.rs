//! The engine: what a durable step costs, what a large plan costs, and how long it takes to go on after a crash.

mod chain;
mod program;
mod recovery;
mod site;

use std::{error::Error, fs, path::Path, time::Duration};

pub(crate) use chain::child;

/// Of how many rounds medians are taken.
const ROUNDS: usize = 5;

/// Prints the rows; what is needed is made in `scratch`, an empty directory on the disk to be measured.
pub(crate) fn run(scratch: &Path) -> Result<(), Box<dyn Error>> {
    let parts: [(&str, crate::Benchmark); 5] = [
        ("chains", chain::run),
        ("memory", chain::memory),
        ("layers", recovery::layers),
        ("unfinished", recovery::unfinished),
        ("program", program::run),
    ];
    for (name, part) in parts {
        if std::env::var_os("ONLY").is_some_and(|o| o != name) {
            continue;
        }
        let place = scratch.join(name);
        fs::create_dir_all(&place)?;
        part(&place)?;
        fs::remove_dir_all(&place)?;
    }
    Ok(())
}

/// The middle one.
fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
