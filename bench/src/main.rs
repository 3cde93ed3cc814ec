//! Ratios against peers and physical limits, measured in one run on one machine: `cargo run --release -p resplit-bench`,
//! with the names of some benchmarks, or all of them. Files go to `RESPLIT_BENCH_DIR`, or the current directory.

mod engine;
mod hosts;
mod image;
mod media;
mod pairs;
mod store;
mod streams;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

type Benchmark = fn(&Path) -> Result<(), Box<dyn Error>>;

const ALL: [(&str, Benchmark); 11] = [
    ("store", store::run),
    ("engine-chain", engine::chain::run),
    ("engine-memory", engine::chain::memory),
    ("engine-layers", engine::recovery::layers),
    ("engine-unfinished", engine::recovery::unfinished),
    ("engine-program", engine::program::run),
    ("hosts", hosts::run),
    ("pairs", |scratch| Ok(pairs::run(scratch)?)),
    ("streams", |scratch| streams::run(scratch)),
    ("image", |scratch| Ok(image::run(scratch)?)),
    ("media", |scratch| {
        media::run(scratch);
        Ok(())
    }),
];

/// Whether a benchmark is meant: by its name, or by what is before the dash in it.
fn is_meant(asked: &str, name: &str) -> bool {
    name.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Vec<String> = env::args().skip(1).collect();
    // A process of its own: its memory is measured, or it is killed.
    if let [run, plan, place] = asked.as_slice()
        && run == "--run"
    {
        return engine::chain::child(Path::new(plan), Path::new(place));
    }
    if let Some(unknown) = asked.iter().find(|asked| !ALL.iter().any(|(name, _)| is_meant(asked, name))) {
        let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        return Err(format!("'{unknown}' is not measured here; there are: {}", names.join(", ")).into());
    }
    let parent = env::var_os("RESPLIT_BENCH_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(fs::canonicalize(parent)?)?;
    for (name, run) in ALL {
        if asked.is_empty() || asked.iter().any(|asked| is_meant(asked, name)) {
            let place = scratch.path().join(name);
            fs::create_dir(&place)?;
            run(&place)?;
            fs::remove_dir_all(&place)?;
        }
    }
    Ok(())
}
