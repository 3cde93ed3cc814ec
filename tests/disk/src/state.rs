//! Everything on the disk, and what programs may do with it.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    sync::Arc,
    time::SystemTime,
};

use fastrand::Rng;
use fuser::{Errno, FileType};

use crate::{
    content::{BLOCK, Content},
    names::{Names, Number},
};

/// The number of the uppermost directory.
pub(crate) const ROOT: Number = 1;
/// The largest file: a mistake of a test should not take all memory.
const LARGEST: u64 = 1 << 30;

/// Mode, owner and times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes {
    pub(crate) mode: u16,
    pub(crate) owner: (u32, u32),
    pub(crate) read: SystemTime,
    pub(crate) modified: SystemTime,
    pub(crate) changed: SystemTime,
}

/// A file, directory, or other.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: FileType,
    pub(crate) attributes: Attributes,
    durable: Attributes,
    pub(crate) content: Content,
    /// How many names it has.
    pub(crate) links: u32,
    /// How often it is open.
    pub(crate) opened: u32,
    pub(crate) device: u32,
}

/// What is to be created.
pub(crate) struct New<'a> {
    pub(crate) kind: FileType,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) device: u32,
    /// What a symbolic link says.
    pub(crate) target: &'a [u8],
}

/// Everything on the disk. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct State {
    nodes: HashMap<Number, Arc<Node>>,
    names: Names,
    next: Number,
    /// How many blocks there are, if not as many as are asked for.
    pub(crate) room: Option<u64>,
    /// Whether fdatasync and fsync of files do nothing.
    pub(crate) forgetful: bool,
}

type Done<T = ()> = Result<T, Errno>;

impl State {
    pub(crate) fn new() -> Self {
        let names = Names::default();
        let mut new = Self { nodes: HashMap::new(), names, next: ROOT + 1, room: None, forgetful: false };
        let root = New { kind: FileType::Directory, mode: 0o755, owner: (0, 0), device: 0, target: &[] };
        let _ = new.nodes.insert(ROOT, Arc::new(node(&root)));
        new
    }

    pub(crate) fn node(&self, number: Number) -> Done<&Node> {
        self.nodes.get(&number).map(|node| &**node).ok_or(Errno::ENOENT)
    }

    fn change(&mut self, number: Number) -> Done<&mut Node> {
        self.nodes.get_mut(&number).map(Arc::make_mut).ok_or(Errno::ENOENT)
    }

    pub(crate) fn find(&self, directory: Number, name: &OsStr) -> Done<Number> {
        self.names.get(directory, name).ok_or(Errno::ENOENT)
    }

    pub(crate) fn list(&self, directory: Number) -> Vec<(Number, FileType, OsString)> {
        let entries = self.names.list(directory);
        entries
            .filter_map(|(name, number)| Some((number, self.node(number).ok()?.kind, name.clone())))
            .collect()
    }

    /// Blocks taken by what programs can still reach.
    pub(crate) fn used(&self) -> u64 {
        let there = self.nodes.values().filter(|node| node.links > 0 || node.opened > 0);
        there.map(|node| node.content.allocated()).sum()
    }

    fn has_room(&self, more: u64) -> Done {
        match self.room {
            Some(room) if more > 0 && self.used() + more > room => Err(Errno::ENOSPC),
            _ => Ok(()),
        }
    }

    pub(crate) fn create(&mut self, directory: Number, name: &OsStr, new: &New<'_>) -> Done<Number> {
        if self.find(directory, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let number = self.next;
        self.next += 1;
        let _ = self.nodes.insert(number, Arc::new(node(new)));
        self.names.add(directory, name, number);
        self.touch(directory);
        Ok(number)
    }

    pub(crate) fn link(&mut self, number: Number, directory: Number, name: &OsStr) -> Done {
        if self.find(directory, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        self.change(number)?.links += 1;
        self.names.add(directory, name, number);
        self.touch(directory);
        Ok(())
    }

    pub(crate) fn remove(&mut self, directory: Number, name: &OsStr, is_directory: bool) -> Done {
        let number = self.find(directory, name)?;
        match (self.node(number)?.kind == FileType::Directory, is_directory) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            (true, true) if self.names.list(number).next().is_some() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        self.names.remove(directory, name, number);
        self.change(number)?.links -= 1;
        self.touch(directory);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (Number, &OsStr), to: (Number, &OsStr), replace: bool) -> Done {
        let number = self.find(from.0, from.1)?;
        if let Ok(old) = self.find(to.0, to.1) {
            if old == number {
                return Ok(());
            }
            if !replace {
                return Err(Errno::EEXIST);
            }
            match (
                self.node(number)?.kind == FileType::Directory,
                self.node(old)?.kind == FileType::Directory,
            ) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) if self.names.list(old).next().is_some() => return Err(Errno::ENOTEMPTY),
                _ => self.change(old)?.links -= 1,
            }
        }
        self.names.rename(from, to, number);
        self.touch(from.0);
        self.touch(to.0);
        Ok(())
    }

    pub(crate) fn read(&self, number: Number, offset: u64, length: u32) -> Done<&[u8]> {
        let seen = self.node(number)?.content.seen();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(seen.len());
        Ok(&seen[from..from.saturating_add(length as usize).min(seen.len())])
    }

    pub(crate) fn write(&mut self, number: Number, offset: Option<u64>, data: &[u8]) -> Done {
        let content = &self.node(number)?.content;
        let offset = offset.unwrap_or(content.seen().len() as u64);
        let at = place(offset, data.len() as u64)?;
        self.has_room(content.missing(at, data.len()))?;
        let node = self.change(number)?;
        node.content.write(at, data);
        node.attributes.modified = SystemTime::now();
        Ok(())
    }

    pub(crate) fn resize(&mut self, number: Number, size: u64) -> Done {
        let size = place(size, 0)?;
        let node = self.change(number)?;
        node.content.resize(size);
        node.attributes.modified = SystemTime::now();
        Ok(())
    }

    /// Gives room, and the size that goes with it unless it is kept.
    pub(crate) fn allocate(&mut self, number: Number, offset: u64, length: u64, keep_size: bool) -> Done {
        let at = place(offset, length)?;
        let length = place(length, 0)?;
        let content = &self.node(number)?.content;
        self.has_room(content.missing(at, length))?;
        let content = &mut self.change(number)?.content;
        if !keep_size && content.seen().len() < at + length {
            content.resize(at + length);
        }
        content.allocate(at, length);
        Ok(())
    }

    /// fdatasync leaves times and owner to chance.
    pub(crate) fn sync(&mut self, number: Number, only_data: bool) -> Done {
        if self.forgetful {
            return Ok(());
        }
        let node = self.change(number)?;
        node.content.sync();
        if !only_data {
            node.durable = node.attributes;
        }
        Ok(())
    }

    pub(crate) fn sync_fails(&mut self, number: Number, random: &mut Rng) {
        if let Ok(node) = self.change(number) {
            node.content.sync_fails(random);
        }
    }

    pub(crate) fn sync_directory(&mut self, number: Number) -> Done {
        self.names.sync(number);
        let node = self.change(number)?;
        node.durable = node.attributes;
        Ok(())
    }

    pub(crate) fn set(&mut self, number: Number, set: impl FnOnce(&mut Attributes)) -> Done {
        let attributes = &mut self.change(number)?.attributes;
        set(attributes);
        attributes.changed = SystemTime::now();
        Ok(())
    }

    pub(crate) fn opened(&mut self, number: Number) -> Done {
        self.change(number).map(|node| node.opened += 1)
    }

    pub(crate) fn closed(&mut self, number: Number) {
        if let Ok(node) = self.change(number) {
            node.opened = node.opened.saturating_sub(1);
        }
    }

    fn touch(&mut self, directory: Number) {
        if let Ok(node) = self.change(directory) {
            node.attributes.modified = SystemTime::now();
            node.attributes.changed = node.attributes.modified;
        }
    }

    /// What a power cut leaves: all of it durable, nothing open.
    pub(crate) fn cut(&self, random: &mut Rng) -> Self {
        let mut names = self.names.cut(random);
        let reachable = names.reachable(ROOT);
        names.keep(&reachable);
        // In the order of numbers: what chance does must depend on the seed alone.
        let nodes = reachable.iter().filter_map(|(number, links)| {
            let node = self.nodes.get(number)?;
            let attributes = if random.bool() { node.attributes } else { node.durable };
            let content = node.content.cut(random);
            let cut = Node { attributes, durable: attributes, content, links: *links, opened: 0, ..**node };
            Some((*number, Arc::new(cut)))
        });
        let nodes = nodes.collect();
        Self { nodes, names, next: self.next, room: self.room, forgetful: self.forgetful }
    }
}

fn node(new: &New<'_>) -> Node {
    let now = SystemTime::now();
    let mode = u16::try_from(new.mode & 0o7777).unwrap_or(0);
    let attributes = Attributes { mode, owner: new.owner, read: now, modified: now, changed: now };
    let mut content = Content::default();
    if !new.target.is_empty() {
        content.write(0, new.target);
        // A symbolic link is part of its directory: there is no other way to make it durable.
        content.sync();
    }
    Node { kind: new.kind, attributes, durable: attributes, content, links: 1, opened: 0, device: new.device }
}

fn place(offset: u64, length: u64) -> Done<usize> {
    match offset.checked_add(length) {
        Some(end) if end <= LARGEST => usize::try_from(offset).map_err(|_| Errno::EFBIG),
        _ => Err(Errno::EFBIG),
    }
}

/// How many blocks lie in so many bytes.
pub(crate) fn blocks(bytes: u64) -> u64 {
    bytes / BLOCK as u64
}
