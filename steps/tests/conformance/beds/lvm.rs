//! Pairs of logical volumes, in groups on loop devices.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use resplit_operations::{
    pair::PairRef,
    site::{LvmKind, LvmVolume},
    units::Size,
};
use resplit_steps::{
    context::SystemClock,
    drivers::{lvm::LvmPairs, pairs::PairDriver},
};

use crate::{
    bed::{Bed, Maker},
    disks::{Disk, Loop, Mounted, output, volume},
};

/// What a primary holds, in MiB.
const SIZE: u64 = 64;

/// Pairs of one kind.
pub(crate) struct Volumes {
    disk: Disk,
    group: Group,
    kind: LvmKind,
    holds: &'static str,
}

impl Volumes {
    /// Not where the machine has no device mapper, or no LVM.
    pub(crate) fn new(kind: LvmKind, holds: &'static str) -> Result<Self, String> {
        let _ = output(&["lvm", "version"]).map_err(|error| format!("{error}; apt-get install lvm2"))?;
        if !fs::read_to_string("/proc/misc").is_ok_and(|misc| misc.contains("device-mapper")) {
            return Err(
                "this kernel has no device mapper; tests/uml runs these rows in one that has".to_owned()
            );
        }
        let disk = Disk::here();
        let group = Group::new(&disk.place(), [600, 500])?;
        if kind == LvmKind::Thin {
            let pool = format!("{}/pool", group.name);
            let _ = output(&["lvcreate", "-q", "-y", "--type", "thin-pool", "-L", "400M", "-n", &pool])?;
        }
        Ok(Self { disk, group, kind, holds })
    }

    fn build(&self, name: &str, group: Option<Group>) -> Box<dyn Bed> {
        let root = self.disk.place().join(name);
        fs::create_dir_all(&root).unwrap();
        let own = group.as_ref().unwrap_or(&self.group);
        let size = format!("{}M", mebibytes(self.holds));
        let path = format!("{}/{name}", own.name);
        let made = match self.kind {
            LvmKind::Thin => {
                let pool = format!("{}/pool", own.name);
                output(&["lvcreate", "-q", "-y", "-V", &size, "--thinpool", &pool, "-n", name])
            }
            _ => output(&["lvcreate", "-q", "-y", "-L", &size, "-n", &path, &own.name, own.device(0)]),
        };
        let _ = made.unwrap();
        let pair = PairRef {
            volume: "disk".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: Path::new("/dev").join(&path),
            secondary: root.join("secondary"),
            device: None,
            array: None,
            qemu: None,
            apart: None,
            lvm: Some(LvmVolume {
                kind: self.kind,
                size: (self.kind == LvmKind::Snapshot).then_some(Size(SIZE << 20)),
                device: (self.kind == LvmKind::Raid1).then(|| own.device(1).into()),
            }),
        };
        let _ = output(&[&format!("mkfs.{}", self.holds), "-q", pair.primary.to_str().unwrap()]).unwrap();
        let bed = Logical { pair, root, path, mounted: Mutex::new(None), _group: group };
        bed.attach();
        Box::new(bed)
    }
}

/// As small as its file system can be.
fn mebibytes(holds: &str) -> u64 {
    if holds == "xfs" { 300 } else { SIZE }
}

impl Maker for Volumes {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        self.build(name, None)
    }

    fn leaves_out(&self, case: &str) -> Option<&'static str> {
        match case {
            "overwrite of a pair whose primary is lost" => {
                Some("an image in its primary's group is lost with it")
            }
            "a target without room" if self.kind == LvmKind::Thin => Some("a snapshot takes no room"),
            "resync killed" | "split killed" if self.kind == LvmKind::Thin => {
                Some("the same commands, in the same order, as of snapshots with room of their own")
            }
            _ if self.holds == "ext4" => None,
            "split: the image stays, the primary goes on" => None,
            _ => Some("blocks are blocks: as of ext4"),
        }
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        self.build(name, Some(Group::new(&self.disk.place().join("full"), [SIZE + 8, 16]).unwrap()))
    }
}

/// A volume group on two loop devices, until it goes.
struct Group {
    name: String,
    devices: [Loop; 2],
}

impl Group {
    fn new(place: &Path, mebibytes: [u64; 2]) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(place).map_err(|error| error.to_string())?;
        let device = |number: usize| {
            let file = place.join(format!("disk{number}"));
            volume(&file, None, mebibytes[number])?;
            Loop::new(&file)
        };
        let devices = [device(0)?, device(1)?];
        let name = format!("resplit-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let group = Self { name, devices };
        let _ = output(&["vgcreate", "-q", "-y", &group.name, group.device(0), group.device(1)])?;
        Ok(group)
    }

    fn device(&self, number: usize) -> &str {
        self.devices[number].0.to_str().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = output(&["vgremove", "-q", "-f", "-y", &self.name]);
    }
}

struct Logical {
    pair: PairRef,
    root: PathBuf,
    /// Group and name.
    path: String,
    mounted: Mutex<Option<Mounted>>,
    _group: Option<Group>,
}

impl Logical {
    fn kind(&self) -> LvmKind {
        self.pair.lvm.as_ref().unwrap().kind
    }

    fn fsfreeze(&self, option: &str) {
        // Nothing here may ever freeze what the machine runs on.
        assert!(self.mounted.lock().unwrap().is_some());
        let _ = output(&["fsfreeze", option, self.tree().to_str().unwrap()]).unwrap();
    }

    /// Removes what was made of the pair in its group.
    fn remove_images(&self) {
        let group = self.path.split('/').next().unwrap();
        let all = output(&["lvs", "-a", "--noheadings", "-o", "lv_name", group]).unwrap_or_default();
        for name in all.split_whitespace() {
            if name.starts_with("resplit.") {
                let _ = output(&["lvremove", "-q", "-y", &format!("{group}/{name}")]);
            }
            if name.contains("_rimage_") && !name.starts_with('[') {
                let _ = output(&["lvconvert", "-q", "-y", "--merge", &format!("{group}/{name}")]);
            }
        }
    }
}

impl Bed for Logical {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        Box::new(LvmPairs::new(Arc::new(SystemClock)))
    }

    fn kind(&self) -> &'static str {
        "lvm"
    }

    fn counts(&self) -> bool {
        false
    }

    fn kills(&self) -> usize {
        4
    }

    fn tree(&self) -> PathBuf {
        self.root.join("mounted")
    }

    fn hold(&self) {
        // LVM freezes the file system itself for a snapshot.
        if self.kind() == LvmKind::Raid1 {
            self.fsfreeze("--freeze");
        }
    }

    fn release(&self) {
        if self.kind() == LvmKind::Raid1 {
            self.fsfreeze("--unfreeze");
        }
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
        self.remove_images();
    }
}

impl Drop for Logical {
    fn drop(&mut self) {
        self.detach();
        self.remove_images();
        let _ = output(&["lvremove", "-q", "-f", "-y", &self.path]);
        let _ = fs::remove_dir_all(&self.root);
    }
}
