//! The commands: what each reads, does and prints.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    thread,
    time::Duration,
};

use crate::{Ended, array::Locked, codes};

mod check;
mod display;
mod instances;
mod scan;
mod verbs;
mod wait;

/// The commands there are.
pub(crate) const NAMES: [&str; 10] = [
    "horcmstart.sh",
    "horcmshutdown.sh",
    "raidqry",
    "raidscan",
    "paircreate",
    "pairsplit",
    "pairresync",
    "pairdisplay",
    "pairvolchk",
    "pairevtwait",
];

/// Why a command did not end normally.
pub(crate) enum Fault {
    /// With the error of this name.
    Code(&'static str),
    /// The simulator itself could not go on.
    Broken(io::Error),
}

impl From<&'static str> for Fault {
    fn from(name: &'static str) -> Self {
        Self::Code(name)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Runs a command.
pub(crate) fn run(directory: &Path, name: &str, arguments: &[String]) -> Ended {
    let ended = injected(directory, name, arguments);
    note(directory, name, arguments, ended.code);
    ended
}

/// Runs a command, unless it meets an error that was injected.
fn injected(directory: &Path, name: &str, arguments: &[String]) -> Ended {
    let met = match Locked::open(directory) {
        Ok(mut locked) => {
            let met = locked.array.meets(name);
            if met.is_some()
                && let Err(error) = locked.save()
            {
                return broken(&error);
            }
            met
        }
        Err(error) => return broken(&error),
    };
    let Some(met) = met else { return command(directory, name, arguments) };
    if met.done {
        let _ = command(directory, name, arguments);
    }
    if met.error == "HANG" {
        hang();
    }
    codes::failed(name, &met.error, &log(directory))
}

fn command(directory: &Path, name: &str, arguments: &[String]) -> Ended {
    let ended = match name {
        "horcmstart.sh" => instances::start(directory, arguments),
        "horcmshutdown.sh" => instances::shutdown(directory, arguments),
        "raidqry" => instances::query(directory, arguments),
        "raidscan" => scan::scan(directory, arguments),
        "paircreate" => verbs::create(directory, arguments),
        "pairsplit" => verbs::split(directory, arguments),
        "pairresync" => verbs::resync(directory, arguments),
        "pairdisplay" => display::display(directory, arguments),
        "pairvolchk" => check::check(directory, arguments),
        _ => wait::wait(directory, arguments),
    };
    match ended {
        Ok(ended) => ended,
        Err(Fault::Code(code)) => codes::failed(name, code, &log(directory)),
        Err(Fault::Broken(error)) => broken(&error),
    }
}

fn broken(error: &io::Error) -> Ended {
    Ended { code: 2, out: String::new(), err: format!("the simulated array cannot be used: {error}\n") }
}

/// Waits for a remote side that does not answer, for as long as anybody waits.
pub(crate) fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn log(directory: &Path) -> String {
    directory.join("horcc.log").display().to_string()
}

/// The command log: what was called, and how it ended.
fn note(directory: &Path, name: &str, arguments: &[String], code: u8) {
    let line = format!("{name} {} [exit({code})]\n", arguments.join(" "));
    let file = File::options().append(true).create(true).open(directory.join("horcc.log"));
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        let _ = fs::write(directory.join("horcc.err"), error.to_string());
    }
}
