//! Standard output for data, standard error for all else. A reader that has gone away is no error worth a word.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    render::text::lines,
};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What a piece of text means, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It went well.
    Good,
    /// An operator should look.
    Warning,
    /// It went wrong.
    Bad,
    /// What to do.
    Help,
}

/// How things are shown: what depends on the terminal, the machine and the moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Whether standard output may be coloured.
    pub(crate) colour: bool,
    /// Whether standard error may be coloured.
    pub(crate) error_colour: bool,
    /// The columns of a line.
    pub(crate) width: usize,
    /// The zone that times are shown in.
    pub(crate) zone: TimeZone,
    /// Now.
    pub(crate) now: Timestamp,
}

impl View {
    /// The view of this process.
    pub(crate) fn of_process(colour: Colour) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let allowed = |terminal: bool| match colour {
            Colour::Auto => terminal && !no_colour,
            Colour::Always => true,
            Colour::Never => false,
        };
        Self {
            colour: allowed(io::stdout().is_terminal()),
            error_colour: allowed(io::stderr().is_terminal()),
            width: terminal_columns().unwrap_or(80),
            zone: TimeZone::system(),
            now: Timestamp::now(),
        }
    }

    /// Text in its tone, for standard output.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        painted(self.colour, tone, text)
    }

    /// Text in its tone, for standard error.
    pub(crate) fn paint_error(&self, tone: Tone, text: &str) -> String {
        painted(self.error_colour, tone, text)
    }

    /// What stopped a verb, and what to do next, on standard error.
    pub(crate) fn complain(&self, stop: &Stop) {
        if !stop.message.is_empty() {
            note(&format!("{}: {}", self.paint_error(Tone::Bad, "error"), lines(&stop.message)));
        }
        if let Some(help) = &stop.help {
            note(&format!("{}: {}", self.paint_error(Tone::Help, "help"), lines(help)));
        }
    }

    /// Something an operator should know, on standard error.
    pub(crate) fn warn(&self, text: &str) {
        note(&format!("{}: {}", self.paint_error(Tone::Warning, "warning"), lines(text)));
    }
}

/// The columns of the terminal that standard output is, if it is one.
pub(crate) fn terminal_columns() -> Option<usize> {
    io::stdout().is_terminal().then(terminal_width)
}

/// The columns of the terminal, within reason: a table is unreadable in fewer than 60 and needs no more than 120.
fn terminal_width() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col)).clamp(60, 120)
}

fn painted(colour: bool, tone: Tone, text: &str) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Warning => "33",
        Tone::Bad => "1;31",
        Tone::Help => "36",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Writes data to standard output.
pub(crate) fn print(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Stop::silent(Exit::Done),
        _ => Stop::failed(format!("cannot write to standard output: {error}")),
    })
}

/// Writes one value as JSON to standard output, indented.
pub(crate) fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), Stop> {
    print(&json(value, serde_json::to_string_pretty)?)
}

/// Writes one value as JSON to standard output, on one line.
pub(crate) fn print_json_line<T: Serialize + ?Sized>(value: &T) -> Result<(), Stop> {
    print(&json(value, serde_json::to_string)?)
}

fn json<T: ?Sized>(value: &T, write: impl Fn(&T) -> serde_json::Result<String>) -> Result<String, Stop> {
    let text = write(value).map_err(|error| Stop::failed(format!("cannot write JSON: {error}")))?;
    Ok(text + "\n")
}

/// Writes a line to standard error. Whether anybody reads it changes nothing.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks on the terminal; anything but `y` and `yes` is no.
pub(crate) fn ask(question: &str) -> bool {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Whether somebody can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether standard error is a terminal.
pub(crate) fn error_is_terminal() -> bool {
    io::stderr().is_terminal()
}
