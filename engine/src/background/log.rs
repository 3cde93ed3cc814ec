//! The log of an engine in the background: `engine.log` in its state directory, and the one before it, `engine.log.1`.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// From which size on it is put aside when an engine is started, in bytes.
const FULL: u64 = 1 << 20;

/// The most that is shown of it when an engine ends without a word, in bytes.
const SHOWN: u64 = 4096;

/// Where it is.
pub(super) fn path(state: &Path) -> PathBuf {
    state.join("engine.log")
}

/// Opens it to append to, having put a full one aside. Returns how long it is.
pub(super) fn open(state: &Path) -> io::Result<(File, u64)> {
    let path = path(state);
    let (log, length) = append(&path)?;
    if length <= FULL {
        return Ok((log, length));
    }
    std::fs::rename(&path, state.join("engine.log.1"))?;
    append(&path)
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let log = File::options().append(true).create(true).mode(0o600).custom_flags(no_link).open(path)?;
    let length = log.metadata()?.len();
    Ok((log, length))
}

/// The end of what was written into it since it was `from` bytes long.
pub(super) fn since(state: &Path, from: u64) -> io::Result<String> {
    let mut log = File::open(path(state))?;
    let length = log.metadata()?.len();
    let _ = log.seek(SeekFrom::Start(from.max(length.saturating_sub(SHOWN)).min(length)))?;
    let mut bytes = Vec::new();
    let _ = log.take(SHOWN).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
