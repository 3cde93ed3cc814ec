//! A volume: a block device, or a file that holds one.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, ErrorKind},
    num::NonZeroU64,
    os::fd::AsRawFd,
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Advice, FallocateFlags, Mode, OFlags, SeekFrom, fadvise, fallocate, seek},
    io::Errno,
};

use crate::failure::Failure;

/// To what direct reads are aligned: no device has larger sectors.
const ALIGNMENT: usize = 4096;

/// An open volume.
pub(in crate::drivers) struct Volume {
    pub(super) path: PathBuf,
    /// Bytes that it has.
    pub(in crate::drivers) size: u64,
    pub(in crate::drivers) is_device: bool,
    /// Read and written through the page cache.
    file: File,
    /// Read past the page cache, where the system can.
    direct: Option<File>,
}

impl Volume {
    /// Opens a volume to be read.
    ///
    /// # Errors
    /// A refusal if it is not there, or is no volume.
    pub(in crate::drivers) fn open(path: &Path) -> Result<Self, Failure> {
        Self::with(path, OpenOptions::new().read(true), "open")
    }

    /// Opens a volume to be written, which nobody else may have open exclusively: a device that is mounted, or that
    /// anything lies on, is busy.
    pub(super) fn open_to_write(path: &Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        let _ = options.read(true).write(true);
        if is_device(path) {
            let _ = options.custom_flags(flags(OFlags::EXCL));
        }
        Self::with(path, &options, "open for writing")
    }

    /// The same; a file that is not there is made, empty.
    pub(super) fn open_or_make(path: &Path) -> Result<Self, Failure> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Failure::io("make", path, &error)),
            _ => Self::open_to_write(path),
        }
    }

    fn with(path: &Path, options: &OpenOptions, doing: &str) -> Result<Self, Failure> {
        let refused = |text: String, help: &str| Failure::refused(text).with_help(help);
        let failure = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => refused(
                format!("{} is not there", path.display()),
                "attach or make it, or correct its path in the site file",
            ),
            ErrorKind::ResourceBusy => refused(
                format!("{} is in use: it is mounted, or something lies on it", path.display()),
                "release it (lsblk, findmnt and swapon show by what it is held), then run again",
            ),
            _ => Failure::io(doing, path, &error),
        };
        // Looked at first: opening a pipe would wait for whoever writes to it.
        let found = path.metadata().map_err(failure)?;
        let kind = found.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let help = "name a block device or an image file, or use `driver: directory`";
            return Err(refused(format!("{} is neither a block device nor a file", path.display()), help));
        }
        let file = open_patiently(options, path).map_err(failure)?;
        let size = seek(&file, SeekFrom::End(0)).map_err(|error| failure(error.into()))?;
        let direct = OpenOptions::new().read(true).custom_flags(flags(OFlags::DIRECT)).open(path).ok();
        Ok(Self { path: path.to_owned(), size, is_device: kind.is_block_device(), file, direct })
    }

    pub(super) fn metadata(&self) -> Result<Metadata, Failure> {
        self.file.metadata().map_err(|error| self.failure("look at", &error))
    }

    /// Bytes of it that are on disk; all, of a device.
    pub(in crate::drivers) fn allocated(&self) -> Result<u64, Failure> {
        Ok(if self.is_device { self.size } else { self.metadata()?.blocks().saturating_mul(512) })
    }

    /// Reads it in order, for one thread. A device is read past the page cache: what a file system on it has written is
    /// on the device, but may be cached here as it was before.
    pub(super) fn reader(&self) -> io::Result<Reader> {
        if let Some(direct) = self.direct.as_ref().filter(|_| self.is_device) {
            return Ok(Reader { file: direct.try_clone()?, direct: true });
        }
        // Opened anew, so that the system reads ahead of this thread and not of all of them in turn.
        let file = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let file = file.or_else(|_| self.file.try_clone())?;
        for advice in [Advice::Sequential, Advice::NoReuse] {
            let _ = fadvise(&file, 0, None, advice);
        }
        Ok(Reader { file, direct: false })
    }

    /// Reads as much as is wanted, or the buffer takes, or the volume has, from where it is kept and not from the page
    /// cache; gives how much that was.
    pub(super) fn read_back(&self, buffer: &mut Buffer, wanted: usize, at: u64) -> io::Result<usize> {
        let bytes = buffer.all();
        let wanted = wanted.next_multiple_of(ALIGNMENT).min(bytes.len());
        let bytes = &mut bytes[..wanted];
        if let Some(direct) = &self.direct {
            return fill(direct, true, bytes, at, self.size);
        }
        let length = u64::try_from(wanted).ok().and_then(NonZeroU64::new);
        fadvise(&self.file, at, length, Advice::DontNeed)?;
        fill(&self.file, false, bytes, at, self.size)
    }

    /// Where data is from `at` on, up to `end`; `None` if all of that is a hole. What cannot tell, is data.
    pub(super) fn data(&self, at: u64, end: u64) -> io::Result<Option<(u64, u64)>> {
        if self.is_device {
            return Ok(Some((at, end)));
        }
        let data = match seek(&self.file, SeekFrom::Data(at)) {
            Ok(data) if data < end => data,
            Ok(_) | Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, end))),
            Err(error) => return Err(error.into()),
        };
        match seek(&self.file, SeekFrom::Hole(data)) {
            Ok(hole) => Ok(Some((data, hole.min(end)))),
            Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some((data, end))),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Makes a range zero, without taking room for it where that can be.
    pub(super) fn zero(&self, at: u64, length: u64) -> io::Result<()> {
        const PIECE: u64 = 1 << 20;
        match fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, length) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => {}
            Err(error) => return Err(error.into()),
        }
        let zeros = vec![0; usize::try_from(length.min(PIECE)).unwrap_or(0)];
        let mut done = 0;
        while done < length {
            let piece = usize::try_from((length - done).min(PIECE)).unwrap_or(0);
            self.write(&zeros[..piece], at + done)?;
            done += u64::try_from(piece).unwrap_or(length);
        }
        Ok(())
    }

    /// Makes all of it share the blocks of another file, if the file system can.
    pub(super) fn clone_from(&mut self, other: &Self) -> io::Result<bool> {
        if self.is_device || other.is_device {
            return Ok(false);
        }
        match rustix::fs::ioctl_ficlone(&self.file, &other.file) {
            Ok(()) => {
                self.size = seek(&self.file, SeekFrom::End(0))?;
                Ok(true)
            }
            Err(
                Errno::XDEV
                | Errno::OPNOTSUPP
                | Errno::NOTTY
                | Errno::NOSYS
                | Errno::INVAL
                | Errno::PERM
                | Errno::TXTBSY,
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a file of a directory could share its blocks, tried with one that has no name.
    pub(super) fn clones_into(&self, directory: &Path) -> bool {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let nameless = rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR);
        !self.is_device && nameless.is_ok_and(|file| rustix::fs::ioctl_ficlone(&file, &self.file).is_ok())
    }

    /// Gives a file this size. A device keeps its own.
    pub(super) fn resize(&mut self, size: u64) -> io::Result<()> {
        if !self.is_device && self.size != size {
            self.file.set_len(size)?;
            self.size = size;
        }
        Ok(())
    }

    pub(in crate::drivers) fn make_durable(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Writes back what this machine has cached of it, and forgets it.
    pub(in crate::drivers) fn forget(&self) -> io::Result<()> {
        self.file.sync_data()?;
        if self.is_device {
            return crate::drivers::system::forget_buffers(&self.file);
        }
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    pub(in crate::drivers) fn failure(&self, doing: &str, error: &io::Error) -> Failure {
        Failure::io(doing, &self.path, error)
    }
}

/// Opens a volume. Whoever looks into devices when they change, and a program that another thread is just starting, has
/// it for a moment.
fn open_patiently(options: &OpenOptions, path: &Path) -> io::Result<File> {
    const MOMENT: Duration = Duration::from_secs(3);
    let began = Instant::now();
    loop {
        match options.open(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && began.elapsed() < MOMENT => {
                thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// Whether a path is a block device; not, if it cannot be looked at.
pub(in crate::drivers) fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.file_type().is_block_device())
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Reads until the buffer is full or the volume ends. Direct reads ask for whole sectors, also where the volume ends.
fn fill(file: &File, direct: bool, bytes: &mut [u8], at: u64, size: u64) -> io::Result<usize> {
    let left = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
    let wanted = bytes.len().min(left);
    let asked = if direct { wanted.next_multiple_of(ALIGNMENT).min(bytes.len()) } else { wanted };
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut bytes[filled..asked], at + u64::try_from(filled).unwrap_or(0)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled.min(wanted))
}

/// Reads a volume for one thread.
pub(super) struct Reader {
    file: File,
    direct: bool,
}

impl Reader {
    /// Reads as much as the buffer takes or the volume has; gives how much that was.
    pub(super) fn read(&self, of: &Volume, buffer: &mut Buffer, at: u64) -> io::Result<usize> {
        fill(&self.file, self.direct, buffer.all(), at, of.size)
    }
}

/// Memory that direct reads can use.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// `length` is a multiple of 4096.
    pub(super) fn new(length: usize) -> Self {
        let bytes = vec![0; length + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, length }
    }

    pub(super) fn all(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }

    pub(super) fn first(&self, length: usize) -> &[u8] {
        &self.bytes[self.start..self.start + length.min(self.length)]
    }
}
