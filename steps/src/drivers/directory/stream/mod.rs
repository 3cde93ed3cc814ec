//! Pairs of directories whose sides are on hosts that are not reached by paths. The primary's side finds what differs, in
//! both directions, from what it is told of the copy; the side that has the files sends them, the other puts them in
//! their places. See [`crate::drivers::stream`].

mod digests;
mod item;
mod landing;
mod listing;
mod near;
mod plan;
mod receive;
mod secondary;
mod send;
