//! What the engine and the watchdog say to each other: a line each.

use std::{fmt, str::FromStr};

/// What the engine says: hold it still.
pub(super) const FREEZE: &str = "freeze";
/// What the engine says: let it go.
pub(super) const THAW: &str = "thaw";

/// What the watchdog says. Lengths are in milliseconds, from before the freeze was begun until the thaw had ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is there, and nothing is frozen.
    Ready,
    /// It is frozen.
    Frozen,
    /// It was frozen already, by somebody else, who still holds it.
    Busy,
    /// Freezing failed; nothing is frozen.
    Failed(String),
    /// Thawed as asked.
    Thawed(u64),
    /// Thawed since the budget had ended.
    Overrun(u64),
    /// Thawed since the watchdog, or the engine, was ended.
    Stopped(u64),
    /// When it was to be thawed, it was no longer frozen: somebody else had thawed it.
    Released(u64),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Frozen => f.write_str("frozen"),
            Self::Busy => f.write_str("busy"),
            Self::Failed(reason) => write!(f, "failed {}", reason.replace('\n', " ")),
            Self::Thawed(length) => write!(f, "thawed {length}"),
            Self::Overrun(length) => write!(f, "overrun {length}"),
            Self::Stopped(length) => write!(f, "stopped {length}"),
            Self::Released(length) => write!(f, "released {length}"),
        }
    }
}

impl FromStr for Said {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let length = || rest.parse::<u64>().map_err(drop);
        Ok(match word {
            "ready" => Self::Ready,
            "frozen" => Self::Frozen,
            "busy" => Self::Busy,
            "failed" => Self::Failed(rest.to_owned()),
            "thawed" => Self::Thawed(length()?),
            "overrun" => Self::Overrun(length()?),
            "stopped" => Self::Stopped(length()?),
            "released" => Self::Released(length()?),
            _ => return Err(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        for said in [
            Said::Ready,
            Said::Frozen,
            Said::Busy,
            Said::Failed("no right".into()),
            Said::Thawed(12),
            Said::Overrun(0),
            Said::Stopped(u64::MAX),
            Said::Released(3),
        ] {
            assert_eq!(said.to_string().parse(), Ok(said));
        }
        for line in ["", "thawed", "thawed x", "hello"] {
            assert_eq!(line.parse::<Said>(), Err(()), "{line}");
        }
    }
}
