//! Makes the archive of a dataset: trees to pax entries, and the index beside them.

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
};

use resplit_operations::{ids::VolumeId, pair::CopyReport};
use rustix::{
    fs::{FileType, Mode, OFlags, Stat, fstat, major, minor, openat, readlinkat},
    io::Errno,
};
use tar::EntryType;

use super::{
    attributes,
    bound::{Totals, may_have_holes},
    compress::Sink,
    index::{Entry, EntryKind, IndexWriter, Name},
    names::Names,
    pax::{BLOCK, Member},
    progress::Ticker,
    sparse,
    walk::{Found, Visitor, walk},
};
use crate::{context::Work, failure::Failure};

/// After so many bytes of a file somebody looks whether the work is to stop.
const PIECE: u64 = 8 << 20;

/// What an archive holds.
pub(super) struct Archived {
    /// Entries.
    pub(super) entries: u64,
    /// Bytes of content.
    pub(super) content_bytes: u64,
}

/// Writes the archive. Trees are at rest: if something changed while it was read, the archive is whole in form all the
/// same, and at the end the failure names it.
pub(super) fn archive(
    sources: &[(VolumeId, PathBuf)],
    sink: &mut Sink<'_>,
    index: &mut IndexWriter,
    totals: &Totals,
    work: &Work,
) -> Result<Archived, Failure> {
    let mut archiver = Archiver {
        sink,
        index,
        names: Names::of_this_machine(),
        links: HashMap::new(),
        changed: Vec::new(),
        changed_count: 0,
        archived: Archived { entries: 0, content_bytes: 0 },
        ticker: Ticker::new(work, totals.content, totals.entries),
        buffer: Vec::new(),
    };
    for (volume, source) in sources {
        // What is linked across volumes is stored in each: they are restored apart.
        archiver.links.clear();
        walk(source, volume.as_str(), &mut archiver)?;
    }
    archiver.finish()
}

struct Archiver<'a, 's> {
    sink: &'a mut Sink<'s>,
    index: &'a mut IndexWriter,
    names: Names,
    links: HashMap<(u64, u64), Vec<u8>>,
    changed: Vec<String>,
    changed_count: u64,
    archived: Archived,
    ticker: Ticker<'a>,
    buffer: Vec<u8>,
}

impl Visitor for Archiver<'_, '_> {
    fn entry(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let kind = match found.file_type() {
            FileType::RegularFile => return self.file(found),
            FileType::Socket => return self.socket(found),
            FileType::Directory => EntryType::Directory,
            FileType::Symlink => EntryType::Symlink,
            FileType::Fifo => EntryType::Fifo,
            FileType::CharacterDevice => EntryType::Char,
            FileType::BlockDevice => EntryType::Block,
            FileType::Unknown => {
                return Err(Failure::permanent(format!(
                    "{} is of a kind that an archive cannot hold",
                    found.place().display()
                )));
            }
        };
        if kind != EntryType::Directory && self.linked(found)? {
            return Ok(());
        }
        let read = match found.directory {
            Some(directory) => attributes::of_file(directory, &mut self.buffer),
            None => attributes::of_entry(found.parent, found.name, &mut self.buffer),
        };
        let Some(attributes) = self.unless_gone(found, read)? else { return Ok(()) };
        let mut member = member(kind, found.path, found.stat, attributes);
        if kind == EntryType::Symlink {
            let target = readlinkat(found.parent, found.name, Vec::new());
            let Some(target) = self.unless_gone(found, target)? else { return Ok(()) };
            member.link = target.into_bytes();
        }
        let kind = match kind {
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink,
            EntryType::Fifo => EntryKind::Fifo,
            _ => EntryKind::Device,
        };
        let offset = self.sink.position();
        self.header(&member)?;
        self.line(&Entry { path: Name(member.path), kind, offset, size: 0, blake3: None, link: None })
    }

    fn vanished(&mut self, path: &[u8]) {
        self.note_change(path);
    }
}

impl Archiver<'_, '_> {
    fn file(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        if self.linked(found)? {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = openat(found.parent, found.name, flags, Mode::empty());
        let Some(file) = self.unless_gone(found, opened)?.map(File::from) else { return Ok(()) };
        let failed = |error: std::io::Error| Failure::io("read", &found.place(), &error);
        let attributes =
            attributes::of_file(&file, &mut self.buffer).map_err(|error| failed(error.into()))?;
        let mut member = member(EntryType::Regular, found.path, found.stat, attributes);
        let size = member.stored;
        let map =
            if may_have_holes(found.stat) { sparse::segments(&file, size).map_err(failed)? } else { None };
        if let Some(map) = &map {
            member.stored = sparse::stored(map);
            member.sparse_length = Some(size);
        }
        let offset = self.sink.position();
        self.header(&member)?;
        let mut hasher = blake3::Hasher::new();
        let mut whole = true;
        if let Some(map) = &map {
            let map = sparse::encode(map);
            let _ = hasher.update(&map);
            self.sink.write(&map)?;
        }
        for (start, length) in map.unwrap_or_else(|| vec![(0, size)]) {
            let mut done = 0;
            while done < length {
                let piece = (length - done).min(PIECE);
                whole &= self.sink.copy((&file, &|| found.place()), start + done, piece, &mut hasher)?;
                done += piece;
                self.ticker.tick(piece, 0)?;
            }
        }
        self.sink.pad(BLOCK as u64)?;
        let after = fstat(&file).map_err(|error| failed(error.into()))?;
        if !whole || differs(found.stat, &after) {
            self.note_change(found.path);
        }
        self.archived.content_bytes += size;
        let blake3 = Some(hasher.finalize().to_hex().to_string());
        let path = Name(member.path);
        self.line(&Entry { path, kind: EntryKind::File, offset, size, blake3, link: None })
    }

    /// Another name of what is in the archive already.
    fn linked(&mut self, found: &Found<'_>) -> Result<bool, Failure> {
        if found.stat.st_nlink < 2 {
            return Ok(false);
        }
        let first = self.links.entry((found.stat.st_dev, found.stat.st_ino));
        let std::collections::hash_map::Entry::Occupied(first) = first else {
            let _ = first.or_insert_with(|| found.path.to_vec());
            return Ok(false);
        };
        let mut member = member(EntryType::Link, found.path, found.stat, Vec::new());
        member.link.clone_from(first.get());
        let link = Some(Name(member.link.clone()));
        let offset = self.sink.position();
        self.header(&member)?;
        let path = Name(member.path);
        self.line(&Entry { path, kind: EntryKind::Hardlink, offset, size: 0, blake3: None, link })?;
        Ok(true)
    }

    fn socket(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let offset = self.sink.position();
        let path = Name(found.path.to_vec());
        self.add(&Entry { path, kind: EntryKind::Socket, offset, size: 0, blake3: None, link: None })
    }

    fn header(&mut self, member: &Member) -> Result<(), Failure> {
        self.sink.write(&member.encode(self.names.user(member.owner), self.names.group(member.group)))
    }

    fn line(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.archived.entries += 1;
        self.add(entry)?;
        self.ticker.tick(0, 1)
    }

    fn add(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.index
            .add(entry)
            .map_err(|error| Failure::io("write the index of", Path::new(&entry.path.shown()), &error))
    }

    /// What was there a moment ago and is gone is noted; any other error is one.
    fn unless_gone<T>(&mut self, found: &Found<'_>, result: Result<T, Errno>) -> Result<Option<T>, Failure> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Errno::NOENT) => {
                self.note_change(found.path);
                Ok(None)
            }
            Err(error) => Err(Failure::io("read", &found.place(), &error.into())),
        }
    }

    fn note_change(&mut self, path: &[u8]) {
        self.changed_count += 1;
        if self.changed.len() < CopyReport::MOST_FUZZY {
            self.changed.push(String::from_utf8_lossy(path).into_owned());
        }
    }

    fn finish(self) -> Result<Archived, Failure> {
        if self.changed_count > 0 {
            let more = self.changed_count - self.changed.len() as u64;
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            return Err(Failure::temporary(format!(
                "{} entries changed or went while they were put on tape: {}{more}",
                self.changed_count,
                self.changed.join(", ")
            ))
            .with_help("the image is in use: find out by whom; nothing was kept of this dataset"));
        }
        self.sink.write(&[0; 2 * BLOCK])?;
        self.ticker.end();
        Ok(self.archived)
    }
}

fn member(kind: EntryType, path: &[u8], stat: &Stat, attributes: Vec<(Vec<u8>, Vec<u8>)>) -> Member {
    let device = matches!(kind, EntryType::Char | EntryType::Block);
    let stored = if kind == EntryType::Regular { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
    Member {
        kind,
        path: path.to_vec(),
        link: Vec::new(),
        mode: stat.st_mode & 0o7777,
        owner: stat.st_uid,
        group: stat.st_gid,
        modified: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        device: if device { (major(stat.st_rdev), minor(stat.st_rdev)) } else { (0, 0) },
        attributes,
        stored,
        sparse_length: None,
    }
}

/// Whether a file was changed, or is another one.
fn differs(before: &Stat, after: &Stat) -> bool {
    let key = |stat: &Stat| {
        (stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
    };
    key(before) != key(after)
}
