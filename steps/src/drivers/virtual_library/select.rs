//! What is wanted of a dataset: found in its index, before anything is written.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use super::index::{Entry, EntryKind, Lines};
use crate::{drivers::media::Wanted, failure::Failure};

/// How much of an entry is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Nothing.
    No,
    /// A directory, because something in it is wanted.
    Above,
    /// It.
    Yes,
}

/// Which paths are wanted, and where they go.
pub(super) struct Filter<'a> {
    to: BTreeMap<&'a [u8], &'a Path>,
    paths: BTreeSet<Vec<u8>>,
}

impl<'a> Filter<'a> {
    /// Reads what is wanted; every path must be one inside of a volume.
    pub(super) fn new(wanted: &Wanted<'a>) -> Result<Self, Failure> {
        let mut paths = BTreeSet::new();
        for path in wanted.paths {
            let inside: Option<Vec<&[u8]>> = path
                .components()
                .filter(|component| *component != Component::CurDir)
                .map(|component| match component {
                    Component::Normal(name) => Some(name.as_bytes()),
                    _ => None,
                })
                .collect();
            let inside = inside.ok_or_else(|| {
                Failure::refused(format!("'{}' is no path inside of a volume", path.display()))
                    .with_help("give paths relative to the volume's root, without '..'")
            })?;
            let _ = paths.insert(inside.join(&b'/'));
        }
        if paths.contains(&Vec::new()) {
            paths.clear();
        }
        let to = wanted.to.iter().map(|(volume, path)| (volume.as_str().as_bytes(), *path)).collect();
        Ok(Self { to, paths })
    }

    /// Whether whole volumes are wanted.
    pub(super) fn everything(&self) -> bool {
        self.paths.is_empty()
    }

    /// Volume, place and path in the volume of an entry whose volume is wanted.
    pub(super) fn split<'p>(&self, path: &'p [u8]) -> Option<(&'p [u8], &'a Path, &'p [u8])> {
        let slash = path.iter().position(|byte| *byte == b'/');
        let (volume, inside) = slash.map_or((path, &path[..0]), |slash| (&path[..slash], &path[slash + 1..]));
        Some((volume, *self.to.get(volume)?, inside))
    }

    /// How much of an entry is wanted.
    pub(super) fn choose(&self, path: &[u8]) -> Choice {
        let Some((_, _, inside)) = self.split(path) else { return Choice::No };
        if self.paths.is_empty() || self.wanted_at(inside).is_some() {
            return Choice::Yes;
        }
        let mut below = inside.to_vec();
        if !below.is_empty() {
            below.push(b'/');
        }
        let next = self.paths.range(below.clone()..).next();
        if next.is_some_and(|next| next.starts_with(&below)) { Choice::Above } else { Choice::No }
    }

    /// The wanted path that an entry is, or is in.
    fn wanted_at(&self, inside: &[u8]) -> Option<&Vec<u8>> {
        let ends = inside.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([inside.len()]).find_map(|end| self.paths.get(&inside[..end]))
    }
}

/// What a first reading of the index has found.
#[derive(Default)]
pub(super) struct Selection {
    /// The chunks that are needed, in order.
    pub(super) chunks: Vec<usize>,
    /// Entries to be restored.
    pub(super) entries: u64,
    /// Bytes of content to be restored.
    pub(super) bytes: u64,
    /// Files that are not wanted themselves, but hard links to them are: these.
    pub(super) borrowed: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// What has to go first, when it is to be replaced.
    pub(super) in_the_way: Vec<PathBuf>,
}

/// Why an index does not allow what is wanted.
pub(super) enum NotSelected {
    /// It is damaged, or hostile.
    Damaged(String),
    /// It lacks something, or something is in the way.
    Failed(Failure),
}

/// Reads the index (`lines` gives it from its beginning, as often as it is asked) and decides.
pub(super) fn select<'l>(
    filter: &Filter<'_>,
    replace: bool,
    (archive_bytes, chunk_bytes): (u64, u64),
    lines: impl Fn() -> Lines<'l>,
) -> Result<Selection, NotSelected> {
    let mut selection = Selection::default();
    let mut chunks = Chunks { numbers: BTreeSet::new(), open: None, chunk_bytes };
    let mut missing: BTreeSet<&Vec<u8>> = filter.paths.iter().collect();
    let mut sockets = Vec::new();
    for entry in lines() {
        let entry = entry.map_err(|damage| NotSelected::Damaged(damage.0))?;
        chunks.meet(entry.offset);
        let choice = filter.choose(&entry.path.0);
        let Some((_, to, inside)) = filter.split(&entry.path.0) else { continue };
        if choice == Choice::No || (choice == Choice::Above && entry.kind != EntryKind::Directory) {
            continue;
        }
        check_path(&entry).map_err(NotSelected::Damaged)?;
        if let Some(wanted) = filter.wanted_at(inside) {
            let _ = missing.remove(wanted);
        }
        if entry.kind == EntryKind::Socket {
            if filter.paths.contains(inside) {
                sockets.push(entry.path.shown());
            }
            continue;
        }
        check_place(&mut selection, &entry, to, inside, filter, replace).map_err(NotSelected::Failed)?;
        selection.entries += u64::from(!inside.is_empty());
        selection.bytes += entry.size;
        chunks.need(entry.offset);
        if let Some(target) = entry.link
            && filter.choose(&target.0) != Choice::Yes
        {
            selection.borrowed.entry(target.0).or_default().push(entry.path.0);
        }
    }
    chunks.meet(archive_bytes);
    complain(&missing, &sockets).map_err(NotSelected::Failed)?;
    if !selection.borrowed.is_empty() {
        for entry in lines() {
            let entry = entry.map_err(|damage| NotSelected::Damaged(damage.0))?;
            chunks.meet(entry.offset);
            if selection.borrowed.contains_key(&entry.path.0) {
                selection.bytes += entry.size;
                chunks.need(entry.offset);
            }
        }
        chunks.meet(archive_bytes);
    }
    let known = archive_bytes.div_ceil(chunk_bytes);
    selection.chunks =
        chunks.numbers.into_iter().filter(|c| *c < known).filter_map(|c| usize::try_from(c).ok()).collect();
    Ok(selection)
}

/// Gathers the chunks from where a needed entry begins to where the next one begins.
struct Chunks {
    numbers: BTreeSet<u64>,
    open: Option<u64>,
    chunk_bytes: u64,
}

impl Chunks {
    const fn need(&mut self, offset: u64) {
        self.open = Some(offset);
    }

    fn meet(&mut self, offset: u64) {
        if let Some(start) = self.open.take()
            && offset > start
        {
            self.numbers.extend(start / self.chunk_bytes..=(offset - 1) / self.chunk_bytes);
        }
    }
}

/// A path that leads out of its volume is not believed.
pub(super) fn check_path(entry: &Entry) -> Result<(), String> {
    let safe = |path: &[u8]| {
        !path.contains(&0) && path.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
    };
    let volume = |path: &[u8]| path.split(|byte| *byte == b'/').next().map(<[u8]>::to_vec);
    let link_is_safe = entry.link.as_ref().is_none_or(|link| {
        safe(&link.0) && link.0.contains(&b'/') && volume(&link.0) == volume(&entry.path.0)
    });
    if safe(&entry.path.0) && link_is_safe {
        Ok(())
    } else {
        Err(format!("the entry '{}' leads out of its volume", entry.path.shown()))
    }
}

fn check_place(
    selection: &mut Selection,
    entry: &Entry,
    to: &Path,
    inside: &[u8],
    filter: &Filter<'_>,
    replace: bool,
) -> Result<(), Failure> {
    if replace && filter.everything() {
        return Ok(());
    }
    let place = to.join(OsStr::from_bytes(inside));
    let there = match fs::symlink_metadata(&place) {
        Ok(there) => there,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(());
        }
        Err(error) => return Err(Failure::io("look at", &place, &error)),
    };
    if replace && filter.paths.contains(inside) {
        selection.in_the_way.push(place);
        return Ok(());
    }
    // The directory that a volume goes to may be reached by a symbolic link; nothing in it may.
    let directory = there.is_dir() || (inside.is_empty() && place.is_dir());
    let below_replaced = replace && filter.choose(&entry.path.0) == Choice::Yes;
    if (directory && entry.kind == EntryKind::Directory) || below_replaced {
        return Ok(());
    }
    Err(Failure::refused(format!("{} is in the way", place.display()))
        .with_help("nothing was written; move it away, or restore to another directory"))
}

fn complain(missing: &BTreeSet<&Vec<u8>>, sockets: &[String]) -> Result<(), Failure> {
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|path| String::from_utf8_lossy(path)).collect();
        return Err(Failure::refused(format!("the dataset does not have: {}", names.join(", ")))
            .with_help("nothing was written; paths are relative to the volume's root"));
    }
    if !sockets.is_empty() {
        return Err(Failure::refused(format!("sockets are not kept on tape: {}", sockets.join(", "))));
    }
    Ok(())
}
