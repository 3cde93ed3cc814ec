//! The compiler, seen from outside: plans, their explicit form, and what does not compile.

#[cfg(test)]
mod aborts;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod pairs;
mod plan;
#[cfg(test)]
mod sites;
#[cfg(test)]
mod strings;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod waits;
#[cfg(test)]
mod yaml;
