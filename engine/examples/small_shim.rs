//! A shim, as engines start it: what runs the external commands of this crate's own tests.
#![allow(missing_docs)]

use std::{path::Path, process::ExitCode};

use resplit_steps::drivers::shim::shim_main;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["shim", "--directory", directory] => shim_main(Path::new(directory)),
        _ => ExitCode::from(2),
    }
}
