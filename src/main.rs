//! The command line of resplit.

#[cfg_attr(not(test), allow(dead_code, unused_imports, reason = "the verb 'plan' draws with it"))]
mod render;

fn main() {}
