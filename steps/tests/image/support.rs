//! A pair of image files that hold nothing but blocks.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::{CopyReport, PairRef, PairState, Tag};
use resplit_steps::{
    context::{SystemClock, Work},
    drivers::{
        image::ImagePairs,
        pairs::{Asked, PairDriver},
    },
    failure::{Failure, FailureClass},
};
use tempfile::TempDir;

/// Bytes in a block of the hash map.
pub(crate) const BLOCK: u64 = 65_536;

pub(crate) struct Pair {
    pub(crate) pair: PairRef,
    pub(crate) driver: ImagePairs,
    pub(crate) directory: TempDir,
    work: Work,
}

impl Pair {
    /// A primary of so many bytes, all holes; below a directory.
    pub(crate) fn new(size: u64) -> Self {
        Self::within(TempDir::new().unwrap(), size)
    }

    pub(crate) fn within(directory: TempDir, size: u64) -> Self {
        let pair = PairRef {
            apart: None,
            qemu: None,
            lvm: None,
            volume: "disk".into(),
            copy_group: "VG01,disk01".into(),
            generation: 0,
            primary: directory.path().join("primary"),
            secondary: directory.path().join("secondary"),
            device: None,
            array: None,
        };
        File::create(&pair.primary).unwrap().set_len(size).unwrap();
        Self { pair, driver: ImagePairs::new(Arc::new(SystemClock)), directory, work: Work::silent() }
    }

    pub(crate) fn copy(&self) -> PathBuf {
        self.pair.secondary.join("image")
    }

    pub(crate) fn asked(&self, tag: &str) -> Asked<'_> {
        Asked { tag: Tag(tag.to_owned()), token: 1, work: &self.work }
    }

    pub(crate) fn resync(&self) -> Result<CopyReport, Failure> {
        self.driver.resync(&self.pair, &self.asked("resync"))
    }

    pub(crate) fn split(&self) -> Result<CopyReport, Failure> {
        self.driver.split(&self.pair, 1, &self.asked("split"))
    }

    pub(crate) fn restore(&self, tag: &str) -> Result<CopyReport, Failure> {
        self.driver.restore(&self.pair, &self.asked(tag))
    }

    pub(crate) fn state(&self) -> PairState {
        self.driver.status(&self.pair).unwrap()
    }

    /// Writes bytes into the primary.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        write(&self.pair.primary, at, bytes);
    }

    pub(crate) fn assert_equal(&self) {
        assert!(fs::read(&self.pair.primary).unwrap() == fs::read(self.copy()).unwrap(), "the sides differ");
    }
}

pub(crate) fn write(path: &Path, at: u64, bytes: &[u8]) {
    File::options().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// Bytes of a file that are on disk.
pub(crate) fn allocated(path: &Path) -> u64 {
    File::open(path).unwrap().sync_all().unwrap();
    path.metadata().unwrap().blocks() * 512
}

/// A refusal, in words.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused, "{failure}");
    format!("{failure}; {}", failure.help.as_deref().unwrap_or_default())
}
