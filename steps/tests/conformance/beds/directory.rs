//! Pairs of directories.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::PairRef;
use resplit_steps::{
    context::SystemClock,
    drivers::{directory::DirectoryPairs, pairs::PairDriver},
};

use crate::{
    bed::{Bed, Maker},
    disks::Disk,
};

/// Pairs of directories on one file system.
pub(crate) struct Directories(pub(crate) Disk);

struct Directory {
    pair: PairRef,
    root: PathBuf,
    _target: Option<Disk>,
}

impl Directory {
    fn boxed(root: PathBuf, secondary: &Path, target: Option<Disk>) -> Box<dyn Bed> {
        let pair = PairRef {
            apart: None,
            volume: "documents".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: root.join("primary"),
            secondary: secondary.join("secondary"),
            device: None,
            array: None,
            qemu: None,
            lvm: None,
        };
        fs::create_dir_all(&pair.primary).unwrap();
        Box::new(Self { pair, root, _target: target })
    }
}

impl Maker for Directories {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        let root = self.0.place().join(name);
        Directory::boxed(root.clone(), &root, None)
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        let small = Disk::new("ext4", 16).unwrap();
        let place = small.place();
        Directory::boxed(self.0.place().join(name), &place, Some(small))
    }
}

impl Bed for Directory {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        Box::new(DirectoryPairs::new(Arc::new(SystemClock)))
    }

    fn kind(&self) -> &'static str {
        "directory"
    }

    fn tree(&self) -> PathBuf {
        self.pair.primary.clone()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
