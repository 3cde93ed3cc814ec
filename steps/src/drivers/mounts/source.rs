//! What a volume is made of, so that a restore notices that it is another one now.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    os::unix::fs::FileTypeExt,
    path::Path,
    process::{Command, Stdio},
};

use resplit_operations::{
    ids::HostId,
    record::{FileSystem, VolumeSource},
};

use super::Mount;
use crate::{drivers::qemu::qcow2_size, failure::Failure};

/// Looks at a primary: a directory, or a volume (a device, or a file that holds a file system).
pub fn source(host: &HostId, path: &Path) -> Result<VolumeSource, Failure> {
    let failure = |error| Failure::io("look at", path, &error);
    let found = path.metadata().map_err(failure)?;
    if found.is_dir() {
        let mount = Mount::of_path(path).map_err(failure)?;
        let filesystem =
            FileSystem { uuid: probed(&mount.source, "UUID"), kind: mount.kind, mounted_at: mount.point };
        return Ok(VolumeSource {
            host: host.clone(),
            path: path.to_owned(),
            filesystem: Some(filesystem),
            size: None,
        });
    }
    let size = if found.file_type().is_block_device() {
        File::open(path).and_then(|mut device| device.seek(SeekFrom::End(0))).map_err(failure)?
    } else {
        qcow2_size(path).map_err(failure)?.unwrap_or(found.len())
    };
    let filesystem = probed(path, "TYPE").map(|kind| FileSystem {
        uuid: probed(path, "UUID"),
        mounted_at: Mount::of_device(path).map(|mount| mount.point).unwrap_or_default(),
        kind,
    });
    Ok(VolumeSource { host: host.clone(), path: path.to_owned(), filesystem, size: Some(size) })
}

/// What the volume itself says, read anew; `None` where it says nothing, or may not be read.
fn probed(volume: &Path, what: &str) -> Option<String> {
    if !volume.is_absolute() {
        return None;
    }
    let ended = Command::new("blkid")
        .args(["-p", "-o", "value", "-s", what, "--"])
        .arg(volume)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|ended| ended.status.success())?;
    let said = String::from_utf8(ended.stdout).ok()?.trim().to_owned();
    (!said.is_empty()).then_some(said)
}
