//! What is decided of a run's steps, against random plans and random ends.

mod clock;
mod plans;
mod properties;
mod resume;
mod whole;
mod windows;
