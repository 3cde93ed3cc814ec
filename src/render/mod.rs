//! How things are shown: tables, lines, progress, and drawings of a plan.
//!
//! Drawings are pure functions from a plan to text. Edges that follow from other edges are left out of them, so that a
//! drawing shows what a step waits for last; the plan itself, as JSON or in the explicit form, has all of them.

pub(crate) mod bars;
mod blocks;
mod columns;
mod dot;
mod graph;
mod layout;
pub(crate) mod leftovers;
mod mermaid;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod repair;
mod routes;
pub(crate) mod run;
pub(crate) mod status;
mod svg;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod units;

pub(crate) use dot::dot;
pub(crate) use mermaid::mermaid;
pub(crate) use svg::svg;
