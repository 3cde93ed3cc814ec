//! What btrfs says of a subvolume.

use std::{os::unix::fs::MetadataExt, path::Path};

use jiff::Timestamp;

use super::program::ask;
use crate::failure::Failure;

/// The inode of every subvolume's root: `BTRFS_FIRST_FREE_OBJECTID` (`include/uapi/linux/btrfs_tree.h`).
const ROOT: u64 = 256;

/// A subvolume, by which it is told from others whatever its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subvolume {
    pub(super) uuid: String,
    /// Of what it is a snapshot.
    pub(super) parent: Option<String>,
    /// What it was received as.
    pub(super) received: Option<String>,
    pub(super) is_read_only: bool,
    pub(super) made: Option<Timestamp>,
}

impl Subvolume {
    /// The subvolume at a path; `None` if nothing is there.
    pub(super) fn at(path: &Path) -> Result<Option<Self>, Failure> {
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let said = ask(&["subvolume", "show"], &[path])?;
        let found = Self::parse(&said).ok_or_else(|| {
            Failure::permanent(format!("btrfs subvolume show {} says no UUID: {said}", path.display()))
        })?;
        Ok(Some(found))
    }

    fn parse(said: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut values = said.lines().filter_map(|line| line.trim().strip_prefix(name));
            values.next().map(str::trim).filter(|value| *value != "-" && !value.is_empty()).map(str::to_owned)
        };
        let made = field("Creation time:")
            .and_then(|text| jiff::Zoned::strptime("%Y-%m-%d %H:%M:%S %z", text).ok())
            .map(|made| made.timestamp());
        Some(Self {
            uuid: field("UUID:")?,
            parent: field("Parent UUID:"),
            received: field("Received UUID:"),
            is_read_only: field("Flags:").is_some_and(|flags| flags.contains("readonly")),
            made,
        })
    }

    /// Whether one is a snapshot of the other.
    pub(super) fn is_related(&self, other: &Self) -> bool {
        self.parent.as_ref() == Some(&other.uuid) || other.parent.as_ref() == Some(&self.uuid)
    }

    /// Whether both hold the same: one was sent as the other, or both as a third, and neither can have changed since.
    pub(super) fn is_copy(&self, other: &Self) -> bool {
        self.is_read_only
            && other.is_read_only
            && (self.received.as_ref() == Some(&other.uuid)
                || other.received.as_ref() == Some(&self.uuid)
                || self.received.is_some() && self.received == other.received)
    }
}

/// Whether a directory is the root of a subvolume, of a file system that is known to be btrfs.
pub(super) fn is_subvolume(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_dir() && found.ino() == ROOT)
}

/// The subvolumes that lie in one, as the file system names them. They are no part of its snapshots.
pub(super) fn nested(path: &Path) -> Result<Vec<String>, Failure> {
    let said = ask(&["subvolume", "list", "-o"], &[path])?;
    Ok(said.lines().filter_map(|line| line.split_once(" path ")).map(|(_, path)| path.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "base
\tName: \t\t\tbase
\tUUID: \t\t\te7b2c68f-5ce7-4b40-90ea-3e769d4616c8
\tParent UUID: \t\t-
\tReceived UUID: \t\tcc9802eb-817c-9b49-9ddf-805b0b215003
\tCreation time: \t\t2026-11-20 15:40:05 +0100
\tSubvolume ID: \t\t256
\tFlags: \t\t\treadonly
\tSnapshot(s):
";

    #[test]
    fn what_is_shown_of_a_subvolume_is_read() {
        let found = Subvolume::parse(SHOWN).unwrap();
        assert_eq!(found.uuid, "e7b2c68f-5ce7-4b40-90ea-3e769d4616c8");
        assert_eq!(found.parent, None);
        assert_eq!(found.received.as_deref(), Some("cc9802eb-817c-9b49-9ddf-805b0b215003"));
        assert!(found.is_read_only);
        assert_eq!(found.made, "2026-11-20T14:40:05Z".parse().ok());
        assert_eq!(Subvolume::parse("ERROR"), None);
    }

    #[test]
    fn copies_are_told_by_what_they_were_received_as() {
        let sent = Subvolume::parse(SHOWN).unwrap();
        let of = |uuid: &str, received: Option<&str>| Subvolume {
            uuid: uuid.to_owned(),
            received: received.map(str::to_owned),
            ..sent.clone()
        };
        assert!(of("a", None).is_copy(&of("b", Some("a"))));
        assert!(of("b", Some("a")).is_copy(&of("a", None)));
        assert!(of("b", Some("a")).is_copy(&of("c", Some("a"))));
        assert!(!of("b", None).is_copy(&of("c", None)));
        assert!(!of("a", None).is_copy(&Subvolume { is_read_only: false, ..of("b", Some("a")) }));
    }
}
