//! FUSE's calls, answered from the state. Nothing may be cached by the kernel.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{FallocateFlags, FileType as Type, OFlags};

use crate::{
    BLOCK, Disk, Kind,
    state::{New, State},
};

/// How long the kernel may believe what it was told.
const NEVER: Duration = Duration::ZERO;
/// What is said to be free where there is no limit.
const PLENTY: u64 = 1 << 28;

type Entries = Vec<(u64, FileType, OsString)>;

/// Serves a disk.
pub(crate) struct Server {
    disk: Disk,
    /// Directories that are being listed, as they were when that began.
    listings: Mutex<HashMap<u64, Entries>>,
    next: AtomicU64,
}

impl Server {
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk, listings: Mutex::new(HashMap::new()), next: AtomicU64::new(1) }
    }

    fn act<T>(
        &self,
        kind: Kind,
        changes: bool,
        act: impl FnOnce(&mut State) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        act(&mut self.disk.call(kind, changes)?.state)
    }

    fn empty(&self, kind: Kind, reply: ReplyEmpty, act: impl FnOnce(&mut State) -> Result<(), Errno>) {
        match self.act(kind, true, act) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    /// Creates something, and gives what there is to tell about it.
    fn new_entry(&self, parent: INodeNo, name: &OsStr, new: &New<'_>) -> Result<FileAttr, Errno> {
        let kind = if new.kind == FileType::Directory { Kind::Directory } else { Kind::Create };
        self.act(kind, true, |state| {
            let number = state.create(parent.0, name, new)?;
            attributes(state, number)
        })
    }
}

fn entry(reply: ReplyEntry, created: Result<FileAttr, Errno>) {
    match created {
        Ok(attributes) => reply.entry(&NEVER, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn owner(request: &Request) -> (u32, u32) {
    (request.uid(), request.gid())
}

fn attributes(state: &State, number: u64) -> Result<FileAttr, Errno> {
    let node = state.node(number)?;
    let own = &node.attributes;
    Ok(FileAttr {
        ino: INodeNo(number),
        size: node.content.seen().len() as u64,
        blocks: node.content.allocated() * (BLOCK as u64 / 512),
        atime: own.read,
        mtime: own.modified,
        ctime: own.changed,
        crtime: own.changed,
        kind: node.kind,
        perm: own.mode,
        nlink: if node.kind == FileType::Directory { 2 } else { node.links },
        uid: own.owner.0,
        gid: own.owner.1,
        rdev: node.device,
        blksize: 4096,
        flags: 0,
    })
}

fn time(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.act(Kind::Look, false, |state| {
            let number = state.find(parent.0, name)?;
            attributes(state, number)
        });
        entry(reply, found);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.act(Kind::Look, false, |state| attributes(state, number.0)) {
            Ok(attributes) => reply.attr(&NEVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        read: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let kind = if size.is_some() { Kind::Truncate } else { Kind::Attributes };
        let done = self.act(kind, true, |state| {
            if let Some(size) = size {
                state.resize(number.0, size)?;
            }
            state.set(number.0, |own| {
                own.mode = mode.and_then(|mode| u16::try_from(mode & 0o7777).ok()).unwrap_or(own.mode);
                own.owner = (user.unwrap_or(own.owner.0), group.unwrap_or(own.owner.1));
                own.read = read.map_or(own.read, time);
                own.modified = modified.map_or(own.modified, time);
            })?;
            attributes(state, number.0)
        });
        match done {
            Ok(attributes) => reply.attr(&NEVER, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.act(Kind::Look, false, |state| Ok(state.node(number.0)?.content.seen().to_vec())) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(error),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let kind = match Type::from_raw_mode(mode) {
            Type::RegularFile => FileType::RegularFile,
            Type::Fifo => FileType::NamedPipe,
            Type::Socket => FileType::Socket,
            Type::CharacterDevice => FileType::CharDevice,
            Type::BlockDevice => FileType::BlockDevice,
            _ => return reply.error(Errno::EINVAL),
        };
        let new = New { kind, mode: mode & !umask, owner: owner(request), device, target: &[] };
        entry(reply, self.new_entry(parent, name, &new));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let kind = FileType::Directory;
        let new = New { kind, mode: mode & !umask, owner: owner(request), device: 0, target: &[] };
        entry(reply, self.new_entry(parent, name, &new));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let target = target.as_os_str().as_bytes();
        let new = New { kind: FileType::Symlink, mode: 0o777, owner: owner(request), device: 0, target };
        entry(reply, self.new_entry(parent, name, &new));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let kind = FileType::RegularFile;
        let new = New { kind, mode: mode & !umask, owner: owner(request), device: 0, target: &[] };
        let created = self.new_entry(parent, name, &new).and_then(|attributes| {
            self.disk.inner().state.opened(attributes.ino.0)?;
            Ok(attributes)
        });
        match created {
            Ok(attributes) => {
                reply.created(&NEVER, &attributes, Generation(0), FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(error),
        }
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.act(Kind::Create, true, |state| {
            state.link(number.0, parent.0, name)?;
            attributes(state, number.0)
        });
        entry(reply, linked);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(Kind::Unlink, reply, |state| state.remove(parent.0, name, false));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(Kind::Unlink, reply, |state| state.remove(parent.0, name, true));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return reply.error(Errno::EINVAL);
        }
        let replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.empty(Kind::Rename, reply, |state| state.rename((parent.0, name), (to.0, new), replace));
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let changes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        match self.act(Kind::Open, changes, |state| state.opened(number.0)) {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        // The kernel does this in its own time: no program waits for it, and it is not counted.
        self.disk.inner().state.closed(number.0);
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.act(Kind::Read, false, |state| Ok(state.read(number.0, offset, size)?.to_vec())) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let appends = OFlags::from_bits_retain(flags.0.cast_unsigned()).contains(OFlags::APPEND);
        let offset = (!appends).then_some(offset);
        match self.act(Kind::Write, true, |state| state.write(number.0, offset, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, only_data: bool, reply: ReplyEmpty) {
        match self.act(Kind::Sync, true, |state| state.sync(number.0, only_data)) {
            Ok(()) => reply.ok(),
            Err(error) => {
                let mut inner = self.disk.inner();
                if !inner.off {
                    let mut random = inner.random.fork();
                    inner.state.sync_fails(number.0, &mut random);
                }
                reply.error(error);
            }
        }
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(Kind::SyncDirectory, reply, |state| state.sync_directory(number.0));
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.act(Kind::Look, false, |state| Ok(state.list(number.0))) {
            Ok(entries) => {
                let handle = self.next.fetch_add(1, Ordering::Relaxed);
                let _ = self.listings.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, entries);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = listings.entry(handle.0).or_default();
        // Opened once, a directory may be read again from the beginning, and then says what is there now.
        if offset == 0 {
            match self.act(Kind::Look, false, |state| Ok(state.list(number.0))) {
                Ok(now) => *entries = now,
                Err(error) => return reply.error(error),
            }
        }
        let own = [(number.0, OsString::from(".")), (number.0, OsString::from(".."))];
        let own = own.into_iter().map(|(number, name)| (number, FileType::Directory, name));
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (number, kind, name)) in own.chain(entries.iter().cloned()).enumerate().skip(skip) {
            if reply.add(INodeNo(number), at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        let _ = self.listings.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle.0);
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = FallocateFlags::from_bits_retain(mode.cast_unsigned());
        if !(mode - FallocateFlags::KEEP_SIZE).is_empty() {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let keep_size = mode.contains(FallocateFlags::KEEP_SIZE);
        self.empty(Kind::Fallocate, reply, |state| state.allocate(number.0, offset, length, keep_size));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let told = self.act(Kind::Look, false, |state| {
            let used = state.used();
            let all = state.room.unwrap_or(PLENTY);
            Ok((all, all.saturating_sub(used)))
        });
        let block = 4096;
        match told {
            Ok((all, free)) => reply.statfs(all, free, free, PLENTY, PLENTY, block, 255, block),
            Err(error) => reply.error(error),
        }
    }
}
