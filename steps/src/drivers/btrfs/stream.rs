//! The stream of btrfs-send(8), passed on and counted on its way. Its form: "Btrfs send stream format",
//! <https://btrfs.readthedocs.io/en/latest/dev/dev-send-stream.html>.

use std::io::{self, Read, Write};

/// What a stream begins with, and a version of four bytes after it.
const MAGIC: &[u8; 13] = b"btrfs-stream\0";
/// Length, command, checksum.
const HEADER: usize = 10;
/// No command is longer: version 1 has at most 64 KiB, version 2 a little more than 128 KiB.
const LONGEST: usize = 1 << 24;

/// Attributes that are read.
const SIZE: u16 = 4;
const PATH: u16 = 15;
const PATH_TO: u16 = 16;
const DATA: u16 = 19;
const CLONE_LENGTH: u16 = 24;

/// What a stream does to the tree that it is applied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Entries that are made.
    pub(super) made: u64,
    /// Entries whose content or attributes are written, times left out.
    pub(super) written: u64,
    /// Names that are removed.
    pub(super) removed: u64,
    /// Bytes of content.
    pub(super) bytes: u64,
}

/// Counts the commands of a stream.
#[derive(Default)]
struct Counter {
    changes: Changes,
    /// The entry that the last commands were about, by its present name: those about one follow each other.
    at: Option<Vec<u8>>,
}

impl Counter {
    /// Counts one command; whether it is the last.
    fn count(&mut self, command: u16, body: &[u8]) -> io::Result<bool> {
        let path = || attribute(body, PATH).map(|path| path.map(<[u8]>::to_vec));
        let number = |kind| {
            let found = attribute(body, kind)?.and_then(|bytes| bytes.try_into().ok());
            Ok::<_, io::Error>(found.map_or(0, u64::from_le_bytes))
        };
        match command {
            // mkfile, mkdir, mknod, mkfifo, mksock, symlink, link
            3..=8 | 10 => {
                self.changes.made += 1;
                self.at = path()?;
            }
            // rename
            9 if self.at == path()? => self.at = attribute(body, PATH_TO)?.map(<[u8]>::to_vec),
            // unlink, rmdir
            11 | 12 => self.changes.removed += 1,
            // set_xattr, remove_xattr, write, clone, truncate, chmod, chown, update_extent
            13..=19 | 22 => {
                let path = path()?;
                if self.at != path {
                    self.changes.written += 1;
                    self.at = path;
                }
                self.changes.bytes += match command {
                    15 => attribute(body, DATA)?.map_or(0, <[u8]>::len) as u64,
                    16 => number(CLONE_LENGTH)?,
                    22 => number(SIZE)?,
                    _ => 0,
                };
            }
            // end
            21 => return Ok(true),
            _ => {}
        }
        Ok(false)
    }
}

/// An attribute of a command: its kind and length in two bytes each, its value.
fn attribute(mut body: &[u8], wanted: u16) -> io::Result<Option<&[u8]>> {
    while let Some((kind, rest)) = body.split_first_chunk() {
        let kind = u16::from_le_bytes(*kind);
        let (length, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or_else(damaged)?;
        if kind == wanted {
            return Ok(Some(value));
        }
        body = rest;
    }
    Ok(None)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what btrfs send wrote is no stream that is known")
}

/// Passes a whole stream on, and says what it does. `told` is called with the bytes so far after every command; its
/// failure ends it. A stream that ends before its end is an error.
pub(super) fn relay<F: From<io::Error>>(
    from: &mut impl Read,
    to: &mut impl Write,
    mut told: impl FnMut(u64) -> Result<(), F>,
) -> Result<Changes, F> {
    let mut buffer = vec![0; MAGIC.len() + 4];
    from.read_exact(&mut buffer)?;
    // Version 3 has other attributes; it is asked for by nobody.
    if !buffer.starts_with(MAGIC) || !matches!(buffer[MAGIC.len()], 1 | 2) {
        return Err(damaged().into());
    }
    to.write_all(&buffer)?;
    let mut counter = Counter::default();
    loop {
        buffer.resize(HEADER, 0);
        from.read_exact(&mut buffer)?;
        let (Some((length, rest)), true) = (buffer.split_first_chunk(), buffer.len() == HEADER) else {
            return Err(damaged().into());
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
        let command = u16::from_le_bytes([rest[0], rest[1]]);
        if length > LONGEST {
            return Err(damaged().into());
        }
        buffer.resize(HEADER + length, 0);
        from.read_exact(&mut buffer[HEADER..])?;
        to.write_all(&buffer)?;
        let is_last = counter.count(command, &buffer[HEADER..])?;
        told(counter.changes.bytes)?;
        if is_last {
            to.flush()?;
            return Ok(counter.changes);
        }
    }
}

#[cfg(test)]
mod tests;
