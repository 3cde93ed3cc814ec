//! Pairs of volumes: image files, or loop devices on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use resplit_operations::pair::PairRef;
use resplit_steps::{
    context::SystemClock,
    drivers::{image::ImagePairs, pairs::PairDriver},
};

use crate::{
    bed::{Bed, Maker},
    disks::{Disk, Loop, Mounted, format, output, volume},
};

/// Pairs of volumes that hold one kind of file system.
pub(crate) struct Images {
    disk: Disk,
    holds: &'static str,
    devices: bool,
}

impl Images {
    /// Not where the machine cannot mount such a one.
    pub(crate) fn new(disk: Disk, holds: &'static str, devices: bool) -> Result<Self, String> {
        let _ = Disk::new(holds, mebibytes(holds))?;
        Ok(Self { disk, holds, devices })
    }
}

/// As small as its file system can be.
fn mebibytes(holds: &str) -> u64 {
    match holds {
        "xfs" => 300,
        "btrfs" => 128,
        _ => 64,
    }
}

struct Image {
    pair: PairRef,
    root: PathBuf,
    mounted: Mutex<Option<Mounted>>,
    devices: Vec<Loop>,
    _target: Option<Disk>,
}

impl Images {
    fn build(&self, root: PathBuf, secondary: &Path, target: Option<Disk>) -> Box<dyn Bed> {
        fs::create_dir_all(&root).unwrap();
        let file = root.join("primary");
        volume(&file, None, mebibytes(self.holds)).unwrap();
        format(&file, self.holds).unwrap();
        let mut pair = PairRef {
            apart: None,
            volume: "disk".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: file.clone(),
            secondary: secondary.join("secondary"),
            device: None,
            array: None,
            qemu: None,
            lvm: None,
        };
        let mut devices = Vec::new();
        if self.devices {
            let copy = root.join("copy");
            let smaller = u64::from(target.is_some());
            volume(&copy, None, mebibytes(self.holds) - smaller).unwrap();
            devices = [&file, &copy].map(|file| Loop::new(file).unwrap()).into();
            pair.primary.clone_from(&devices[0].0);
            pair.device = Some(devices[1].0.clone());
        }
        let bed = Image { pair, root, mounted: Mutex::new(None), devices, _target: target };
        bed.attach();
        Box::new(bed)
    }
}

impl Maker for Images {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        let root = self.disk.place().join(name);
        self.build(root.clone(), &root, None)
    }

    fn leaves_out(&self, case: &str) -> Option<&'static str> {
        let is_of_trees = ["image", "restore", "resync", "overwrite"].iter().any(|word| case.contains(word));
        let is_needed = self.holds == "ext4" || is_of_trees && !case.contains("killed");
        (!is_needed).then_some("blocks are blocks: as of ext4")
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        let small = Disk::new("ext4", 16).unwrap();
        let place = small.place();
        self.build(self.disk.place().join(name), &place, Some(small))
    }
}

impl Image {
    fn fsfreeze(&self, option: &str) {
        // Nothing here may ever freeze what the machine runs on.
        assert!(self.mounted.lock().unwrap().is_some());
        let _ = output(&["fsfreeze", option, self.tree().to_str().unwrap()]).unwrap();
    }
}

impl Bed for Image {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        Box::new(ImagePairs::new(Arc::new(SystemClock)))
    }

    fn kind(&self) -> &'static str {
        "image"
    }

    fn tree(&self) -> PathBuf {
        self.root.join("mounted")
    }

    fn hold(&self) {
        self.fsfreeze("--freeze");
    }

    fn release(&self) {
        self.fsfreeze("--unfreeze");
    }

    fn detach(&self) {
        drop(self.mounted.lock().unwrap().take());
    }

    fn attach(&self) {
        let mounted = Mounted::new(&self.pair.primary, &self.tree()).unwrap();
        *self.mounted.lock().unwrap() = Some(mounted);
    }

    fn forget(&self) {
        fs::remove_dir_all(&self.pair.secondary).unwrap();
        if let Some(device) = &self.pair.device {
            let wiped = Command::new("wipefs").args(["--all", "--quiet"]).arg(device).status();
            assert!(wiped.unwrap().success());
        }
    }

    fn lose(&self) {
        self.detach();
        match self.devices.first() {
            // Its bytes are gone: that is as lost as a device gets.
            Some(device) => drop(output(&["wipefs", "--all", device.0.to_str().unwrap()]).unwrap()),
            None => fs::remove_file(&self.pair.primary).unwrap(),
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.detach();
        self.devices.clear();
        let _ = fs::remove_dir_all(&self.root);
    }
}
