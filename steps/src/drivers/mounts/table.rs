//! Which mounted file system a file belongs to.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStringExt,
            fs::{FileTypeExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Statx, StatxAttributes, StatxFlags, statx};

/// A mounted file system, as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::drivers) struct Mount {
    /// Its number.
    pub(in crate::drivers) id: u64,
    /// The file system, however often it is mounted: `major:minor`.
    pub(in crate::drivers) device: String,
    /// What of the file system is mounted: `/` is all of it.
    pub(in crate::drivers) root: String,
    /// Where it is mounted.
    pub(in crate::drivers) point: PathBuf,
    /// Its type.
    pub(in crate::drivers) kind: String,
    /// What it was mounted from, as the file system names it.
    pub(in crate::drivers) source: PathBuf,
}

impl Mount {
    /// The mount that an open file was opened through, and whether the file is the mount's root.
    pub(in crate::drivers) fn of_file(file: impl AsFd) -> io::Result<(Self, bool)> {
        let status = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
        let is_root = status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        Ok((Self::numbered(&status)?, is_root))
    }

    /// The mount that a path is in; of the nearest parent that exists, if it does not itself.
    pub(in crate::drivers) fn of_path(path: &Path) -> io::Result<Self> {
        for path in path.ancestors() {
            match statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID) {
                Ok(status) => return Self::numbered(&status),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
                    // A symbolic link to what is not there yet: it will be made where the link points to.
                    if let (Ok(target), Some(parent)) = (fs::read_link(path), path.parent()) {
                        return Self::of_path(&parent.join(target));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// The file system's device, and those that hold the files behind it, where it is on a loop device: what is written
    /// to one ends in the next.
    pub(in crate::drivers) fn devices(&self) -> Vec<String> {
        const DEEPEST: usize = 8;
        let mut devices = vec![self.device.clone()];
        let mut device = self.device.clone();
        while devices.len() < DEEPEST {
            let link = format!("/sys/dev/block/{device}/loop/backing_file");
            let Ok(file) = fs::read_to_string(link) else { break };
            let Ok(below) = Self::of_path(Path::new(file.trim_end())) else { break };
            device = below.device;
            devices.push(device.clone());
        }
        devices
    }

    /// The mount of a block device's file system, also of a file that is mounted through a loop device; the first, if
    /// it is mounted more than once.
    pub(in crate::drivers) fn of_device(volume: &Path) -> Option<Self> {
        let found = volume.metadata().ok()?;
        let real = volume.canonicalize().ok()?;
        let number = |device| format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let is_it = |mount: &Self| {
            if found.file_type().is_block_device() {
                return mount.device == number(found.rdev());
            }
            let link = format!("/sys/dev/block/{}/loop/backing_file", mount.device);
            fs::read_to_string(link).is_ok_and(|file| Path::new(file.trim_end()) == real)
        };
        Self::all().ok()?.into_iter().find(is_it)
    }

    fn numbered(status: &Statx) -> io::Result<Self> {
        if status.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return Err(io::Error::other(
                "this kernel does not say which mount a file is in (it is older than 5.8)",
            ));
        }
        Self::all()?
            .into_iter()
            .find(|mount| mount.id == status.stx_mnt_id)
            .ok_or_else(|| io::Error::other("its mount is not listed in /proc/self/mountinfo"))
    }

    /// All that this process sees, in the order in which they were mounted.
    pub(in crate::drivers) fn all() -> io::Result<Vec<Self>> {
        // A mount point may hold any byte but NUL.
        let list = fs::read("/proc/self/mountinfo")?;
        Ok(list.split(|byte| *byte == b'\n').filter_map(Self::parse).collect())
    }

    /// One line of `mountinfo`: number, parent, device, root, mount point, options, optional fields, `-`, type, source.
    fn parse(line: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = line.split(|byte| *byte == b' ');
        let id = text(fields.next()?).parse().ok()?;
        let device = text(fields.nth(1)?);
        let root = text(fields.next()?);
        let point = PathBuf::from(OsString::from_vec(unescaped(fields.next()?)));
        let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
        let kind = text(fields.next()?);
        let source = PathBuf::from(OsString::from_vec(unescaped(fields.next()?)));
        Some(Self { id, device, root, point, kind, source })
    }
}

/// A field of `mountinfo`: blank, tab, newline and backslash are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

/// Opens a directory for its file system's sake, not for its content's.
pub(in crate::drivers) fn open_directory(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(open(path, flags, Mode::empty())?.into())
}

/// The running program, also if its file was replaced meanwhile.
pub(in crate::drivers) fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mount_list_is_read_with_and_without_optional_fields() {
        let wanted = Mount {
            id: 36,
            device: "7:0".into(),
            root: "/sub".into(),
            point: "/mnt/a b".into(),
            kind: "ext4".into(),
            source: "/dev/loop0".into(),
        };
        for optional in ["", " shared:1 master:2"] {
            let line = format!("36 35 7:0 /sub /mnt/a\\040b rw,noatime{optional} - ext4 /dev/loop0 rw");
            assert_eq!(Mount::parse(line.as_bytes()), Some(wanted.clone()));
        }
        assert_eq!(Mount::parse(b"36 35 7:0 /sub"), None);
    }

    #[test]
    fn a_path_that_is_not_there_yet_belongs_to_its_parents_mount() {
        let proc = Mount::of_path(Path::new("/proc/self")).unwrap();
        assert_eq!(proc.kind, "proc");
        assert_eq!(Mount::of_path(Path::new("/proc/not/there")).unwrap(), proc);
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/proc/not/there", directory.path().join("link")).unwrap();
        assert_eq!(Mount::of_path(&directory.path().join("link/below")).unwrap(), proc);
        let (mount, is_root) = Mount::of_file(open_directory(Path::new("/proc")).unwrap()).unwrap();
        assert_eq!((mount, is_root), (proc, true));
        assert!(!Mount::of_file(open_directory(Path::new("/proc/self/fd")).unwrap()).unwrap().1);
    }
}
