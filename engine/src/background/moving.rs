//! A state directory that moves with a host from machine to machine (a virtual server of a cluster): on a machine that does
//! not have it now there is an empty directory in its place, which must not become a new store.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use resplit_operations::ids::HostId;
use resplit_steps::failure::Failure;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

/// The file in the root of the file system that says that a host's state is on it.
fn marker(on: &Path, host: &HostId) -> PathBuf {
    on.join(format!(".resplit-{host}"))
}

/// Refuses unless the file system that moves with a host is mounted here, and is the one that was marked.
pub(super) fn check(on: &Path, host: &HostId) -> Result<(), Failure> {
    mounted(on, host)?;
    let marker = marker(on, host);
    match fs::symlink_metadata(&marker) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::refused(format!(
            "the file system at {} is not marked as that of host '{host}': {} is not there",
            on.display(),
            marker.display()
        ))
        .with_help(format!("if it is the right one, and new: resplit site mark {host}"))),
        Err(error) => Err(Failure::io("look at", &marker, &error)),
    }
}

/// Marks the file system that is mounted now as that of a host. Gives the file that says so.
pub fn mark(on: &Path, host: &HostId) -> Result<PathBuf, Failure> {
    mounted(on, host)?;
    let marker = marker(on, host);
    let written = File::create_new(&marker).and_then(|mut file| {
        writeln!(file, "The state of the host '{host}' of resplit is on this file system.")?;
        file.sync_all()?;
        File::open(on)?.sync_all()
    });
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::io("write", &marker, &error))
        }
        _ => Ok(marker),
    }
}

fn mounted(on: &Path, host: &HostId) -> Result<(), Failure> {
    let found = statx(CWD, on, AtFlags::empty(), StatxFlags::BASIC_STATS);
    let absent = |text: String| {
        Failure::refused(format!("the state of host '{host}' is not on this machine now: {text}"))
            .with_help(format!("mount {} here, or work where it is mounted", on.display()))
    };
    match found {
        Ok(found) if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) => Ok(()),
        Ok(_) => Err(absent(format!("nothing is mounted at {}", on.display()))),
        Err(error) => Err(absent(format!("{}: {}", on.display(), io::Error::from(error)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_place_is_not_taken_for_a_store() {
        let place = tempfile::tempdir().unwrap();
        let host = "virtual".into();
        for refused in [check(place.path(), &host).unwrap_err(), mark(place.path(), &host).unwrap_err()] {
            assert!(refused.message.contains("nothing is mounted"), "{refused}");
        }
        let refused = check(&place.path().join("gone"), &host).unwrap_err();
        assert!(refused.message.contains("not on this machine"), "{refused}");
        // A root of a mount that is there on every machine, and not marked.
        let refused = check(Path::new("/proc"), &host).unwrap_err();
        assert!(refused.message.contains("not marked"), "{refused}");
    }
}
