//! Ratios against peers, measured in one run: `bench pairs [SCRATCH]`.

mod pairs;

use std::{env, io, path::PathBuf};

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1);
    match arguments.next() {
        Some(what) if what == "pairs" => {
            pairs::run(&arguments.next().map_or_else(env::temp_dir, PathBuf::from))
        }
        _ => Err(io::Error::other("name what to measure: pairs")),
    }
}
