//! What is known of damage: told to an operator, who decides whether what is lost is given up.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a store is only read, and what of it is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The file, or the directory from which one is missing.
    pub path: PathBuf,
    /// At which byte of it, if it is one.
    pub at: Option<u64>,
    /// What is wrong with it.
    pub wrong: String,
    /// Whether the disk did not give something back: then nothing may be lost at all, and nothing can be given up.
    pub unreadable: bool,
    /// The number of the last commit that can be trusted; 0 if there is none.
    pub trusted: u64,
    /// The largest number of a commit that is known to have been there.
    pub known: u64,
    /// When the log was last written, by its files.
    pub written: Option<Timestamp>,
}

impl Damage {
    /// Which commits are lost, in words.
    pub fn lost(&self) -> String {
        let (from, to) = (self.trusted + 1, self.known);
        let count = match (self.unreadable, to.cmp(&from)) {
            (true, _) => format!("commits up to {} can be read", self.trusted),
            (false, std::cmp::Ordering::Less) => {
                format!("no commit up to {}, the last that is known of, is lost", self.trusted)
            }
            (false, std::cmp::Ordering::Equal) => format!("commit {from} is lost, and maybe later ones"),
            (false, std::cmp::Ordering::Greater) => {
                format!("commits {from} to {to} are lost, and maybe later ones")
            }
        };
        match self.written {
            Some(written) => format!("{count}; the log was last written at {written:.0}"),
            None => count,
        }
    }

    /// What an operator does next.
    pub fn help(&self) -> &'static str {
        if self.unreadable {
            "look at the disk first (dmesg, smartctl), or copy the state directory to a good one; `resplit repair` then \
             looks again, and changes nothing while the disk cannot be read"
        } else {
            "`resplit repair` names what would be given up, and asks before it sets the damaged files aside; or put a \
             copy of the state directory back"
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = if self.unreadable { "cannot be read" } else { "is damaged" };
        write!(f, "the state is only read: {} {is}", self.path.display())?;
        if let Some(at) = self.at {
            write!(f, " at byte {at}")?;
        }
        write!(f, ": {}; {}", self.wrong, self.lost())
    }
}
