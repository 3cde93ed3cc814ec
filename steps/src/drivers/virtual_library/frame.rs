//! What a cartridge consists of: zstd frames. Those of our own are *skippable*, so that the zstd program passes over them.
//!
//! A frame of our own: its magic number, which gives its kind, and the length of the rest, both 32 bits little endian; a
//! body; BLAKE3 of all of this.

use std::{fs::File, io, os::unix::fs::FileExt};

/// The smallest of the sixteen magic numbers of skippable frames.
const SKIPPABLE: u32 = 0x184D_2A50;
/// The magic number of a frame with compressed data.
const COMPRESSED: u32 = 0xFD2F_B528;
/// Magic number and length.
const PREFIX: usize = 8;
/// BLAKE3.
const DIGEST: usize = 32;
/// What a frame of our own takes beside its body, in bytes.
pub(super) const OVERHEAD: u64 = (PREFIX + DIGEST) as u64;
/// The longest body that is read: more is a damaged or hostile length.
const LONGEST_BODY: u64 = 1 << 30;

/// What a frame of our own holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whose cartridge this is.
    Label,
    /// Begins a dataset.
    Header,
    /// Lists the entries of an archive.
    Index,
    /// Lengths and digests of the compressed frames of an archive.
    Table,
    /// The catalog record.
    Record,
    /// Ends a dataset.
    Closing,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Label, Self::Header, Self::Index, Self::Table, Self::Record, Self::Closing];

    fn magic(self) -> u32 {
        SKIPPABLE + self as u32
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Header => "header",
            Self::Index => "index",
            Self::Table => "table",
            Self::Record => "record",
            Self::Closing => "closing frame",
        }
    }
}

/// What is wrong with a part of a cartridge, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) String);

/// A frame of our own, ready to be written. `None` if the body is longer than one frame may be.
pub(super) fn encode(kind: Kind, body: &[u8]) -> Option<Vec<u8>> {
    let rest = u32::try_from(body.len() + DIGEST).ok().filter(|_| body.len() as u64 <= LONGEST_BODY)?;
    let mut frame = Vec::with_capacity(PREFIX + body.len() + DIGEST);
    frame.extend_from_slice(&kind.magic().to_le_bytes());
    frame.extend_from_slice(&rest.to_le_bytes());
    frame.extend_from_slice(body);
    let digest = blake3::hash(&frame);
    frame.extend_from_slice(digest.as_bytes());
    Some(frame)
}

/// The body of a frame of our own that stands at `offset` and ends at or before `end`, and where it ends.
pub(super) fn read(file: &File, offset: u64, end: u64, kind: Kind) -> Result<(Vec<u8>, u64), Damage> {
    let (frame, frame_end) = read_whole(file, offset, end, kind)?;
    Ok((frame[PREFIX..frame.len() - DIGEST].to_vec(), frame_end))
}

/// The same with all its bytes.
pub(super) fn read_whole(file: &File, offset: u64, end: u64, kind: Kind) -> Result<(Vec<u8>, u64), Damage> {
    let damaged =
        |why: &dyn std::fmt::Display| Damage(format!("the {} at byte {offset}: {why}", kind.name()));
    let mut prefix = [0; PREFIX];
    if end < offset.saturating_add(OVERHEAD) {
        return Err(damaged(&"it is cut off"));
    }
    file.read_exact_at(&mut prefix, offset).map_err(|error| damaged(&error))?;
    let (magic, length) = split(prefix);
    if magic != kind.magic() {
        return Err(damaged(&"it is not there"));
    }
    if length < DIGEST as u64 || length > LONGEST_BODY + DIGEST as u64 {
        return Err(damaged(&"its length cannot be right"));
    }
    let frame_end = offset + PREFIX as u64 + length;
    if frame_end > end {
        return Err(damaged(&"it is cut off"));
    }
    let size = usize::try_from(PREFIX as u64 + length).map_err(|error| damaged(&error))?;
    let mut frame = vec![0; size];
    file.read_exact_at(&mut frame, offset).map_err(|error| damaged(&error))?;
    let (covered, digest) = frame.split_at(size - DIGEST);
    if blake3::hash(covered).as_bytes() != digest {
        return Err(damaged(&"its checksum is wrong"));
    }
    Ok((frame, frame_end))
}

/// A frame met while walking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// One of our own; where it ends by its length. Its checksum is not looked at.
    Own(Kind, u64),
    /// Compressed data; where it ends by the headers of its blocks.
    Compressed(u64),
    /// The file ends within it.
    CutOff,
    /// Nothing that belongs here.
    Unknown,
}

/// What stands at `offset` in a file of `end` bytes. Decompresses nothing.
pub(super) fn meet(file: &File, offset: u64, end: u64) -> io::Result<Met> {
    if end.saturating_sub(offset) < PREFIX as u64 {
        return Ok(Met::CutOff);
    }
    let mut prefix = [0; PREFIX];
    file.read_exact_at(&mut prefix, offset)?;
    let (magic, length) = split(prefix);
    if magic == COMPRESSED {
        return compressed_end(file, offset, end);
    }
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.magic() == magic) else {
        return Ok(Met::Unknown);
    };
    let frame_end = offset + PREFIX as u64 + length;
    // The length of a closing frame is known: with another one it is damaged, not cut off.
    let known = kind != Kind::Closing || frame_end - offset == super::closing::CLOSING_BYTES;
    Ok(match frame_end > end {
        _ if !known => Met::Unknown,
        true => Met::CutOff,
        false => Met::Own(kind, frame_end),
    })
}

fn split(prefix: [u8; PREFIX]) -> (u32, u64) {
    // Both at once, as one little-endian number: the first is the lower half.
    let both = u64::from_le_bytes(prefix);
    (u32::try_from(both & u64::from(u32::MAX)).unwrap_or(0), both >> 32)
}

/// Where a compressed frame ends: RFC 8878, sections 3.1.1.1 and 3.1.1.2.
fn compressed_end(file: &File, offset: u64, end: u64) -> io::Result<Met> {
    let mut descriptor = [0];
    file.read_exact_at(&mut descriptor, offset + 4)?;
    let [descriptor] = descriptor;
    let single_segment = descriptor & 0x20 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size = match descriptor >> 6 {
        0 => u64::from(single_segment),
        power => 1 << power,
    };
    let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
    let mut position = offset + 5 + u64::from(!single_segment) + dictionary + content_size;
    loop {
        if position + 3 > end {
            return Ok(Met::CutOff);
        }
        let mut block = [0; 4];
        file.read_exact_at(&mut block[..3], position)?;
        let block = u32::from_le_bytes(block);
        let size = match (block >> 1) & 3 {
            1 => 1,
            3 => return Ok(Met::Unknown),
            _ => u64::from(block >> 3),
        };
        position += 3 + size;
        if block & 1 == 1 {
            break;
        }
    }
    position += checksum;
    Ok(if position > end { Met::CutOff } else { Met::Compressed(position) })
}
