//! One verb at a time on a pair. The system lets go of the lock when its holder dies.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{self, Stdio},
    thread,
    time::{Duration, Instant},
};

use resplit_operations::pair::{PairRef, Tag};
use rustix::{fs::FlockOperation, io::Errno};

use super::LOCK;
use crate::failure::Failure;

/// Held until it is dropped.
pub(in crate::drivers) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to the closing: a child that this process is just starting has the descriptor, too, for a moment.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// The lock as a program's input: that holds the pair as long as the program runs, also if this process is killed
    /// meanwhile.
    pub(in crate::drivers) fn share(&self) -> io::Result<Stdio> {
        self.shared().map(Stdio::from)
    }

    /// The lock for a program that this process starts: who holds it, holds the lock. Where this process is killed, nobody
    /// else touches the pair before the program has ended.
    pub(in crate::drivers) fn shared(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Takes the lock of a pair, making the secondary's directory if it is not there.
    pub(in crate::drivers) fn take(pair: &PairRef, tag: &Tag) -> Result<Self, Failure> {
        make_directory(&pair.secondary)
            .map_err(|error| Failure::io("make the directory", &pair.secondary, &error))?;
        let path = pair.secondary.join(LOCK);
        let failure = |error: io::Error| Failure::io("lock", &path, &error);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failure)?;
        let began = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(failure(error.into())),
            }
            let mut holder = String::new();
            let _ = file
                .rewind()
                .and_then(|()| (&file).take(256).read_to_string(&mut holder))
                .map_err(failure)?;
            if is_gone(&holder) && began.elapsed() < GOING {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            return Err(Failure::temporary(format!(
                "pair {} is in use by {}",
                pair.copy_group,
                if holder.is_empty() { "another process" } else { holder.trim_end() }
            ))
            .with_help("wait until that has ended, then run again"));
        }
        // Who holds it is for the one who waits; on a full disk it is left out.
        let named = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{} (process {})", tag.0, process::id()));
        if let Err(error) = named {
            tracing::debug!(lock = %path.display(), %error, "the holder of a lock is not named");
        }
        Ok(Self { file })
    }
}

/// How long a program may take to go after the process that started it.
const GOING: Duration = Duration::from_secs(10);

/// Whether the process that took the lock is no more: what holds it still is a program that it had started.
fn is_gone(holder: &str) -> bool {
    let process = holder.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once("(process "));
    process.is_some_and(|(_, process)| !Path::new("/proc").join(process).exists())
}

/// Makes a directory and those above it, durably. Only its owner may look into a secondary: what is in it kept the
/// modes that it had below a primary's directories, whose own modes may have kept others out.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for above in path.ancestors().skip(1).take_while(|above| !above.as_os_str().is_empty()) {
        // Directories made a moment ago or long before: the system does not say which.
        if fs::File::open(above).and_then(|directory| directory.sync_all()).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_of_a_process_that_is_gone_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let pair = PairRef {
            apart: None,
            qemu: None,
            lvm: None,
            array: None,
            volume: "documents".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: place.path().join("primary"),
            secondary: place.path().join("secondary"),
            device: None,
        };
        let tag = |text: &str| Tag(text.to_owned());
        drop(Lock::take(&pair, &tag("first")).unwrap());
        // Closed and not unlocked, as by a process that is killed; none has so high a number.
        let path = pair.secondary.join(LOCK);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
        fs::write(&path, "first (process 99999999)\n").unwrap();
        let mut program = Command::new("sleep").arg("0.3").stdin(file).stdout(Stdio::null()).spawn().unwrap();
        drop(Lock::take(&pair, &tag("second")).unwrap());
        // It let go in ending, so that it is waited for a moment at most.
        assert!(program.wait().unwrap().success());
        // Who is there is not waited for.
        let _held = Lock::take(&pair, &tag("third")).unwrap();
        let busy = Lock::take(&pair, &tag("fourth")).map(drop).unwrap_err();
        assert!(busy.message.contains("third (process"), "{busy}");
    }
}
