//! Which engine a program talks to, and which it replaces.

use std::cmp::Ordering;

use crate::protocol::{self, EngineInfo};

/// What is done about the engine that runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is asked.
    Use,
    /// It is replaced if it is idle.
    Replace,
    /// It is newer, and speaks otherwise.
    Refuse(String),
}

/// What a program of this build does about an engine.
pub(super) fn choose(build: &str, engine: &EngineInfo) -> Choice {
    match protocol::VERSION.cmp(&engine.protocol) {
        Ordering::Greater => Choice::Replace,
        Ordering::Less => Choice::Refuse(other(engine)),
        Ordering::Equal if is_newer(build, &engine.build) => Choice::Replace,
        Ordering::Equal => Choice::Use,
    }
}

/// Whether an older engine that is busy can be asked all the same, or why not.
pub(super) fn keep(engine: &EngineInfo) -> Result<(), String> {
    if engine.protocol == protocol::VERSION { Ok(()) } else { Err(other(engine)) }
}

fn other(engine: &EngineInfo) -> String {
    let age = if engine.protocol < protocol::VERSION { "an older" } else { "a newer" };
    format!(
        "{age} engine ({}, process {}, protocol {} and not {}) runs for host '{}'",
        engine.build,
        engine.pid,
        engine.protocol,
        protocol::VERSION,
        engine.host
    )
}

/// A higher version, or a later build of the same: the numbers in it tell, the first that differ.
fn is_newer(ours: &str, theirs: &str) -> bool {
    numbers(ours).gt(numbers(theirs))
}

fn numbers(build: &str) -> impl Iterator<Item = u64> {
    let digits = build.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    digits.map(|digits| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn engine(protocol: u32, build: &str) -> EngineInfo {
        EngineInfo {
            protocol,
            build: build.to_owned(),
            host: "here".into(),
            pid: 1,
            started: Timestamp::UNIX_EPOCH,
            busy: false,
            hold: false,
            held: Vec::new(),
            store: None,
            read_only: None,
        }
    }

    #[test]
    fn a_newer_program_replaces_and_an_older_one_uses() {
        let same = |ours, theirs| choose(ours, &engine(protocol::VERSION, theirs));
        assert_eq!(same("0.2.0", "0.2.0"), Choice::Use);
        assert_eq!(same("0.10.0", "0.9.9"), Choice::Replace);
        assert_eq!(same("0.9.9", "0.10.0"), Choice::Use);
        assert_eq!(same("0.2.0+1700000001.5", "0.2.0+1700000000.9"), Choice::Replace);
        assert_eq!(same("0.2.0+1700000000.9", "0.2.0+1700000001.5"), Choice::Use);
        assert_eq!(same("0.2.0+1700000001.5", "0.2.1+1600000000.9"), Choice::Use);
        assert_eq!(same("0.2.0 of here", "0.2.0 of there"), Choice::Use);
    }

    #[test]
    fn another_protocol_is_replaced_if_older_and_refused_if_newer() {
        assert_eq!(choose("9.0.0", &engine(protocol::VERSION - 1, "9.9.9")), Choice::Replace);
        assert!(matches!(choose("9.0.0", &engine(protocol::VERSION + 1, "0.1.0")), Choice::Refuse(_)));
        assert!(keep(&engine(protocol::VERSION, "0.1.0")).is_ok());
        assert!(keep(&engine(protocol::VERSION - 1, "0.1.0")).is_err());
    }
}
