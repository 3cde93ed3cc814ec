//! Whether anybody wrote to a volume meanwhile: then its copy is no point in time.

use std::{fs, os::unix::fs::MetadataExt};

use super::volume::Volume;
use crate::failure::Failure;

/// How much was written to a volume until now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Writes {
    /// When a file was changed last.
    File(i64, i64),
    /// How many writes a device has done, as the kernel counts them.
    Device(Option<u64>),
}

impl Writes {
    /// Until now.
    pub(super) fn of(volume: &Volume) -> Result<Self, Failure> {
        let found = volume.metadata()?;
        if !volume.is_device {
            return Ok(Self::File(found.mtime(), found.mtime_nsec()));
        }
        let number = found.rdev();
        let place =
            format!("/sys/dev/block/{}:{}/stat", rustix::fs::major(number), rustix::fs::minor(number));
        // The fifth number is of the writes that have ended (Documentation/block/stat.rst of the kernel).
        let count =
            fs::read_to_string(place).ok().and_then(|stat| stat.split_whitespace().nth(4)?.parse().ok());
        Ok(Self::Device(count))
    }

    /// Whether there were more since.
    pub(super) fn since(&self, volume: &Volume) -> Result<bool, Failure> {
        Ok(Self::of(volume)? != *self)
    }
}
