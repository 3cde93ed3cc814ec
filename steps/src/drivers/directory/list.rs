//! The entries of one directory.

use std::mem::MaybeUninit;

use rustix::{
    fd::AsFd,
    fs::RawDir,
    io::{self, Errno},
};

use super::stat::Stat;

/// One entry.
pub(super) struct Listed {
    pub(super) name: Box<[u8]>,
    pub(super) stat: Stat,
}

/// A buffer for directory entries, used again and again.
pub(super) struct Buffer(Vec<MaybeUninit<u8>>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(vec![MaybeUninit::uninit(); 64 * 1024])
    }
}

/// The entries, in the order of their names. They are looked at in the order of their inodes, which is how they lie
/// on disk. What vanishes meanwhile is left out.
pub(super) fn list(directory: impl AsFd, buffer: &mut Buffer) -> io::Result<Vec<Listed>> {
    let directory = directory.as_fd();
    let mut names: Vec<(u64, Box<[u8]>)> = Vec::new();
    let mut entries = RawDir::new(directory, &mut buffer.0);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((entry.ino(), name.into()));
        }
    }
    names.sort_unstable_by_key(|(ino, _)| *ino);
    let mut listed = Vec::with_capacity(names.len());
    for (_, name) in names {
        match Stat::at(directory, &*name) {
            Ok(stat) => listed.push(Listed { name, stat }),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}
