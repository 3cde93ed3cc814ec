//! Ratios against peers and physical limits, measured in one run on one machine: `cargo run --release -p resplit-bench`,
//! with the names of some benchmarks, or all of them. Files go to `RESPLIT_BENCH_DIR`, or the current directory.

mod engine;
mod media;
mod pairs;
mod store;

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

type Benchmark = fn(&Path) -> Result<(), Box<dyn Error>>;

const ALL: [(&str, Benchmark); 4] = [
    ("store", store::run),
    ("engine", engine::run),
    ("pairs", |scratch| Ok(pairs::run(scratch)?)),
    ("media", |scratch| {
        media::run(scratch);
        Ok(())
    }),
];

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Vec<String> = env::args().skip(1).collect();
    // A process of its own, whose memory is measured.
    if let [chain, plan, place] = asked.as_slice()
        && chain == "--chain"
    {
        return engine::child(Path::new(plan), Path::new(place));
    }
    if let Some(unknown) = asked.iter().find(|asked| !ALL.iter().any(|(name, _)| name == asked)) {
        let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        return Err(format!("'{unknown}' is not measured here; there are: {}", names.join(", ")).into());
    }
    let parent = env::var_os("RESPLIT_BENCH_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(parent)?;
    for (name, run) in ALL {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            run(scratch.path())?;
        }
    }
    Ok(())
}
