//! One entry on its way: what it is, its state, its extended attributes, and where a symbolic link leads.

use std::{collections::BTreeMap, ffi::CString};

use super::super::{
    attributes::{Extended, is_kept},
    index::{Evidence, Item as Packed, Reader},
    links::Slot,
    packed::{self, number, read_number},
    stat::Stat,
};
use crate::drivers::stream::{Stop, damaged};

/// The longest target of a symbolic link, and the longest value of an extended attribute, as the system has them.
const LONGEST_TARGET: usize = 4096;
const LONGEST_VALUE: usize = 64 << 10;

/// What comes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A file, whose content follows.
    File = 1,
    /// A file whose content is there already.
    Same = 2,
    /// A symbolic link.
    Link = 3,
    /// A device, socket or named pipe.
    Special = 4,
    /// A directory whose entries are in their places.
    Directory = 5,
    /// It is no longer there.
    Vanished = 6,
}

/// One entry.
pub(super) struct Item {
    pub(super) what: What,
    pub(super) place: Slot,
    pub(super) stat: Stat,
    pub(super) extended: Extended,
    pub(super) target: Vec<u8>,
}

impl Item {
    /// One that has only its place.
    pub(super) fn vanished(place: Slot) -> Self {
        let (stat, extended, target) = (Stat::default(), BTreeMap::new(), Vec::new());
        Self { what: What::Vanished, place, stat, extended, target }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.what as u8];
        long(&mut out, self.place.0);
        long(&mut out, self.place.1);
        put_stat(&mut out, &self.stat);
        long(&mut out, self.extended.len());
        for (name, value) in &self.extended {
            text(&mut out, name.as_bytes());
            text(&mut out, value);
        }
        text(&mut out, &self.target);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Stop> {
        let mut reader = Reader::new(bytes);
        let item = Self::read(&mut reader).ok_or_else(|| damaged("an entry that cannot be read"))?;
        if reader.byte().is_some() {
            return Err(damaged("an entry with more than it has"));
        }
        Ok(item)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let kinds = [What::File, What::Same, What::Link, What::Special, What::Directory, What::Vanished];
        let byte = reader.byte()?;
        let what = kinds.into_iter().find(|what| *what as u8 == byte)?;
        let place = (read_long(reader)?, read_long(reader)?);
        let stat = get_stat(reader)?;
        let mut extended = Extended::new();
        for _ in 0..read_long(reader)? {
            let (name, value) = (read_text(reader)?, read_text(reader)?);
            if !is_kept(name) || name.len() > 255 || value.len() > LONGEST_VALUE {
                return None;
            }
            let _ = extended.insert(CString::new(name).ok()?, value.to_vec());
        }
        let target = read_text(reader)?;
        let fits = target.len() <= LONGEST_TARGET && !target.contains(&0);
        fits.then(|| Self { what, place, stat, extended, target: target.to_vec() })
    }
}

pub(super) fn long(out: &mut Vec<u8>, value: usize) {
    number(out, u64::try_from(value).unwrap_or(u64::MAX));
}

pub(super) fn read_long(reader: &mut Reader<'_>) -> Option<usize> {
    usize::try_from(read_number(reader)?).ok()
}

pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    long(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(super) fn read_text<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = read_long(reader)?;
    reader.take(length)
}

/// A state alone.
pub(super) fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    let packed = Packed { name: b"", primary: *stat, copy: Evidence::default() };
    packed::write(out, &Packed::default(), &packed);
}

pub(super) fn get_stat(reader: &mut Reader<'_>) -> Option<Stat> {
    Some(packed::read(reader, &Packed::default())?.primary)
}

/// A name in a directory: not empty, no way out of it, and no longer than any file system has.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.contains(&0)
}

/// A path below a root, or the root.
pub(super) fn is_path(path: &[u8]) -> bool {
    path.is_empty() || path.split(|byte| *byte == b'/').all(is_name)
}
