//! What the store promises, tried.

mod api;
