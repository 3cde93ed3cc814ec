//! What the system says of an entry.

use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags, makedev};
use rustix::{fd::AsFd, io, path::Arg, time::ClockId};

/// A moment as file systems stamp it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

impl Moment {
    /// The clock that file systems stamp changes with: it moves in ticks of some milliseconds, and behind the time.
    pub(super) fn of_stamps() -> Self {
        Self::of(ClockId::RealtimeCoarse)
    }

    /// The time. Some file systems stamp with it what was looked at since its last change.
    pub(super) fn now() -> Self {
        Self::of(ClockId::Realtime)
    }

    fn of(clock: ClockId) -> Self {
        let now = rustix::time::clock_gettime(clock);
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
        self.content().checked_next_multiple_of(4096).unwrap_or(u64::MAX).min(self.allocated)
    }

    /// Whether what was read between two looks may be trusted to be of one moment.
    pub(super) fn is_same_moment(&self, later: &Self) -> bool {
        (self.ino, self.size, self.mtime, self.ctime) == (later.ino, later.size, later.mtime, later.ctime)
    }

    /// Whether an entry is as it was, as far as its state tells. Where it lies on disk is not asked: that may change
    /// with a mount, or when it is written back.
    pub(super) fn is_as(&self, before: &Self) -> bool {
        let told = |stat: &Self| (stat.mode, stat.uid, stat.gid, stat.nlink, stat.rdev);
        self.is_same_moment(before) && told(self) == told(before)
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
