//! Room that is given up when the disk is full, so that what must be undone can still be recorded.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::files::create_whole;

/// A file of one MiB.
pub(super) struct Reserve {
    path: PathBuf,
    low: AtomicBool,
    restoring: Mutex<()>,
}

const SIZE: u64 = 1 << 20;

impl Reserve {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, low: AtomicBool::new(false), restoring: Mutex::default() }
    }

    /// Makes the file if it is not there; where that fails, space is low.
    pub(super) fn restore(&self) {
        let _alone = self.restoring.lock().unwrap_or_else(PoisonError::into_inner);
        let there = fs::metadata(&self.path).is_ok_and(|file| file.len() == SIZE);
        let made = there
            || create_whole(&self.path, |file, path| {
                fallocate(&*file, FallocateFlags::empty(), 0, SIZE)
                    .or_else(|_| rustix::fs::ftruncate(&*file, SIZE))
                    .map_err(|error| super::error::StoreError::io("allocate", path)(error.into()))
            })
            .inspect_err(|error| tracing::warn!("no room is kept for a full disk: {error}"))
            .is_ok();
        self.low.store(!made, Ordering::Relaxed);
    }

    /// Gives the room up. Whether there was any.
    pub(super) fn release(&self) -> bool {
        self.low.store(true, Ordering::Relaxed);
        fs::remove_file(&self.path).is_ok()
    }

    /// Whether the room was given up or could not be had, and still cannot; or there is none beside it.
    pub(super) fn is_low(&self) -> bool {
        let free = self.free();
        if self.low.load(Ordering::Relaxed) && free.is_none_or(|free| free >= 2 * SIZE) {
            self.restore();
        }
        self.low.load(Ordering::Relaxed) || free.is_some_and(|free| free < SIZE)
    }

    /// Bytes that are free on its disk; `None` where that cannot be told.
    fn free(&self) -> Option<u64> {
        let found = statvfs(self.path.parent()?).ok().filter(|found| found.f_blocks > 0)?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}
