//! The command line of resplit.

fn main() {}
