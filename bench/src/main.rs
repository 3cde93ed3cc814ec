//! Ratios against peers and physical limits, measured in one run on one machine: `cargo run --release -p resplit-bench`,
//! with the names of some benchmarks, or all of them.

mod pairs;
mod store;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let known: [(&str, fn(&std::path::Path)); 2] = [("store", store::run), ("pairs", pairs::run)];
    let asked: Vec<String> = env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|name| !known.iter().any(|(known, _)| known == name)) {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no benchmark '{unknown}'; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let scratch = match tempfile::Builder::new().prefix("resplit-bench-").tempdir_in(".") {
        Ok(scratch) => scratch,
        Err(error) => {
            eprintln!("cannot make a directory to work in: {error}");
            return ExitCode::FAILURE;
        }
    };
    for (name, run) in known {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            run(scratch.path());
        }
    }
    ExitCode::SUCCESS
}
