//! Plays the command line's hidden verbs, and an engine to be killed, for the tests from outside.

#[path = "../common/loopback.rs"]
mod loopback;
mod pairs;

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use resplit_operations::{action::Quiesce, operation::QuiesceMode, pair::Tag, units::Period};
use resplit_steps::{
    context::Work,
    drivers::{
        command::{CommandRunner, ExternalCommand},
        quiesce::WindowKeeper,
        shim::{Shims, shim_main},
        window::{Windows, try_write_main, watchdog_main},
    },
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["watchdog", "--filesystem", path, "--budget-ms", budget] => match budget.parse() {
            Ok(budget) => watchdog_main(Path::new(path), Duration::from_millis(budget)),
            Err(_) => usage(),
        },
        ["hold-window", path, budget] => match budget.parse() {
            Ok(budget) => hold_window(Path::new(path), Period(budget)),
            Err(_) => usage(),
        },
        ["try-write", "--filesystem", path] => try_write_main(Path::new(path)),
        ["shim", "--directory", directory] => shim_main(Path::new(directory)),
        ["pair", kind, pair, verb, tag, kill_at, at] => match (serde_json::from_str(pair), kill_at.parse()) {
            (Ok(pair), Ok(kill_at)) => pairs::run(kind, &pair, verb, tag, kill_at, Path::new(at)),
            _ => usage(),
        },
        ["run-command", directory, argv @ ..] => run_command(Path::new(directory), argv),
        _ => usage(),
    }
}

/// An engine that runs a command, waits for it, and says how it ended.
fn run_command(directory: &Path, argv: &[&str]) -> ExitCode {
    let command = ExternalCommand {
        tag: Tag("run/step".into()),
        directory: directory.to_owned(),
        argv: argv.iter().map(ToString::to_string).collect(),
        environment: BTreeMap::new(),
        timeout: None,
    };
    match Shims::new(PathBuf::from("/proc/self/exe"), Vec::new()).run(&command, &Work::silent()) {
        Ok(ended) => println!("ended {}", ended.code),
        Err(failure) => println!("{failure}"),
    }
    ExitCode::SUCCESS
}

/// An engine that opens a window, says so, and does nothing until its input ends.
fn hold_window(path: &Path, window: Period) -> ExitCode {
    let windows = Windows::new(PathBuf::from("/proc/self/exe"), Vec::new());
    let quiesce = Quiesce { filesystem: path.to_owned(), mode: QuiesceMode::Freeze, window };
    match windows.open(&"killed".into(), &quiesce) {
        Ok(()) => println!("open"),
        Err(failure) => println!("{failure}"),
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("steps-test-helper: for the tests of resplit-steps only");
    ExitCode::from(2)
}
