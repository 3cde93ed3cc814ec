//! The content of files: cloned where the file system can, else copied with its holes; and compared.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fd::BorrowedFd,
    fs::SeekFrom,
    io::{self, Errno},
};

use crate::failure::Failure;

/// What is copied between two safe points.
const PIECE: u64 = 32 << 20;
/// Files up to this size are read and written: asking the system to copy costs more.
const SMALL: u64 = 64 << 10;
/// The buffer for reading and writing.
const BUFFER: usize = 256 << 10;

/// Why content was not copied.
pub(super) enum Stopped {
    /// The system refused.
    Refused(Errno),
    /// The work was asked to stop.
    Asked(Failure),
}

impl From<Errno> for Stopped {
    fn from(error: Errno) -> Self {
        Self::Refused(error)
    }
}

/// Copies content in the ways that the two file systems have been found to allow.
pub(super) struct Copier {
    clones: AtomicBool,
    system_copies: AtomicBool,
}

/// Told of bytes as they are done: a safe point.
pub(super) type Told<'a> = &'a dyn Fn(u64) -> Result<(), Failure>;

impl Copier {
    pub(super) fn new() -> Self {
        Self { clones: true.into(), system_copies: true.into() }
    }

    /// Copies `size` bytes of a file of which `allocated` bytes are on disk into an empty one. A file that has become
    /// shorter is copied as far as it goes.
    pub(super) fn copy(
        &self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        (size, allocated): (u64, u64),
        told: Told<'_>,
    ) -> Result<(), Stopped> {
        if size == 0 {
            return Ok(());
        }
        if self.clone(from, to)? {
            return told(size).map_err(Stopped::Asked);
        }
        if allocated >= size {
            let _ = self.copy_range(from, to, 0..size, told)?;
            return Ok(());
        }
        let mut at = 0;
        while let Some(data) = next_data(from, at..size)? {
            if self.copy_range(from, to, data.clone(), told)? < data.end {
                break;
            }
            at = data.end;
        }
        // The hole at the end.
        rustix::fs::ftruncate(to, size)?;
        Ok(())
    }

    /// Shares the content of two files, if that can be done.
    pub(super) fn clone(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<bool> {
        if !self.clones.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match rustix::fs::ioctl_ficlone(to, from) {
            Ok(()) => Ok(true),
            // This file cannot; others may.
            Err(Errno::INVAL | Errno::PERM | Errno::TXTBSY) => Ok(false),
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS) => {
                self.clones.store(false, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Copies a range, and says how far it came.
    fn copy_range(
        &self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        range: Range<u64>,
        told: Told<'_>,
    ) -> Result<u64, Stopped> {
        let mut at = range.start;
        let mut buffer = Vec::new();
        while at < range.end {
            let length = usize::try_from((range.end - at).min(PIECE)).unwrap_or(BUFFER);
            let copied = if range.end - range.start > SMALL && self.system_copies.load(Ordering::Relaxed) {
                let (mut source, mut target) = (at, at);
                match rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), length) {
                    Ok(copied) => copied,
                    Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                        self.system_copies.store(false, Ordering::Relaxed);
                        continue;
                    }
                    Err(Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                }
            } else {
                buffer.resize(BUFFER.min(length), 0);
                let read = read_at(from, &mut buffer, at)?;
                write_at(to, &buffer[..read], at)?;
                read
            };
            if copied == 0 {
                break;
            }
            at += count(copied);
            told(count(copied)).map_err(Stopped::Asked)?;
        }
        Ok(at)
    }
}

/// The next part of a range of a file that is no hole.
pub(super) fn next_data(from: BorrowedFd<'_>, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
    if range.is_empty() {
        return Ok(None);
    }
    let data = match rustix::fs::seek(from, SeekFrom::Data(range.start)) {
        Ok(data) => data,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => range.start,
        Err(error) => return Err(error),
    };
    let hole = match rustix::fs::seek(from, SeekFrom::Hole(data)) {
        Ok(hole) => hole.min(range.end),
        Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => range.end,
        Err(error) => return Err(error),
    };
    Ok((data < range.end).then_some(data..hole))
}

/// The digest of a file's content.
pub(super) fn digest(file: BorrowedFd<'_>, told: Told<'_>) -> Result<blake3::Hash, Stopped> {
    let (mut hasher, mut buffer, mut at) = (blake3::Hasher::new(), vec![0; BUFFER], 0);
    loop {
        let read = read_at(file, &mut buffer, at)?;
        if read == 0 {
            return Ok(hasher.finalize());
        }
        let _ = hasher.update(&buffer[..read]);
        at += count(read);
        told(0).map_err(Stopped::Asked)?;
    }
}

/// Whether two files have the same content, of a size that was found equal.
pub(super) fn is_equal(a: BorrowedFd<'_>, b: BorrowedFd<'_>, told: Told<'_>) -> Result<bool, Stopped> {
    let mut buffers = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut at = 0;
    loop {
        let read = (fill(a, &mut buffers.0, at)?, fill(b, &mut buffers.1, at)?);
        if buffers.0[..read.0] != buffers.1[..read.1] {
            return Ok(false);
        }
        if read.0 == 0 {
            return Ok(true);
        }
        at += count(read.0);
        told(0).map_err(Stopped::Asked)?;
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

pub(super) fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, at))
}

/// Reads until the buffer is full or the file ends.
fn fill(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_at(file, &mut buffer[filled..], at + count(filled))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

pub(super) fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = io::retry_on_intr(|| rustix::io::pwrite(file, bytes, at))?;
        if written == 0 {
            return Err(Errno::IO);
        }
        bytes = &bytes[written..];
        at += count(written);
    }
    Ok(())
}
