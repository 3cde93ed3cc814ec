//! The form of one entry in the index: only what differs from the entry before it, in as few bytes as it takes.

use super::{
    index::{Evidence, Item, Reader},
    stat::{Moment, Stat},
};

/// What an entry has in common with the one before it; and whether its last change was one of content.
const MODE: u8 = 1;
const OWNER: u8 = 2;
const NLINK: u8 = 4;
const DEVICE: u8 = 8;
const ONE_TIME: u8 = 16;

/// Adds an entry.
pub(super) fn write(out: &mut Vec<u8>, before: &Item<'_>, item: &Item<'_>) {
    let (is, was) = (&item.primary, &before.primary);
    let common = [
        (MODE, is.mode == was.mode),
        (OWNER, (is.uid, is.gid) == (was.uid, was.gid)),
        (NLINK, is.nlink == was.nlink),
        (DEVICE, is.rdev == was.rdev),
        (ONE_TIME, is.ctime == is.mtime),
    ];
    let common = common.iter().filter(|(_, holds)| *holds).fold(0, |flags, (flag, _)| flags | flag);
    out.push(common);
    // No file system has names longer than this.
    out.push(u8::try_from(item.name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(item.name);
    if common & MODE == 0 {
        number(out, is.mode.into());
    }
    if common & OWNER == 0 {
        number(out, is.uid.into());
        number(out, is.gid.into());
    }
    if common & NLINK == 0 {
        number(out, is.nlink.into());
    }
    if common & DEVICE == 0 {
        number(out, is.rdev);
    }
    step(out, was.ino, is.ino);
    number(out, is.size);
    number(out, is.allocated);
    moment(out, was.mtime, is.mtime);
    if common & ONE_TIME == 0 {
        moment(out, is.mtime, is.ctime);
    }
    step(out, before.copy.ino, item.copy.ino);
    moment(out, before.copy.ctime, item.copy.ctime);
}

/// Reads the next entry; `None` at the end.
pub(super) fn read<'a>(reader: &mut Reader<'a>, before: &Item<'a>) -> Option<Item<'a>> {
    let common = reader.byte()?;
    let length = reader.byte()?;
    let name = reader.take(usize::from(length))?;
    let mut is = Stat { ..before.primary };
    if common & MODE == 0 {
        is.mode = small(reader)?;
    }
    if common & OWNER == 0 {
        is.uid = small(reader)?;
        is.gid = small(reader)?;
    }
    if common & NLINK == 0 {
        is.nlink = small(reader)?;
    }
    if common & DEVICE == 0 {
        is.rdev = read_number(reader)?;
    }
    is.ino = read_step(reader, before.primary.ino)?;
    is.size = read_number(reader)?;
    is.allocated = read_number(reader)?;
    is.mtime = read_moment(reader, before.primary.mtime)?;
    is.ctime = if common & ONE_TIME == 0 { read_moment(reader, is.mtime)? } else { is.mtime };
    let copy =
        Evidence { ino: read_step(reader, before.copy.ino)?, ctime: read_moment(reader, before.copy.ctime)? };
    Some(Item { name, primary: is, copy })
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(0x80 | value.to_le_bytes()[0]);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

pub(super) fn read_number(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = reader.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn small(reader: &mut Reader<'_>) -> Option<u32> {
    u32::try_from(read_number(reader)?).ok()
}

/// A step up or down: small ones of both kinds take few bytes.
fn step(out: &mut Vec<u8>, from: u64, to: u64) {
    let step = to.wrapping_sub(from).cast_signed();
    number(out, (step << 1 ^ step >> 63).cast_unsigned());
}

fn read_step(reader: &mut Reader<'_>, from: u64) -> Option<u64> {
    let packed = read_number(reader)?;
    Some(from.wrapping_add(packed >> 1 ^ (packed & 1).wrapping_neg()))
}

fn moment(out: &mut Vec<u8>, from: Moment, to: Moment) {
    step(out, from.seconds.cast_unsigned(), to.seconds.cast_unsigned());
    number(out, to.nanoseconds.into());
}

fn read_moment(reader: &mut Reader<'_>, from: Moment) -> Option<Moment> {
    let seconds = read_step(reader, from.seconds.cast_unsigned())?.cast_signed();
    Some(Moment { seconds, nanoseconds: small(reader)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moments() -> impl Strategy<Value = Moment> {
        (any::<i64>(), any::<u32>()).prop_map(|(seconds, nanoseconds)| Moment { seconds, nanoseconds })
    }

    fn stats() -> impl Strategy<Value = Stat> {
        let numbers = (any::<u32>(), any::<u32>(), 0_u32..3, 0_u32..3);
        (numbers, any::<[u64; 4]>(), moments(), moments(), any::<bool>()).prop_map(
            |((mode, uid, gid, nlink), [ino, size, rdev, allocated], mtime, ctime, is_one)| Stat {
                mode,
                uid,
                gid,
                nlink,
                ino,
                size,
                mtime,
                ctime: if is_one { mtime } else { ctime },
                rdev,
                allocated,
                ..Stat::default()
            },
        )
    }

    proptest! {
        #[test]
        fn entries_are_read_as_they_were_written(
            entries in prop::collection::vec((any::<Vec<u8>>(), stats(), any::<u64>(), moments()), 0..20)
        ) {
            let items: Vec<_> = entries
                .iter()
                .map(|(name, primary, ino, ctime)| Item {
                    name: &name[..name.len().min(255)],
                    primary: *primary,
                    copy: Evidence { ino: *ino, ctime: *ctime },
                })
                .collect();
            let mut bytes = Vec::new();
            let mut before = Item::default();
            for item in &items {
                write(&mut bytes, &before, item);
                before = *item;
            }
            let mut reader = Reader::new(&bytes);
            let mut before = Item::default();
            for item in &items {
                before = read(&mut reader, &before).unwrap();
                prop_assert_eq!(before.name, item.name);
                prop_assert_eq!(before.primary, item.primary);
                prop_assert_eq!(before.copy, item.copy);
            }
            prop_assert!(read(&mut reader, &before).is_none());
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in any::<Vec<u8>>()) {
            let mut reader = Reader::new(&bytes);
            let mut before = Item::default();
            while let Some(item) = read(&mut reader, &before) {
                before = item;
            }
        }
    }
}
