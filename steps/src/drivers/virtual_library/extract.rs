//! Restores entries of an archive into directories.

use std::{
    collections::BTreeMap,
    ffi::CStr,
    fs::File,
    os::{fd::BorrowedFd, unix::fs::FileExt},
    path::Path,
};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, makedev, mknodat, openat, symlinkat, syncfs, unlinkat,
};
use tar::EntryType;

use super::{
    chunks::Stream,
    index::{Entry, EntryKind},
    member, metadata,
    pax::Member,
    progress::Ticker,
    select::{Choice, Filter, Selection},
    sparse,
    tree::Tree,
};
use crate::{drivers::media::Wanted, failure::Failure};

/// Restores what is chosen.
pub(super) struct Extractor<'a, 'f> {
    filter: &'a Filter<'f>,
    selection: &'a Selection,
    trees: BTreeMap<&'f [u8], Tree<'f>>,
    ticker: Ticker<'a>,
}

impl<'a, 'f> Extractor<'a, 'f> {
    /// Opens the directories, or makes them.
    pub(super) fn new(
        filter: &'a Filter<'f>,
        selection: &'a Selection,
        wanted: &Wanted<'f>,
        ticker: Ticker<'a>,
    ) -> Result<Self, Failure> {
        let whole = wanted.replace && filter.everything();
        let open = |(volume, path): &'f (_, &'f Path)| open_tree(volume, path, whole);
        let trees = wanted.to.iter().map(open).collect::<Result<_, Failure>>()?;
        Ok(Self { filter, selection, trees, ticker })
    }

    /// Restores one entry, if it is chosen.
    pub(super) fn entry(&mut self, entry: &Entry, stream: &mut Stream<'_>) -> Result<(), Failure> {
        let choice = self.filter.choose(&entry.path.0);
        let above = choice == Choice::Above && entry.kind == EntryKind::Directory;
        if entry.kind == EntryKind::Socket || !(choice == Choice::Yes || above) {
            return Ok(());
        }
        let Some((volume, _, inside)) = self.filter.split(&entry.path.0) else { return Ok(()) };
        let Some(tree) = self.trees.get_mut(volume) else { return Ok(()) };
        if let Some(link) = &entry.link {
            if self.selection.borrowed.contains_key(&link.0) {
                return Ok(());
            }
            link_to(tree, inside, link.0.get(volume.len() + 1..).unwrap_or_default())?;
        } else {
            let member = read_member(entry, stream)?;
            if member.kind.is_dir() {
                tree.directory(inside, member)?;
            } else {
                let place = tree.place(inside);
                let (parent, name) = tree.parent(inside)?;
                make(parent, &name, &place, (entry, &member), stream, &mut self.ticker)?;
            }
        }
        self.ticker.tick(0, u64::from(!inside.is_empty()))
    }

    /// Restores a file under the names of its hard links, when these are wanted and it is not. All directories are there
    /// already.
    pub(super) fn borrowed(&mut self, entry: &Entry, stream: &mut Stream<'_>) -> Result<(), Failure> {
        let Some(names) = self.selection.borrowed.get(&entry.path.0) else { return Ok(()) };
        let member = read_member(entry, stream)?;
        let mut names = names.iter().filter_map(|name| self.filter.split(name));
        let Some((volume, _, first)) = names.next() else { return Ok(()) };
        let Some(tree) = self.trees.get_mut(volume) else { return Ok(()) };
        let (ticker, place) = (&mut self.ticker, tree.place(first));
        tree.keeping_times(first, |tree| {
            let (parent, name) = tree.parent(first)?;
            make(parent, &name, &place, (entry, &member), stream, ticker)
        })?;
        ticker.tick(0, 1)?;
        for (_, _, other) in names {
            tree.keeping_times(other, |tree| link_to(tree, other, first))?;
            ticker.tick(0, 1)?;
        }
        Ok(())
    }

    /// Gives the directories their attributes.
    pub(super) fn leave(&mut self) -> Result<(), Failure> {
        self.trees.values_mut().try_for_each(Tree::finish)
    }

    /// Makes everything durable.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        for tree in self.trees.values() {
            syncfs(tree.root()).map_err(|error| tree.failed("make durable", b"", error))?;
        }
        self.ticker.end();
        Ok(())
    }
}

fn open_tree<'f>(
    volume: &'f resplit_operations::ids::VolumeId,
    path: &'f Path,
    whole: bool,
) -> Result<(&'f [u8], Tree<'f>), Failure> {
    Ok((volume.as_str().as_bytes(), Tree::open(path, whole)?))
}

/// The entry of an archive that the index says is there.
fn read_member(entry: &Entry, stream: &mut Stream<'_>) -> Result<Member, Failure> {
    stream.seek(entry.offset);
    let member = member::next(stream)?;
    let kind = match member.kind {
        EntryType::Regular | EntryType::Continuous => EntryKind::File,
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Symlink,
        EntryType::Fifo => EntryKind::Fifo,
        EntryType::Char | EntryType::Block => EntryKind::Device,
        _ => EntryKind::Hardlink,
    };
    let size = if kind == EntryKind::File { member.sparse_length.unwrap_or(member.stored) } else { 0 };
    if kind == entry.kind && member.path == entry.path.0 && size == entry.size {
        Ok(member)
    } else {
        Err(stream.wrong(&format!("it does not have '{}' there, as its index says", entry.path.shown())))
    }
}

/// Makes an entry that is not a directory.
fn make(
    parent: BorrowedFd<'_>,
    name: &CStr,
    place: &Path,
    (entry, member): (&Entry, &Member),
    stream: &mut Stream<'_>,
    ticker: &mut Ticker<'_>,
) -> Result<(), Failure> {
    let failed = |error: rustix::io::Errno| Failure::io("restore", place, &error.into());
    let type_and_device = match member.kind {
        EntryType::Symlink => {
            symlinkat(&*member.link, parent, name).map_err(failed)?;
            return metadata::of_entry(parent, name, member).map_err(failed);
        }
        EntryType::Fifo => (FileType::Fifo, 0),
        EntryType::Char => (FileType::CharacterDevice, makedev(member.device.0, member.device.1)),
        EntryType::Block => (FileType::BlockDevice, makedev(member.device.0, member.device.1)),
        _ => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(parent, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
            let file = File::from(file);
            let digest = content(&file, place, member, stream, ticker)?;
            if entry.blake3.as_deref() != Some(digest.to_hex().as_str()) {
                // What is wrong is not left where it would be taken for right.
                let _ = unlinkat(parent, name, AtFlags::empty());
                let why = format!("the content of '{}' is not what its checksum says", entry.path.shown());
                return Err(stream.wrong(&why));
            }
            return metadata::of_file(&file, member).map_err(failed);
        }
    };
    let (file_type, device) = type_and_device;
    mknodat(parent, name, file_type, Mode::RUSR | Mode::WUSR, device).map_err(failed)?;
    metadata::of_entry(parent, name, member).map_err(failed)
}

/// Writes the content of a file, and hashes what the archive has of it.
fn content(
    file: &File,
    place: &Path,
    member: &Member,
    stream: &mut Stream<'_>,
    ticker: &mut Ticker<'_>,
) -> Result<blake3::Hash, Failure> {
    let failed = |error: std::io::Error| Failure::io("restore", place, &error);
    let mut hasher = blake3::Hasher::new();
    let segments = match member.sparse_length {
        None => vec![(0, member.stored)],
        Some(length) => {
            let wrong = || {
                Failure::permanent(format!("the map of the sparse file {} cannot be read", place.display()))
            };
            let segments = sparse::decode(
                length,
                || {
                    let block = member::block(stream)?;
                    let _ = hasher.update(&block);
                    Ok(block)
                },
                wrong,
            )?;
            file.set_len(length).map_err(failed)?;
            segments
        }
    };
    for (start, length) in segments {
        let mut done = 0;
        while done < length {
            let bytes = stream.next(length - done)?;
            let _ = hasher.update(bytes);
            file.write_all_at(bytes, start + done).map_err(failed)?;
            done += bytes.len() as u64;
            ticker.tick(bytes.len() as u64, 0)?;
        }
    }
    Ok(hasher.finalize())
}

fn link_to(tree: &mut Tree<'_>, inside: &[u8], target: &[u8]) -> Result<(), Failure> {
    let (directory, target_name) = tree.look_up(target)?;
    let (parent, name) = tree.parent(inside)?;
    let linked = linkat(&directory, &*target_name, parent, &*name, AtFlags::empty());
    linked.map_err(|error| tree.failed("link", inside, error))
}
