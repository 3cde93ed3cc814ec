//! Pairs of directories on two hosts. What holds for those of one host holds for them, so that its tests are run again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a helper of a test cannot do fails the test")]

#[path = "../common/loopback.rs"]
mod loopback;

#[path = "../directory/attributes.rs"]
mod attributes;
#[path = "../directory/hostile.rs"]
mod hostile;
#[path = "../directory/life.rs"]
mod life;
#[path = "../directory/random.rs"]
mod random;
#[path = "../directory/shapes.rs"]
mod shapes;
#[path = "../directory/space.rs"]
mod space;
#[path = "../directory/support.rs"]
mod support;
#[path = "../directory/verbs.rs"]
mod verbs;

mod cuts;
mod frames;

/// The driver of these tests.
mod driver {
    use resplit_operations::pair::PairRef;
    use resplit_steps::drivers::pairs::PairDriver;

    use super::loopback::{Loopback, apart};

    pub(crate) fn of(pair: PairRef) -> (PairRef, Box<dyn PairDriver>) {
        let cache = pair.secondary.with_file_name("told");
        (apart(pair), Loopback::new().both(&cache))
    }
}
