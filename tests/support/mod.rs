//! Runs the program from outside.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The program, on a terminal of 80 columns, in a directory, with nothing inherited that would change what it does.
pub(crate) fn resplit(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resplit"));
    let _ = command
        .args(arguments)
        .current_dir(directory)
        .env("COLUMNS", "80")
        // Engines that a test starts do not outlive it for long.
        .env("RESPLIT_ENGINE_IDLE", "2s")
        .env_remove("RESPLIT_SITE")
        .env_remove("RESPLIT_HOST")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

/// What came of it.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ended {
    Ended::from(&resplit(directory, arguments).output().unwrap())
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its data.
    pub(crate) out: String,
    /// All else.
    pub(crate) err: String,
}

impl From<&Output> for Ended {
    fn from(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Ended {
    /// Insists on an exit code.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}
