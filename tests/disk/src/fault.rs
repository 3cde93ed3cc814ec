//! Calls, how they are counted, and how they are made to fail.

/// What a program asks of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// To find a name, read attributes, list a directory.
    Look,
    /// To open a file that is there.
    Open,
    /// To create a file, or anything with a name but a directory.
    Create,
    /// To read.
    Read,
    /// To write.
    Write,
    /// fsync or fdatasync of a file.
    Sync,
    /// fsync of a directory.
    SyncDirectory,
    /// To rename.
    Rename,
    /// To remove a name, also that of a directory.
    Unlink,
    /// To set the size.
    Truncate,
    /// To reserve room.
    Fallocate,
    /// To create a directory.
    Directory,
    /// To set mode, owner or times.
    Attributes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Look,
        Self::Open,
        Self::Create,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::SyncDirectory,
        Self::Rename,
        Self::Unlink,
        Self::Truncate,
        Self::Fallocate,
        Self::Directory,
        Self::Attributes,
    ];
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Error {
    /// EIO: the disk does not do it.
    Io,
    /// ENOSPC: no room.
    NoSpace,
    /// EROFS: the file system became read-only.
    ReadOnly,
}

impl Error {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Io, Self::NoSpace, Self::ReadOnly];

    /// Whether a call of this kind can fail so. To open for writing counts as a change.
    #[must_use]
    pub fn suits(self, kind: Kind, changes: bool) -> bool {
        match self {
            Self::Io => true,
            Self::ReadOnly => changes,
            Self::NoSpace => {
                use Kind::{Create, Directory, Fallocate, Rename, Sync, SyncDirectory, Write};
                matches!(kind, Create | Directory | Fallocate | Rename | Sync | SyncDirectory | Write)
            }
        }
    }

    pub(crate) fn number(self) -> fuser::Errno {
        match self {
            Self::Io => fuser::Errno::EIO,
            Self::NoSpace => fuser::Errno::ENOSPC,
            Self::ReadOnly => fuser::Errno::EROFS,
        }
    }
}

/// A call that is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of which kind; any if it is not given.
    pub kind: Option<Kind>,
    /// The how-manieth from now, from 1, of those that can fail so.
    pub nth: u64,
    /// How.
    pub error: Error,
    /// Whether all that follow fail too.
    pub lasting: bool,
}

/// A fault that waits for its call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    fault: Fault,
    left: u64,
}

impl Waiting {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, left: fault.nth.max(1) }
    }

    /// Whether this call fails.
    pub(crate) fn meets(&mut self, kind: Kind, changes: bool) -> bool {
        let meant = self.fault.kind.is_none_or(|wanted| wanted == kind);
        if !meant || !self.fault.error.suits(kind, changes) {
            return false;
        }
        if self.left > 1 {
            self.left -= 1;
            return false;
        }
        let hit = self.left == 1 || self.fault.lasting;
        if !self.fault.lasting {
            self.left = 0;
        }
        hit
    }

    pub(crate) fn error(&self) -> Error {
        self.fault.error
    }
}

/// How many calls there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    by_kind: [u64; Kind::ALL.len()],
    by_error: [u64; Error::ALL.len()],
}

impl Calls {
    /// Of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> u64 {
        self.by_kind[kind as usize]
    }

    /// Of all kinds.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.by_kind.iter().sum()
    }

    /// Those that can fail so: what [`Fault::nth`] counts where no kind is given.
    #[must_use]
    pub fn suiting(&self, error: Error) -> u64 {
        self.by_error[error as usize]
    }

    pub(crate) fn count(&mut self, kind: Kind, changes: bool) {
        self.by_kind[kind as usize] += 1;
        for error in Error::ALL {
            self.by_error[error as usize] += u64::from(error.suits(kind, changes));
        }
    }
}
