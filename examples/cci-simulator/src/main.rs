//! Behaves as the Command Control Interface, an array's command line, over pairs of image files: the commands are names
//! of this program, or its first argument. Its own verbs, for whoever trains or tests with it, begin with `array`.
//!
//! What it knows of real arrays is from public manuals, named where it is used; what is only remembered says so.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

mod array;
mod codes;
mod commands;
mod copying;
mod options;
mod training;

/// How a command ends: its exit code, and what it prints.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// With exit code 0 and an output.
    pub(crate) fn said(out: impl Into<String>) -> Self {
        Self { out: out.into(), ..Self::default() }
    }

    /// With a code that says something, and an output.
    pub(crate) fn coded(code: u8, out: impl Into<String>) -> Self {
        Self { code, out: out.into(), err: String::new() }
    }
}

fn main() -> ExitCode {
    let mut arguments = env::args();
    let own = arguments.next().unwrap_or_default();
    let mut arguments: Vec<String> = arguments.collect();
    let name = Path::new(&own).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut name = name.unwrap_or_default();
    if !commands::NAMES.contains(&name.as_str()) {
        if arguments.is_empty() {
            return finish(&Ended { code: 2, err: training::usage(), ..Ended::default() });
        }
        name = arguments.remove(0);
    }
    let Some(directory) = env::var_os("CCI_SIM").map(PathBuf::from) else {
        let err = "the directory of the simulated array is not said: set CCI_SIM\n".to_owned();
        return finish(&Ended { code: 2, err, ..Ended::default() });
    };
    finish(&match name.as_str() {
        "array" => training::run(&directory, &arguments),
        name if commands::NAMES.contains(&name) => commands::run(&directory, name, &arguments),
        _ => Ended { code: 2, err: training::usage(), ..Ended::default() },
    })
}

fn finish(ended: &Ended) -> ExitCode {
    // Whoever does not listen to the end has heard enough.
    let _ = io::stdout().write_all(ended.out.as_bytes());
    let _ = io::stderr().write_all(ended.err.as_bytes());
    ExitCode::from(ended.code)
}
