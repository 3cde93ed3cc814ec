//! Drawings of a plan: pure functions from a plan to text.
//!
//! Edges that follow from other edges are left out, so that a drawing shows what a step waits for last; the plan itself,
//! as JSON or in the explicit form, has all of them.

mod blocks;
mod dot;
mod graph;
mod layout;
mod mermaid;
mod routes;
mod svg;
#[cfg(test)]
mod tests;

pub(crate) use dot::dot;
pub(crate) use mermaid::mermaid;
pub(crate) use svg::svg;
