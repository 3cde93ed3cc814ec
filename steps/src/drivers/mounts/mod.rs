//! What is mounted where; and images that are volumes, mounted in directories of ours for as long as a step reads them.

use std::{
    ffi::OsStr,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::book::Lock;
use crate::failure::Failure;

mod holders;
mod source;
mod table;

pub use source::source;

pub(in crate::drivers) use holders::Holders;
pub(in crate::drivers) use table::{Mount, open_directory, own_program};

/// Mounts a device, or a file that holds a file system, at a directory that is made. Asked again, it is done already.
///
/// # Errors
/// What mount(8) says, as a refusal: nothing is mounted then.
pub fn open(source: &Path, options: &str, at: &Path) -> Result<(), Failure> {
    mount(source, options, at, &|| Ok(Stdio::null()))
}

/// The same under the lock of a pair, which mount(8) holds, too: killed meanwhile, this process leaves a mount that is being
/// made to no verb that comes after.
pub(in crate::drivers) fn open_under(
    lock: &Lock,
    source: &Path,
    options: &str,
    at: &Path,
) -> Result<(), Failure> {
    mount(source, options, at, &|| lock.share())
}

fn mount(
    source: &Path,
    options: &str,
    at: &Path,
    input: &dyn Fn() -> io::Result<Stdio>,
) -> Result<(), Failure> {
    if is_mount_point(at).map_err(|error| Failure::io("look up the mounts at", at, &error))? {
        return Ok(());
    }
    fs::create_dir_all(at).map_err(|error| Failure::io("make the directory", at, &error))?;
    let argv =
        [OsStr::new("mount"), "-o".as_ref(), options.as_ref(), "--".as_ref(), source.as_ref(), at.as_ref()];
    let Err(text) = run(&argv, input) else { return Ok(()) };
    // A mount of who was killed, and asked for the same, may have come about only just now.
    if is_mount_point(at).map_err(|error| Failure::io("look up the mounts at", at, &error))? {
        return Ok(());
    }
    Err(Failure::refused(format!("cannot mount {}: {text}", source.display())))
}

/// Unmounts whatever is mounted at a directory of ours or below, last mounted first, and removes the directories, which
/// are empty then. Asked again, it is done already. Gives how many file systems were unmounted.
///
/// # Errors
/// A file system that is in use stays mounted: a temporary failure that names it.
pub fn close(at: &Path) -> Result<usize, Failure> {
    if matches!(at.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound) {
        return Ok(0);
    }
    let failure = |error: &io::Error| Failure::io("look up the mounts at", at, error);
    let real = at.canonicalize().map_err(|error| failure(&error))?;
    let mounted = mounted_below(&real).map_err(|error| failure(&error))?;
    for point in mounted.iter().rev() {
        unmount(point)?;
    }
    remove_empty(&real).map_err(|error| Failure::io("remove the directory", at, &error))?;
    Ok(mounted.len())
}

/// What is mounted at a directory or below, in the order in which it was.
pub fn mounted_below(at: &Path) -> io::Result<Vec<PathBuf>> {
    let real = at.canonicalize()?;
    let points = Mount::all()?.into_iter().map(|mount| mount.point);
    Ok(points.filter(|point| point.starts_with(&real)).collect())
}

/// Unmounts what is mounted last at a directory, which stays.
pub(in crate::drivers) fn unmount(point: &Path) -> Result<(), Failure> {
    let argv = [OsStr::new("umount"), "--".as_ref(), point.as_ref()];
    run(&argv, &|| Ok(Stdio::null())).map_err(|text| {
        Failure::temporary(format!("cannot unmount {}: {text}", point.display())).with_help(format!(
            "end what uses it (fuser -vm {}), then resplit leftovers release",
            point.display()
        ))
    })
}

/// Whether something is mounted exactly there.
pub(in crate::drivers) fn is_mount_point(at: &Path) -> io::Result<bool> {
    let real = match at.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(Mount::all()?.iter().any(|mount| mount.point == real))
}

/// Removes a directory and the directories in it. Anything else that is there stays, and is an error: only what is empty
/// can be removed by mistake without loss.
fn remove_empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        fs::remove_dir(entry?.path())?;
    }
    fs::remove_dir(directory)
}

/// Runs a program of the system to its end; gives what it said if it failed. A program that another thread is just
/// starting holds for a moment what this process has had open: what is busy is tried again.
fn run(argv: &[&OsStr], input: &dyn Fn() -> io::Result<Stdio>) -> Result<(), String> {
    const STARTING: Duration = Duration::from_secs(5);
    let began = Instant::now();
    loop {
        match input().map_err(|error| error.to_string()).and_then(|input| run_once(argv, input)) {
            Err(text) if text.contains("busy") && began.elapsed() < STARTING => {
                thread::sleep(Duration::from_millis(20));
            }
            ended => return ended,
        }
    }
}

/// The program ends with this process, if that is killed: a mount that is made afterwards would be nobody's.
fn run_once(argv: &[&OsStr], input: Stdio) -> Result<(), String> {
    let name = argv.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let ended = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .args(argv)
        .env("LC_ALL", "C")
        .stdin(input)
        .output()
        .map_err(|error| format!("cannot run {name} by setpriv: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr).trim().replace('\n', "; ");
    Err(if said.is_empty() { format!("{name} ended with {}", ended.status) } else { said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_removes_empty_directories_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().join("run");
        assert_eq!(close(&at).unwrap(), 0);
        fs::create_dir_all(at.join("volume")).unwrap();
        assert_eq!(close(&at).unwrap(), 0);
        assert!(!at.exists());
        fs::create_dir_all(at.join("volume")).unwrap();
        fs::write(at.join("volume/file"), "kept").unwrap();
        assert!(close(&at).is_err());
        assert_eq!(fs::read(at.join("volume/file")).unwrap(), b"kept");
    }

    #[test]
    fn a_file_system_in_a_file_is_mounted_and_unmounted() {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
        let at = place.path().join("run/volume");
        if !made.is_ok_and(|status| status.success()) || open(&image, "ro", &at).is_err() {
            eprintln!("skipped: no mkfs.ext4, or no loop devices");
            return;
        }
        assert!(at.join("lost+found").is_dir());
        open(&image, "ro", &at).unwrap();
        assert_eq!(close(&place.path().join("run")).unwrap(), 1);
        assert!(!place.path().join("run").exists());
    }
}
