//! What the directory driver does beside the contract of pairs, on the file systems of this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

mod attributes;
mod crash;
mod hostile;
mod life;
mod power;
mod random;
mod shapes;
mod space;
mod support;
mod verbs;
mod verdicts;

/// The driver of these tests.
mod driver {
    use std::sync::Arc;

    use resplit_operations::pair::PairRef;
    use resplit_steps::{
        context::SystemClock,
        drivers::{directory::DirectoryPairs, pairs::PairDriver},
    };

    pub(crate) fn of(pair: PairRef) -> (PairRef, Box<dyn PairDriver>) {
        (pair, Box::new(DirectoryPairs::new(Arc::new(SystemClock))))
    }
}
