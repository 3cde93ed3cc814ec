//! What exists: the model of `site.yaml`.

mod host;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod targets;
pub mod transport;

pub use self::{
    host::{Address, CONNECT_PATTERN, CONNECT_WANTED, Connect, Host, Reach, is_connect},
    transport::Transport,
};
use crate::{
    driver::{ArrayPair, DriverFile},
    ids::{CopyGroup, DriverId, HostId, LibraryId, NAME_PATTERN, PoolId, TargetId, TransportId, VolumeId},
    pace::Pace,
    pair::{Apart, PairRef, verdict::CopyType},
    units::Size,
};

mod lvm;

pub use lvm::{LvmKind, LvmVolume};

/// The hosts, volumes and libraries that operations may name. One file, the same on every host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The machines, or state directories, on which steps run.
    #[schemars(extend("minProperties" = 1))]
    pub hosts: BTreeMap<HostId, Host>,
    /// What is backed up. A further target of a volume is a volume of its own here, `VOLUME.TARGET`, with the same primary.
    #[serde(deserialize_with = "targets::expanded")]
    pub volumes: BTreeMap<VolumeId, Volume>,
    /// In a plan: the volumes whose pairs lie in front of or behind those that it acts on, or share their primaries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "targets::expanded")]
    #[schemars(skip)]
    pub neighbours: BTreeMap<VolumeId, Volume>,
    /// Where tapes are.
    #[serde(default)]
    pub libraries: BTreeMap<LibraryId, Library>,
    /// Places over which a host can hand files to another, if not through the other's engine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub transports: BTreeMap<TransportId, Transport>,
}

/// What shares one primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenVolume", into = "WrittenVolume")]
pub struct Volume {
    /// What makes and splits its pairs.
    pub driver: PairDriverKind,
    /// Where the original is.
    pub primary: Location,
    /// The pair in front, whose secondary is this primary: then this volume's pairs are a cascade behind it.
    pub behind: Option<CopyGroup>,
    /// Of a further target: the volume whose primary it copies.
    pub of: Option<VolumeId>,
    /// How QEMU is asked for the disk, for the driver `qemu`.
    pub qemu: Option<QemuDisk>,
    /// What LVM makes, for the driver `lvm`.
    pub lvm: Option<LvmVolume>,
    /// Its copies, in the order of their generations: the first is generation 0.
    pub pairs: Vec<Pair>,
    /// What the driver's file wants to know of every pair.
    pub settings: BTreeMap<String, String>,
    /// The driver, where a file declares it: so a plan carries it.
    pub declared: Option<Declared>,
}

/// A driver that a file declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// The stem of the file.
    pub name: DriverId,
    /// What the file says; `None` until it was looked up.
    #[serde(default)]
    pub file: Option<Arc<DriverFile>>,
}

/// A volume as a file has it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Volume", description = "What shares one primary.")]
struct WrittenVolume {
    /// What makes and splits its pairs: directory, image, btrfs, lvm, qemu, cci, or the name of a file in drivers/.
    #[schemars(schema_with = "driver_schema")]
    driver: DriverId,
    /// Where the original is.
    primary: Location,
    /// The pair in front, if the original is the secondary of another volume's pair: a cascade. `"VG01,vol01"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<CopyGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    of: Option<VolumeId>,
    /// How QEMU is asked for the disk, for the driver `qemu`; `primary.path` is the file or device in which QEMU keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qemu: Option<QemuDisk>,
    /// What LVM makes, for the driver `lvm`; `primary.path` is `/dev/GROUP/VOLUME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lvm: Option<LvmVolume>,
    /// Its copies, in the order of their generations: the first is generation 0.
    #[schemars(length(min = 1))]
    pairs: Vec<Pair>,
    /// What the driver's file wants to know of every pair.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, String>,
    /// Further copies of the same original, by other means or in other places. An operation names those that it splits
    /// in its window: `targets: [local, NAME]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    targets: BTreeMap<TargetId, targets::Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    file: Option<Arc<DriverFile>>,
}

/// The schema of a driver's name.
fn driver_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "pattern": NAME_PATTERN,
        "x-names": "/drivers"
    })
}

impl From<WrittenVolume> for Volume {
    fn from(written: WrittenVolume) -> Self {
        let WrittenVolume { driver, primary, behind, of, qemu, lvm, pairs, settings, targets: _, file } =
            written;
        let own = PairDriverKind::BUILT_IN.into_iter().find(|kind| kind.to_string() == driver.as_str());
        let (driver, declared) = match own {
            Some(kind) => (kind, None),
            None => (PairDriverKind::Declared, Some(Declared { name: driver, file })),
        };
        Self { driver, primary, behind, of, qemu, lvm, pairs, settings, declared }
    }
}

impl From<Volume> for WrittenVolume {
    fn from(volume: Volume) -> Self {
        let Volume { driver, primary, behind, of, qemu, lvm, pairs, settings, declared } = volume;
        let (driver, file) = match declared {
            Some(declared) => (declared.name, declared.file),
            None => (DriverId(driver.to_string()), None),
        };
        Self { driver, primary, behind, of, qemu, lvm, pairs, settings, targets: BTreeMap::new(), file }
    }
}

impl JsonSchema for Volume {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        WrittenVolume::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WrittenVolume::json_schema(generator)
    }
}

/// The pair drivers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairDriverKind {
    /// A directory copied into another.
    Directory,
    /// A block device, or a file that holds a file system, copied block by block.
    Image,
    /// A btrfs subvolume, of which snapshots are made.
    Btrfs,
    /// A disk behind QEMU or qemu-storage-daemon, which copies the blocks that were written.
    Qemu,
    /// A logical volume, of which LVM makes snapshots or splits a mirror.
    Lvm,
    /// Whatever a driver file says: an array, by its own commands.
    Declared,
}

impl PairDriverKind {
    /// Those that need no driver file.
    pub const BUILT_IN: [Self; 5] = [Self::Directory, Self::Image, Self::Btrfs, Self::Qemu, Self::Lvm];

    /// How its pairs are copied, and so what they answer to a verb. Of an array, that is what its driver answers, which
    /// waits for copies and splits again after a restore; not what the array does, which it asks one thing at a time.
    pub const fn copy_type(self) -> CopyType {
        match self {
            Self::Directory | Self::Image | Self::Qemu | Self::Declared => CopyType::Mirror,
            Self::Btrfs | Self::Lvm => CopyType::Snapshot,
        }
    }
}

impl std::fmt::Display for PairDriverKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Directory => "directory",
            Self::Image => "image",
            Self::Btrfs => "btrfs",
            Self::Qemu => "qemu",
            Self::Lvm => "lvm",
            Self::Declared => "declared",
        })
    }
}

/// How QEMU, or qemu-storage-daemon, is asked for a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QemuDisk {
    /// The Unix socket of its QMP monitor; relative to the site directory, or absolute. QEMU serves one client at a time
    /// there: give it one of its own (`--chardev socket,path=...,server=on,wait=off,id=m --monitor chardev=m`).
    #[schemars(length(min = 1))]
    pub socket: PathBuf,
    /// The node name of the disk: what is exported, or attached to a guest.
    #[schemars(length(min = 1))]
    pub node: String,
    /// The most that is copied in a second, so that whoever uses the disk is not slowed down: `100MiB`. Without it, as fast
    /// as QEMU can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Size>,
}

/// A place on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// The host.
    pub host: HostId,
    /// The path there; relative to the site directory, or absolute.
    #[schemars(length(min = 1))]
    pub path: PathBuf,
}

/// One primary/secondary relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its name, `group,device`. In flow style it needs quotes: `"VG01,vol01"`.
    pub copy_group: CopyGroup,
    /// Where the copy is.
    pub secondary: Secondary,
    /// How fast it is copied, from 1 to 15, if its driver can be told; an operation's own `pace` counts more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// What the driver's file wants to know of this pair; counts more than the volume's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// Where a copy is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secondary {
    /// The host.
    pub host: HostId,
    /// The pair's directory there; relative to the site directory, or absolute. It holds what is known of the pair, and
    /// the copy unless that is a device.
    #[schemars(length(min = 1))]
    pub path: PathBuf,
    /// The block device that is the copy, for the driver `image`. A name that stays the same, as those in
    /// `/dev/disk/by-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub device: Option<PathBuf>,
    /// How it is reached from the primary's host. Without it: by its path where both hosts are on one machine, else by a
    /// stream from engine to engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<PairReach>,
}

/// How a secondary is reached from the primary's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairReach {
    /// Its path is the same place on both hosts: one machine, or a file system that both have mounted.
    Path,
    /// The secondary's engine is sent what differs. For the driver `directory`.
    Stream,
}

/// A tape library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// What moves its cartridges.
    pub driver: MediaDriverKind,
    /// The host that it is attached to.
    pub host: HostId,
    /// The directory with its cartridges.
    #[schemars(length(min = 1))]
    pub path: PathBuf,
    /// How many cartridges it holds.
    #[schemars(range(min = 1, max = 10_000))]
    pub slots: u32,
    /// How many of them can be used at once.
    #[schemars(range(min = 1, max = 64))]
    pub drives: u32,
    /// What one cartridge holds.
    pub cartridge_size: Size,
    /// The pools that its cartridges are given to.
    #[schemars(length(min = 1))]
    pub pools: Vec<PoolId>,
}

/// The media drivers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaDriverKind {
    /// Cartridges as files in a directory.
    Virtual,
}

impl Volume {
    /// How the array of a pair is asked, if a driver file says that.
    fn array(&self, pair: &Pair) -> Option<ArrayPair> {
        let declared = self.declared.as_ref()?;
        let mut settings = self.settings.clone();
        settings.extend(pair.settings.clone());
        Some(ArrayPair {
            driver: declared.name.clone(),
            file: declared.file.clone()?,
            settings,
            primary_host: self.primary.host.clone(),
            secondary_host: pair.secondary.host.clone(),
        })
    }
}

impl Site {
    /// Every pair of a volume, or of a neighbour, in the order of generations; none if the site has no such volume.
    pub fn pairs(&self, volume: &VolumeId) -> Vec<PairRef> {
        let found = self.volumes.get(volume).or_else(|| self.neighbours.get(volume));
        let Some(found) = found else { return Vec::new() };
        (0..)
            .zip(&found.pairs)
            .map(|(generation, pair)| {
                (
                    PairRef {
                        volume: volume.clone(),
                        copy_group: pair.copy_group.clone(),
                        generation,
                        primary: found.primary.path.clone(),
                        secondary: pair.secondary.path.clone(),
                        device: pair.secondary.device.clone(),
                        array: found.array(pair).map(Arc::new),
                        qemu: found.qemu.clone(),
                        lvm: found.lvm.clone(),
                        apart: self.apart(found, &pair.secondary).map(Arc::new),
                    },
                    pair.pace,
                )
            })
            .map(|(pair, pace)| pair.at_pace(pace).into_owned())
            .collect()
    }

    /// The sides of a pair, if what copies it has to reach one of them through the engine of its host.
    fn apart(&self, volume: &Volume, secondary: &Secondary) -> Option<Apart> {
        let streams = volume.driver == PairDriverKind::Directory;
        let names = [&volume.primary.host, &secondary.host];
        let hosts = names.map(|name| Some((name.clone(), self.hosts.get(name)?.clone())));
        let apart = Apart {
            primary_host: volume.primary.host.clone(),
            secondary_host: secondary.host.clone(),
            hosts: hosts.into_iter().flatten().collect(),
        };
        let is_far = match secondary.reach {
            _ if !streams || apart.primary_host == apart.secondary_host => false,
            Some(reach) => reach == PairReach::Stream,
            None => !apart.is_one_machine(),
        };
        is_far.then_some(apart)
    }

    /// The same site with every path made absolute: relative ones are relative to `directory`, or to the site directory
    /// that their host says, lexically. What ssh is configured by is not: it belongs to whoever connects.
    #[must_use]
    pub fn resolved(&self, directory: &Path) -> Self {
        let mut site = self.clone();
        for (id, host) in &mut site.hosts {
            host.state = self.on(id, directory, &host.state);
        }
        for volume in site.volumes.values_mut().chain(site.neighbours.values_mut()) {
            let primary = &mut volume.primary;
            primary.path = self.on(&primary.host, directory, &primary.path);
            if let Some(qemu) = &mut volume.qemu {
                qemu.socket = self.on(&primary.host, directory, &qemu.socket);
            }
            for pair in &mut volume.pairs {
                let secondary = &mut pair.secondary;
                secondary.path = self.on(&secondary.host, directory, &secondary.path);
                secondary.device =
                    secondary.device.as_ref().map(|device| self.on(&secondary.host, directory, device));
            }
        }
        for library in site.libraries.values_mut() {
            library.path = self.on(&library.host, directory, &library.path);
        }
        site
    }
}

/// `path` below `directory` unless it is absolute, with `.` and `..` taken out without asking the file system.
pub fn absolute(directory: &Path, path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                let _ = result.pop();
            }
            other => result.push(other),
        }
    }
    result
}
