//! The engine: what a durable step costs, what a large plan costs, and how long it takes to go on after a crash.

pub(crate) mod chain;
pub(crate) mod program;
pub(crate) mod recovery;
pub(crate) mod site;

use std::time::Duration;

/// Of how many rounds medians are taken.
const ROUNDS: usize = 5;

/// The middle one.
fn median<T: Copy + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
