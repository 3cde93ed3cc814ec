//! What may be held still, and what may not.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use rustix::thread::{CapabilitySet, capabilities};

use crate::drivers::mounts::{Mount, open_directory, own_program};
use crate::failure::Failure;

/// The types of file systems that can be frozen.
const FREEZABLE: [&str; 6] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"];

/// Opens the root of a mounted file system, and refuses what must not be frozen. All is asked of the open file, so that
/// what is mounted or unmounted at the path afterwards changes nothing.
pub(super) fn open_freezable(path: &Path) -> Result<(File, Mount), Failure> {
    let refuse = |why: String| {
        Failure::refused(format!("{} cannot be frozen: {why}", path.display())).with_help(
            "name the mount point of the primary's own file system, or use `quiesce: { mode: online }`",
        )
    };
    if !may_freeze() {
        return Err(refuse(
            "freezing needs root's right CAP_SYS_ADMIN, which this process does not have".into(),
        )
        .with_help("run the engine of this host as root"));
    }
    let file = open(path)?;
    let (mount, is_mount_point) =
        Mount::of_file(&file).map_err(|error| Failure::io("find the mount of", path, &error))?;
    if !is_mount_point {
        return Err(refuse(
            "it is no mount point, so that the file system it lies in would be frozen".into(),
        ));
    }
    let system = Mount::of_path(Path::new("/"))
        .map_err(|error| Failure::io("find the mount of", Path::new("/"), &error))?;
    if mount.device == system.device {
        return Err(refuse("it is the root file system, and the machine would stand still with it".into()));
    }
    if !FREEZABLE.contains(&mount.kind.as_str()) {
        return Err(refuse(format!("{} cannot be frozen; {} can", mount.kind, FREEZABLE.join(", "))));
    }
    if mount.root != "/" {
        return Err(refuse(format!(
            "only {} of its file system is mounted there, but all of it would be frozen",
            mount.root
        )));
    }
    Ok((file, mount))
}

/// Refuses a file system that holds something which resplit writes to or runs from while it is frozen.
pub(super) fn keep_clear(
    path: &Path,
    mount: &Mount,
    program: &Path,
    kept_clear: &[PathBuf],
) -> Result<(), Failure> {
    let programs = [program.to_owned(), own_program()];
    for other in kept_clear.iter().chain(&programs) {
        let held = Mount::of_path(other).map_err(|error| Failure::io("find the mount of", other, &error))?;
        if held.devices().contains(&mount.device) {
            let shown = std::fs::canonicalize(other).unwrap_or_else(|_| other.clone());
            return Err(holds(path, &shown.display().to_string()));
        }
    }
    let (out, error) = (std::io::stdout(), std::io::stderr());
    for (name, stream) in [("output", out.as_fd()), ("error", error.as_fd())] {
        // A pipe or a socket is in no mount.
        if let Ok((held, _)) = Mount::of_file(stream)
            && held.devices().contains(&mount.device)
        {
            return Err(holds(path, &format!("the file that this engine's standard {name} goes to")));
        }
    }
    Ok(())
}

/// Opens a directory to be quiesced.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    open_directory(path).map_err(|error| {
        let failure = Failure::io("open", path, &error);
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::refused(failure.message)
                .with_help("quiesce names the directory that contains every primary; create or mount it"),
            _ => failure,
        }
    })
}

fn holds(path: &Path, what: &str) -> Failure {
    Failure::refused(format!(
        "{} cannot be frozen: it holds {what}, which resplit needs meanwhile, and would wait for for ever",
        path.display()
    ))
    .with_help("move one of the two to another file system, or use `quiesce: { mode: online }`")
}

fn may_freeze() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}
