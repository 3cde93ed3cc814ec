//! Engines killed at every point of their work, in this process: each is an engine with a runtime, an owner and a
//! store of its own, which from one moment on does nothing any more. The moments are told from the places where the
//! engine writes and acts; what an engine does in its own memory is lost with it, what it wrote stays.

mod cases;
mod check;
mod fate;
mod life;
mod matrix;
mod point;
mod site;
mod world;

pub(crate) use fate::{Moment, end_if_dead, end_with, is_watched, reached, until_alive};
