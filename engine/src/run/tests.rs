//! What is decided of a run's steps, against random plans and random ends.

mod clock;
mod over_budget;
pub(crate) mod plans;
mod properties;
mod resume;
mod tries;
mod whole;
mod windows;
