//! Why the store did not do what was asked, and what to do next.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::damage::Damage;

/// Why the store did not do what was asked. The message names the place, the cause and what to do next.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {error}; {}", path.display(), help(error))]
    Io {
        /// What was being done, as a verb: `open`, `sync`.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        error: Arc<io::Error>,
    },
    /// Another process has the store.
    #[error(
        "{} is in use by {}; ask that engine instead (resplit status), or wait until it has ended",
        directory.display(), holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
    )]
    InUse {
        /// The store's directory.
        directory: PathBuf,
        /// The process that has it, if it said so.
        holder: Option<u32>,
    },
    /// What is stored is damaged. Nothing was changed.
    #[error(
        "{} is damaged{}: {wrong}; {lost}; nothing was changed: `resplit status` shows what can still be read; put back \
         a copy of {}, or give up what is lost with `resplit repair`",
        path.display(), at.map(|at| format!(" at byte {at}")).unwrap_or_default(), directory.display()
    )]
    Damaged {
        /// The file, or the directory from which one is missing.
        path: PathBuf,
        /// At which byte of it, if it is one.
        at: Option<u64>,
        /// What is wrong.
        wrong: String,
        /// What is lost by it.
        lost: String,
        /// The store's directory.
        directory: PathBuf,
    },
    /// The store is only read, since what is stored is damaged or cannot be read. Nothing was changed.
    #[error("{0}; nothing was changed")]
    ReadOnly(Arc<Damage>),
    /// A file of another format than this program knows.
    #[error("{} has format {found}, this program knows {known}; use the version of resplit that wrote it", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that this program reads and writes.
        known: u32,
    },
    /// Rows of a newer version than this program knows.
    #[error(
        "the store was written by a newer resplit: it may hold {kind} rows of version {found}, this one knows {known}; \
         nothing was changed: use the version of resplit that wrote it"
    )]
    Newer {
        /// The kind of row.
        kind: String,
        /// The version that it may have.
        found: u32,
        /// The newest that this program knows; 0 for a kind that it does not know.
        known: u32,
    },
    /// The view could neither be used nor rebuilt. Every acknowledged commit is in the log.
    #[error(
        "the view {} cannot be used: {message}; nothing is lost: {}end the engine and start it again, it is rebuilt \
         from the log", path.display(), if *full { "make room there (df), then " } else { "" }
    )]
    View {
        /// Its directory.
        path: PathBuf,
        /// What it said.
        message: String,
        /// Whether there was no room for it.
        full: bool,
    },
    /// A value that does not fit its type: it cannot be stored, or was stored by another version.
    #[error(
        "the value of {key} in table {table} {message}; if it was stored, use the version of resplit that wrote it"
    )]
    Value {
        /// The table.
        table: String,
        /// The key.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// A key or a batch larger than the store takes.
    #[error("{what} has {size} bytes, the store takes at most {most}; nothing was written: divide it")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most that is taken, in bytes.
        most: usize,
    },
    /// The store was closed.
    #[error("the store was closed; start the engine again")]
    Closed,
}

/// What to do about an error of the operating system.
fn help(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if no_room(error) => "make room there (df), then start again",
        io::ErrorKind::PermissionDenied => "check its owner and mode (ls -ld), then start again",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system for writing, then start again",
        _ => "check the disk (dmesg), then start again",
    }
}

/// Whether the disk is in trouble, rather than full, shut, or this process short of something.
fn is_trouble(error: &io::Error) -> bool {
    let passing = matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::Interrupted
    );
    let short = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    !passing && !no_room(error) && !short.contains(&error.raw_os_error())
}

/// Whether there was no room.
pub(super) fn no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StoreError {
    /// Whether what is stored is damaged, or its disk does not give it back: what can be read may still be shown. Not
    /// what an operator sets right without looking at the disk: rights, room, another version's format.
    pub fn spoils_what_is_stored(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Io { doing: "read" | "open", error, .. } => is_trouble(error),
            _ => false,
        }
    }

    /// For `map_err`: what was being done to what.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error: Arc::new(error) }
    }

    /// Whether there was no room.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Io { error, .. } => no_room(error),
            Self::View { full, .. } => *full,
            _ => false,
        }
    }
}
