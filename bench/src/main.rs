//! Ratios against peers and physical limits. Each argument names what is measured; files go to `RESPLIT_BENCH_DIR`, or
//! the current directory.

mod store;

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let parent = env::var_os("RESPLIT_BENCH_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let scratch = tempfile::TempDir::new_in(parent)?;
    for what in env::args().skip(1) {
        match what.as_str() {
            "store" => store::run(scratch.path())?,
            other => return Err(format!("'{other}' is not measured here; there is: store").into()),
        }
    }
    Ok(())
}
