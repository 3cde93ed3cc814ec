//! The size of a disk by the header of its file.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// The size of the disk that a qcow2 file holds; `None` of any other file. The header is magic, version, backing file's
/// offset and length, cluster bits, size: `docs/interop/qcow2.rst` of QEMU.
pub(in crate::drivers) fn qcow2_size(path: &Path) -> io::Result<Option<u64>> {
    let mut header = [0; 32];
    match File::open(path)?.read_exact_at(&mut header, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut size = [0; 8];
    size.copy_from_slice(&header[24..]);
    Ok((header[..4] == *b"QFI\xfb").then(|| u64::from_be_bytes(size)))
}
