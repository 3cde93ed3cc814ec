//! The first line that `resplit agent` writes: what relays there, or why it does not. What a shell there prints before it
//! is passed over.

use std::io::{self, Write};

use resplit_operations::ids::HostId;
use resplit_steps::failure::Failure;
use serde::{Deserialize, Serialize};

/// What the line begins with.
const MARK: &str = "resplit-agent ";

/// What an agent says before it relays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version of the protocol that the engine there speaks.
    pub protocol: u32,
    /// The version and build of the program there.
    pub build: String,
    /// What follows.
    pub agent: Agent,
}

/// What follows a greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agent {
    /// The engine of this host answers from here on.
    Relays(HostId),
    /// No engine listens, and none was to be started.
    NotRunning,
    /// It cannot; nothing was done.
    Refuses(Failure),
}

impl Greeting {
    /// Writes it as a line.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        writeln!(out, "{MARK}{text}")?;
        out.flush()
    }

    /// The greeting in a line, if it is one.
    pub(super) fn read(line: &str) -> Option<Result<Self, serde_json::Error>> {
        Some(serde_json::from_str(line.trim_end().strip_prefix(MARK)?))
    }
}
