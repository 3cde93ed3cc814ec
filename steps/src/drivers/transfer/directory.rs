//! A directory that both hosts mount.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use resplit_operations::site::Transport;
use rustix::fs::OFlags;

use super::{MOST_BYTES, PARTIAL, TransferDriver, too_large};
use crate::failure::Failure;

/// The directory.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn open(transport: &Transport) -> Result<Self, Failure> {
        let path = PathBuf::from(&transport.url.path);
        let found = fs::metadata(&path);
        if found.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return Ok(Self(path));
        }
        let why = found.err().map_or_else(|| "it is not a directory".to_owned(), |error| error.to_string());
        Err(Failure::refused(format!("cannot use {}: {why}", path.display()))
            .with_help(format!("mount it, or make it, on both hosts: mkdir -p {}", path.display())))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let partial = self.0.join(format!("{name}{PARTIAL}"));
        // Never through a link that somebody who also writes here has put there.
        gone(fs::remove_file(&partial))?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&partial)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&partial, self.0.join(name))) {
            // What does not fit is not left to fill the rest.
            let _ = fs::remove_file(&partial);
            return Err(error);
        }
        File::open(&self.0)?.sync_all()
    }

    fn failed(&self, doing: &str, name: &str, error: &io::Error) -> Failure {
        let failure = Failure::io(doing, &self.0.join(name), error);
        if error.kind() == io::ErrorKind::StorageFull {
            return failure.with_help(format!("free space there: df {}", self.0.display()));
        }
        failure
    }
}

/// What is not there is gone.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

impl TransferDriver for Directory {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.write(name, bytes).map_err(|error| self.failed("write", name, &error))
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(self.0.join(name));
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", name, &error)),
        };
        let mut bytes = Vec::new();
        let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
        let _ =
            file.take(most + 1).read_to_end(&mut bytes).map_err(|error| self.failed("read", name, &error))?;
        if bytes.len() > MOST_BYTES { Err(too_large(name)) } else { Ok(Some(bytes)) }
    }

    fn names(&mut self) -> Result<Vec<String>, Failure> {
        let failed = |error: io::Error| self.failed("list", "", &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    fn remove(&mut self, name: &str) -> Result<(), Failure> {
        gone(fs::remove_file(self.0.join(name))).map_err(|error| self.failed("remove", name, &error))
    }
}
