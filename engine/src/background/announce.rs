//! What an engine that was started in the background says to the program that started it: one JSON object on its
//! standard output, which is a pipe until then and the log from then on.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

/// How starting went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "engine", rename_all = "snake_case")]
pub(super) enum Announcement {
    /// It listens.
    Ready,
    /// Another engine has the store; this one exits.
    Held {
        /// The other's process ID, if it is known.
        pid: Option<u32>,
    },
    /// It cannot start, and exits.
    Failed {
        /// Why, for the operator.
        text: String,
    },
}

/// Leaves the session, and so the terminal, of the program that started this one. The first thing that an engine in
/// the background does.
pub fn detach() -> io::Result<()> {
    match rustix::process::setsid() {
        // It leads a session or a group already: nobody's terminal stops it.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The engine listens. From now on standard output is the log, as standard error is.
pub fn announce_ready() -> io::Result<()> {
    announce(&Announcement::Ready);
    Ok(rustix::stdio::dup2_stdout(io::stderr())?)
}

/// Another engine, with this process ID if it is known, holds the lock of the store: this one exits, and who started
/// it asks the other.
pub fn announce_held(pid: Option<u32>) {
    announce(&Announcement::Held { pid });
}

/// The engine cannot start, and exits: the text goes to the user who started it, and into the log.
pub fn announce_failure(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
    announce(&Announcement::Failed { text: text.to_owned() });
}

/// Whoever waits for it may be gone by now: that is no concern of the engine's.
fn announce(announcement: &Announcement) {
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer(&mut out, announcement).map_err(io::Error::from);
    let _ = written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}
