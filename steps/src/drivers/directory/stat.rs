//! What the system says of an entry, and the form of it that the index compares.

use std::mem::size_of;

use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, makedev};
use rustix::{fd::AsFd, io, path::Arg};

/// A moment as file systems stamp it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

impl Moment {
    /// The clock that file systems stamp changes with: it moves in ticks of some milliseconds.
    pub(super) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Self { seconds: now.tv_sec, nanoseconds: u32::try_from(now.tv_nsec).unwrap_or_default() }
    }
}

/// What the system says of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u32,
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) mtime: Moment,
    pub(super) ctime: Moment,
    pub(super) rdev: u64,
    /// Not compared: it may differ after the next mount.
    pub(super) dev: u64,
    /// Bytes on disk. Not compared: writing back may change it.
    pub(super) allocated: u64,
    /// Whether something is mounted here.
    pub(super) mounted: bool,
}

/// The bytes by which two states of an entry are compared.
pub(super) const COMPARED: usize = 5 * size_of::<u64>() + 6 * size_of::<u32>();

impl Stat {
    /// Of an entry of a directory; a symbolic link is not followed.
    pub(super) fn at<P: Arg>(directory: impl AsFd, name: P) -> io::Result<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS).map(|found| Self::from(&found))
    }

    /// Of what is open.
    pub(super) fn of(file: impl AsFd) -> io::Result<Self> {
        let found = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        Ok(Self::from(&found))
    }

    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    /// Whether it is a file known by several names.
    pub(super) fn is_linked(&self) -> bool {
        self.is_file() && self.nlink > 1
    }

    /// Bytes of content.
    pub(super) fn content(&self) -> u64 {
        if self.is_file() { self.size } else { 0 }
    }

    /// Bytes on disk that a copy needs, holes left out.
    pub(super) fn needed(&self) -> u64 {
        self.content().next_multiple_of(4096).min(self.allocated)
    }

    /// Whether what was read between two looks may be trusted to be of one moment.
    pub(super) fn is_same_moment(&self, later: &Self) -> bool {
        (self.ino, self.size, self.mtime, self.ctime) == (later.ino, later.size, later.mtime, later.ctime)
    }

    /// What is compared, as bytes.
    pub(super) fn encode(&self) -> [u8; COMPARED] {
        let mut bytes = [0; COMPARED];
        let mut rest = &mut bytes[..];
        let mut put = |value: &[u8]| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(value.len());
            head.copy_from_slice(value);
            rest = tail;
        };
        for word in
            [self.mode, self.uid, self.gid, self.nlink, self.mtime.nanoseconds, self.ctime.nanoseconds]
        {
            put(&word.to_le_bytes());
        }
        for word in [self.ino, self.size, self.rdev] {
            put(&word.to_le_bytes());
        }
        for word in [self.mtime.seconds, self.ctime.seconds] {
            put(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Stat::encode`] wrote.
    pub(super) fn decode(bytes: &[u8; COMPARED]) -> Self {
        let short = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at * 4..at * 4 + 4]);
            u32::from_le_bytes(word)
        };
        let long = |at: usize| u64::from(short(at)) | u64::from(short(at + 1)) << 32;
        Self {
            mode: short(0),
            uid: short(1),
            gid: short(2),
            nlink: short(3),
            mtime: Moment { seconds: long(12).cast_signed(), nanoseconds: short(4) },
            ctime: Moment { seconds: long(14).cast_signed(), nanoseconds: short(5) },
            ino: long(6),
            size: long(8),
            rdev: long(10),
            ..Self::default()
        }
    }
}

impl From<&Statx> for Stat {
    fn from(found: &Statx) -> Self {
        Self {
            mode: u32::from(found.stx_mode),
            uid: found.stx_uid,
            gid: found.stx_gid,
            nlink: found.stx_nlink,
            ino: found.stx_ino,
            size: found.stx_size,
            mtime: Moment { seconds: found.stx_mtime.tv_sec, nanoseconds: found.stx_mtime.tv_nsec },
            ctime: Moment { seconds: found.stx_ctime.tv_sec, nanoseconds: found.stx_ctime.tv_nsec },
            rdev: makedev(found.stx_rdev_major, found.stx_rdev_minor),
            dev: makedev(found.stx_dev_major, found.stx_dev_minor),
            allocated: found.stx_blocks.saturating_mul(512),
            mounted: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_survives_its_bytes() {
        let stat = Stat {
            mode: 0o100_644,
            uid: 1,
            gid: 2,
            nlink: 3,
            ino: u64::MAX - 1,
            size: 1 << 40,
            mtime: Moment { seconds: -1, nanoseconds: 999_999_999 },
            ctime: Moment { seconds: 1 << 34, nanoseconds: 1 },
            rdev: 0x0102_0304_0506,
            ..Stat::default()
        };
        assert_eq!(Stat::decode(&stat.encode()), stat);
    }
}
