//! Pairs of btrfs subvolumes, on one file system or on two.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use resplit_operations::pair::PairRef;
use resplit_steps::{
    context::SystemClock,
    drivers::{btrfs::BtrfsPairs, pairs::PairDriver},
};

use crate::{
    bed::{Bed, Maker},
    disks::{Disk, output},
};

/// Pairs of subvolumes; their secondaries are on the other file system if there is one.
pub(crate) struct Subvolumes {
    disk: Disk,
    other: Option<Disk>,
}

impl Subvolumes {
    /// Not where the machine has no btrfs, or not its program.
    pub(crate) fn new(is_sent: bool) -> Result<Self, String> {
        let _ = output(&["btrfs", "version"])?;
        let disk = || Disk::new("btrfs", 800);
        Ok(Self { disk: disk()?, other: is_sent.then(disk).transpose()? })
    }
}

struct Subvolume {
    pair: PairRef,
    root: PathBuf,
    _target: Option<Disk>,
}

impl Subvolume {
    fn boxed(root: PathBuf, secondary: &Path, target: Option<Disk>) -> Box<dyn Bed> {
        let pair = PairRef {
            apart: None,
            qemu: None,
            lvm: None,
            array: None,
            volume: "documents".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: root.join("primary"),
            secondary: secondary.join("secondary"),
            device: None,
        };
        for place in [&root, secondary] {
            fs::create_dir_all(place).unwrap();
        }
        let _ = output(&["btrfs", "subvolume", "create", pair.primary.to_str().unwrap()]).unwrap();
        Box::new(Self { pair, root, _target: target })
    }
}

impl Maker for Subvolumes {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        let root = self.disk.place().join(name);
        let secondary = self.other.as_ref().map_or(root.clone(), |other| other.place().join(name));
        Subvolume::boxed(root, &secondary, None)
    }

    fn leaves_out(&self, case: &str) -> Option<&'static str> {
        (case == "a target without room" && self.other.is_none()).then_some("a snapshot takes no room")
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        // As small as it can be is larger than what it lacks room for: the rest is taken.
        let small = Disk::new("btrfs", 128).unwrap();
        let has = rustix::fs::statvfs(small.place()).unwrap();
        let ballast = usize::try_from((has.f_bavail * has.f_frsize).saturating_sub(12 << 20)).unwrap();
        fs::write(small.place().join("ballast"), vec![7; ballast]).unwrap();
        crate::bed::settle(&small.place());
        let place = small.place();
        Subvolume::boxed(self.disk.place().join(name), &place, Some(small))
    }
}

impl Bed for Subvolume {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        Box::new(BtrfsPairs::new(Arc::new(SystemClock)))
    }

    fn kind(&self) -> &'static str {
        "btrfs"
    }

    fn tree(&self) -> PathBuf {
        self.pair.primary.clone()
    }

    fn forget(&self) {
        remove(&self.pair.secondary);
        assert!(!self.pair.secondary.exists());
    }
}

/// Removes a directory with the subvolumes in it.
fn remove(place: &Path) {
    let mut waiting = vec![place.to_owned()];
    while let Some(directory) = waiting.pop() {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in entries.filter(|path| path.is_dir() && !path.is_symlink()) {
            // Only subvolumes can be deleted in this way.
            if output(&["btrfs", "subvolume", "delete", path.to_str().unwrap()]).is_err() {
                waiting.push(path);
            }
        }
    }
    let _ = fs::remove_dir_all(place);
}

impl Drop for Subvolume {
    fn drop(&mut self) {
        remove(&self.pair.secondary);
        remove(&self.root);
    }
}
