//! Starts one engine process and hears how that went.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::{Start, announce::Announcement, error::StartError, log};
use resplit_steps::failure::Failure;

/// The longest announcement that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Starts an engine, and returns what it announces. Whatever becomes of the caller, the engine goes on.
pub(super) async fn launch(start: &Start) -> Result<Announcement, StartError> {
    let path = log::path(&start.state);
    let (file, length) =
        log::open(&start.state).map_err(|e| StartError::Directory(Failure::io("open the log", &path, &e)))?;
    let spawn_error = |error| StartError::Spawn { program: start.program.clone(), error };
    let mut child = Command::new(&start.program)
        .args(&start.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .current_dir("/")
        .spawn()
        .map_err(spawn_error)?;
    let announced = match child.stdout.take() {
        Some(out) => hear(out).await?,
        None => None,
    };
    match announced {
        Some(announcement) => Ok(announcement),
        None => Err(died(start, &mut child, length).await),
    }
}

/// What it announces; `None` if it says nothing, or something else.
async fn hear(out: ChildStdout) -> Result<Option<Announcement>, StartError> {
    let mut line = Vec::new();
    let _ = BufReader::new(out.take(LONGEST)).read_until(b'\n', &mut line).await?;
    Ok(serde_json::from_slice(&line).ok())
}

async fn died(start: &Start, child: &mut Child, length: u64) -> StartError {
    match child.wait().await {
        Ok(status) => {
            let said = match log::since(&start.state, length) {
                Ok(text) if !text.is_empty() => format!(": {text}"),
                _ => String::new(),
            };
            StartError::Died { status, said }
        }
        Err(error) => StartError::Io(error),
    }
}
