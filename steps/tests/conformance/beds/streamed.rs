//! Pairs of directories whose sides are on two hosts: both in this process, with a stream between them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use resplit_operations::pair::PairRef;
use resplit_steps::drivers::pairs::PairDriver;

use crate::{
    bed::{Bed, Maker},
    disks::Disk,
    loopback::{Loopback, apart},
};

/// Pairs of directories on one file system, reached by streams only.
pub(crate) struct Streams(pub(crate) Disk);

struct Streamed {
    pair: PairRef,
    root: PathBuf,
    _target: Option<Disk>,
}

impl Streamed {
    fn boxed(root: PathBuf, secondary: &Path, target: Option<Disk>) -> Box<dyn Bed> {
        let pair = apart(PairRef {
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
        });
        fs::create_dir_all(&pair.primary).unwrap();
        Box::new(Self { pair, root, _target: target })
    }
}

impl Maker for Streams {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        let root = self.0.place().join(name);
        Streamed::boxed(root.clone(), &root, None)
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        let small = Disk::new("ext4", 16).unwrap();
        let place = small.place();
        Streamed::boxed(self.0.place().join(name), &place, Some(small))
    }
}

impl Bed for Streamed {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        Loopback::new().both(&self.pair.primary.with_file_name("told"))
    }

    fn kind(&self) -> &'static str {
        "streamed"
    }

    fn tree(&self) -> PathBuf {
        self.pair.primary.clone()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
