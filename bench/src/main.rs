//! Ratios against peers and physical limits, measured in one run: `resplit-bench [SCRATCH DIRECTORY] WHAT...`.

mod media;

use std::path::PathBuf;

fn main() {
    let mut scratch = std::env::temp_dir().join(format!("resplit-bench-{}", std::process::id()));
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "media" => media::run(&scratch),
            directory => scratch = PathBuf::from(directory),
        }
    }
}
