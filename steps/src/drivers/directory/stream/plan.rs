//! What differs, as the primary's side found it, on its way to the other. Whoever reads it trusts nothing in it.

use rustix::fs::FileType;

use super::{
    super::{
        compare::{Change, How, Removal, Visited},
        index::{Entry, Item, Reader},
        links::{Link, Slot},
        packed::{self, number, read_number},
        pass::Seen,
        remove::Size,
        stat::{Moment, Stat},
        survey::Survey,
    },
    item::{get_stat, is_name, is_path, long, put_stat, read_long, read_text, text},
};
use crate::drivers::stream::{Stop, damaged};

const MAGIC: &[u8; 15] = b"resplit plan 1\n";
const TOUCHED: u8 = 1;
const ENTRIES: u8 = 2;

/// Writes what differs, and what was seen of the primary.
pub(super) fn encode(survey: &Survey, seen: Seen) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    number(&mut out, seen.inode);
    number(&mut out, seen.moment.seconds.cast_unsigned());
    number(&mut out, seen.moment.nanoseconds.into());
    for total in [survey.entries, survey.bytes, survey.extra.entries, survey.extra.allocated] {
        number(&mut out, total);
    }
    long(&mut out, survey.visited.len());
    for directory in &survey.visited {
        put_directory(&mut out, directory);
    }
    long(&mut out, survey.links.len());
    for Link { leader, member, present, .. } in &survey.links {
        for part in [leader.0, leader.1, member.0, member.1] {
            long(&mut out, part);
        }
        put_present(&mut out, present.as_ref());
    }
    out
}

fn put_directory(out: &mut Vec<u8>, directory: &Visited) {
    let entries = directory.entries.as_deref();
    out.push(if directory.touched { TOUCHED } else { 0 } | if entries.is_some() { ENTRIES } else { 0 });
    text(out, &directory.path);
    let own = Item { name: b"", primary: directory.own, copy: directory.record.copy };
    packed::write(out, &Item::default(), &own);
    if let Some(entries) = entries {
        long(out, entries.len());
        let mut before = own;
        for entry in entries {
            let item = Item { name: &entry.name, primary: entry.primary, copy: entry.copy };
            packed::write(out, &before, &item);
            before = item;
        }
    }
    long(out, directory.changes.len());
    for change in &directory.changes {
        long(out, change.slot);
        out.push(match change.how {
            How::Create => 1,
            How::Content => 2,
            How::Verify => 3,
            How::Attributes => 4,
        });
        put_present(out, change.to.as_ref());
    }
    long(out, directory.removals.len());
    for removal in &directory.removals {
        text(out, &removal.name);
        put_stat(out, &removal.stat);
    }
}

fn put_present(out: &mut Vec<u8>, present: Option<&Stat>) {
    out.push(present.is_some().into());
    if let Some(stat) = present {
        put_stat(out, stat);
    }
}

/// Reads what differs.
pub(super) fn decode(bytes: &[u8]) -> Result<(Survey, Seen), Stop> {
    let mut reader = Reader::new(bytes);
    let read = read(&mut reader).ok_or_else(|| damaged("a list of differences that makes no sense"))?;
    if reader.byte().is_some() {
        return Err(damaged("a list of differences with more than it has"));
    }
    Ok(read)
}

fn read(reader: &mut Reader<'_>) -> Option<(Survey, Seen)> {
    if reader.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let inode = read_number(reader)?;
    let seconds = read_number(reader)?.cast_signed();
    let nanoseconds = u32::try_from(read_number(reader)?).ok()?;
    let seen = Seen { inode, moment: Moment { seconds, nanoseconds } };
    let (entries, bytes) = (read_number(reader)?, read_number(reader)?);
    let extra = Size { entries: read_number(reader)?, allocated: read_number(reader)? };
    let mut visited: Vec<Visited> = Vec::new();
    for _ in 0..read_long(reader)? {
        let directory = get_directory(reader)?;
        // In the order of paths, so none twice; the root is the first.
        let follows = visited.last().map_or(directory.path.is_empty(), |last| last.path < directory.path);
        visited.push(Some(directory).filter(|_| follows)?);
    }
    let mut links = Vec::new();
    for _ in 0..read_long(reader)? {
        let leader = (read_long(reader)?, read_long(reader)?);
        let member = (read_long(reader)?, read_long(reader)?);
        let Present(present) = get_present(reader)?;
        let (_, stat) = (file_at(&visited, leader)?, file_at(&visited, member)?);
        if leader == member {
            return None;
        }
        links.push(Link { leader, member, stat, present });
    }
    Some((Survey { visited, links, entries, bytes, extra }, seen))
}

/// The state of a file at a place.
fn file_at(visited: &[Visited], (at, slot): Slot) -> Option<Stat> {
    let stat = visited.get(at)?.entries.as_ref()?.get(slot)?.primary;
    stat.is_file().then_some(stat)
}

fn get_directory(reader: &mut Reader<'_>) -> Option<Visited> {
    let flags = reader.byte()?;
    let path = read_text(reader).filter(|path| is_path(path))?.to_vec();
    let own = packed::read(reader, &Item::default())?;
    let mut directory = Visited::new(path, own.primary);
    directory.record.copy = own.copy;
    directory.touched = flags & TOUCHED != 0;
    if flags & ENTRIES != 0 {
        directory.entries = Some(get_entries(reader, own)?);
    }
    let entries = directory.entries.as_deref().unwrap_or_default();
    for _ in 0..read_long(reader)? {
        let slot = read_long(reader)?;
        let how = match reader.byte()? {
            1 => How::Create,
            2 => How::Content,
            3 => How::Verify,
            4 => How::Attributes,
            _ => return None,
        };
        let Present(to) = get_present(reader)?;
        let from = entries.get(slot)?.primary;
        let follows = directory.changes.last().is_none_or(|last: &Change| last.slot < slot);
        directory.changes.push(Some(Change { slot, from, to, how }).filter(|_| follows)?);
    }
    for _ in 0..read_long(reader)? {
        let name: Box<[u8]> = read_text(reader).filter(|name| is_name(name))?.into();
        directory.removals.push(Removal { name, stat: get_stat(reader)? });
    }
    Some(directory)
}

fn get_entries<'a>(reader: &mut Reader<'a>, own: Item<'a>) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut before = own;
    for _ in 0..read_long(reader)? {
        let item = packed::read(reader, &before)?;
        let follows = entries.last().is_none_or(|last| *last.name < *item.name);
        if !follows || !is_name(item.name) || item.primary.kind() == FileType::Unknown {
            return None;
        }
        entries.push(Entry { name: item.name.into(), primary: item.primary, copy: item.copy });
        before = item;
    }
    Some(entries)
}

/// What stands in a place, if anything does.
struct Present(Option<Stat>);

fn get_present(reader: &mut Reader<'_>) -> Option<Present> {
    match reader.byte()? {
        0 => Some(Present(None)),
        1 => get_stat(reader).map(|stat| Present(Some(stat))),
        _ => None,
    }
}
