//! The engine's side of a shim's start.

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdout, Command, Stdio},
    thread,
};

use super::{
    Shims,
    files::{Files, Finish},
    process::{Order, READY, TAKEN},
    shown,
};
use crate::{drivers::command::ExternalCommand, failure::Failure};

impl Shims {
    /// Starts a shim, and gives it its order. What it says afterwards, it says before the command is started.
    pub(super) fn launch(
        &self,
        files: &Files,
        command: &ExternalCommand,
    ) -> Result<BufReader<ChildStdout>, Failure> {
        let cannot =
            |reason: &str| Failure::permanent(format!("{} was not started: {reason}", shown(command)));
        files.make()?;
        let mut shim = Command::new(&self.program)
            .args(&self.prefix)
            .arg("shim")
            .arg("--directory")
            .arg(&command.directory)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot(&format!("its shim {}: {error}", self.program.display())))?;
        let (orders, answers) = (shim.stdin.take(), shim.stdout.take());
        // However long it lives, somebody waits for it: it never stays a zombie.
        let _ = thread::Builder::new()
            .name("shim".into())
            .spawn(move || shim.wait())
            .map_err(|error| cannot(&error.to_string()))?;
        let (Some(mut orders), Some(answers)) = (orders, answers) else {
            return Err(cannot("its shim has no pipes"));
        };
        let mut answers = BufReader::new(answers);
        let mut answer = String::new();
        let _ = answers.read_line(&mut answer).map_err(|error| cannot(&format!("its shim: {error}")))?;
        match answer.trim_end() {
            READY => {}
            // Somebody else's shim was first: it is waited for.
            TAKEN => return Ok(answers),
            "" => return Err(cannot("its shim ended at once")),
            reason => return Err(cannot(reason)),
        }
        let order = Order { command: command.clone(), grace: self.grace };
        let order = serde_json::to_vec(&order).map_err(|error| cannot(&error.to_string()))?;
        // A shim that is gone by now has said why, or has left nothing: what it left is looked at next.
        let _ = orders.write_all(&order);
        Ok(answers)
    }
}

/// Why a shim ended without having started its command.
pub(super) fn not_started(
    files: &Files,
    command: &ExternalCommand,
    mut said: BufReader<ChildStdout>,
) -> Failure {
    match files.finish() {
        Ok(Some(Finish::NotStarted { reason })) => {
            return Failure::permanent(reason).with_help("correct the command's `argv`, then run again");
        }
        Ok(_) => {}
        Err(failure) => return failure,
    }
    let mut reason = String::new();
    let _ = said.read_line(&mut reason);
    let reason = if reason.is_empty() { "its shim was killed" } else { reason.trim_end() };
    Failure::temporary(format!("{} was not started: {reason}", shown(command)))
}
