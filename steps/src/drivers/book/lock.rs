//! One verb at a time on a pair. The system lets go of the lock when its holder dies.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{self, Stdio},
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
        self.file.try_clone().map(Stdio::from)
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
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = file.take(256).read_to_string(&mut holder).map_err(failure)?;
                return Err(Failure::temporary(format!(
                    "pair {} is in use by {}",
                    pair.copy_group,
                    if holder.is_empty() { "another process" } else { holder.trim_end() }
                ))
                .with_help("wait until that has ended, then run again"));
            }
            Err(error) => return Err(failure(error.into())),
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
