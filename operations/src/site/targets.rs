//! Further targets of a volume: sets of pairs that copy the same primary by other means, or to other places. Each is a
//! volume of its own to whatever acts on pairs, so that it has its own generations, locks and backups: what overwrites an
//! image of one target costs no backup of another.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Pair, Volume, WrittenVolume};
use crate::ids::{DriverId, NAME_PATTERN, TargetId, VolumeId};

/// The target that a volume's own `pairs` are.
pub const LOCAL: &str = "local";

/// A further set of pairs of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What makes and splits its pairs: directory, image, btrfs, cci, or the name of a file in drivers/.
    #[schemars(schema_with = "driver_schema")]
    pub driver: DriverId,
    /// Its copies, in the order of their generations, all on one host.
    #[schemars(length(min = 1))]
    pub pairs: Vec<Pair>,
    /// What the driver's file wants to know of every pair.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// QEMU copies a disk to the pairs of the volume that names the disk.
fn driver_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string", "pattern": NAME_PATTERN, "x-names": "/drivers", "x-not-built": ["lvm"]
    })
}

/// The name under which the pairs of a target are known: the volume's own, or `VOLUME.TARGET`.
pub fn name(volume: &VolumeId, target: &TargetId) -> VolumeId {
    if target.as_str() == LOCAL { volume.clone() } else { VolumeId(format!("{volume}.{target}")) }
}

impl Volume {
    /// The target that this is, by the name that it has in its site.
    pub fn target<'n>(&self, name: &'n VolumeId) -> &'n str {
        let of = self.of.as_ref().map_or("", VolumeId::as_str);
        name.as_str().strip_prefix(of).and_then(|rest| rest.strip_prefix('.')).unwrap_or(LOCAL)
    }

    /// The volume whose primary this copies, by the name that it has in its site.
    pub fn base<'n>(&'n self, name: &'n VolumeId) -> &'n VolumeId {
        self.of.as_ref().unwrap_or(name)
    }
}

/// Volumes as they are written, each target beside its volume.
pub(super) fn expanded<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<VolumeId, Volume>, D::Error> {
    let written = BTreeMap::<VolumeId, WrittenVolume>::deserialize(deserializer)?;
    let mut volumes = BTreeMap::new();
    for (id, mut volume) in written {
        for (target, Target { driver, pairs, settings }) in std::mem::take(&mut volume.targets) {
            let further = WrittenVolume {
                driver,
                primary: volume.primary.clone(),
                behind: volume.behind.clone(),
                of: Some(id.clone()),
                qemu: None,
                lvm: None,
                pairs,
                settings,
                targets: BTreeMap::new(),
                file: None,
            };
            let _ = volumes.insert(name(&id, &target), further.into());
        }
        let _ = volumes.insert(id, volume.into());
    }
    Ok(volumes)
}
