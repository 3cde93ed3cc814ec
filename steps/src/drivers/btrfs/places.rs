//! Where the subvolumes of a pair are.

use std::path::{Path, PathBuf};

use resplit_operations::pair::PairRef;

use super::subvolume::{Subvolume, is_subvolume};
use crate::{
    drivers::{directory::guard::real, mounts::Mount},
    failure::Failure,
};

/// The names of the image, and of the next one while it is made; both in the pair's directory and beside the primary.
pub(super) const IMAGE: &str = "image";
pub(super) const NEW: &str = "image.new";
/// What a restore makes to be the primary; afterwards what was the primary, until it is deleted.
const RESTORED: &str = "restored";
/// What is kept beside a primary lies in a directory of this name.
const BESIDE: &str = ".resplit";

/// Where the subvolumes of a pair are.
pub(super) struct Places {
    /// The primary, without symbolic links.
    pub(super) primary: PathBuf,
    /// Whether both sides are on one file system, so that an image is a snapshot and not a copy.
    pub(super) is_one: bool,
    pub(super) image: PathBuf,
    pub(super) new: PathBuf,
    /// The pair's directory beside the primary.
    pub(super) beside: PathBuf,
    /// The snapshot of the primary of which the image is a copy, on another file system.
    pub(super) base: PathBuf,
    pub(super) new_base: PathBuf,
    pub(super) restored: PathBuf,
}

impl Places {
    /// By their names alone.
    pub(super) fn named(pair: &PairRef) -> Self {
        let primary = real(&pair.primary);
        let beside = primary.with_file_name(BESIDE).join(pair.copy_group.as_str());
        Self {
            is_one: false,
            image: pair.secondary.join(IMAGE),
            new: pair.secondary.join(NEW),
            base: beside.join(IMAGE),
            new_base: beside.join(NEW),
            restored: beside.join(RESTORED),
            beside,
            primary,
        }
    }

    /// Of a pair whose primary is there.
    ///
    /// # Errors
    /// A refusal if a side is not on btrfs, or the primary is no subvolume.
    pub(super) fn of(pair: &PairRef) -> Result<Self, Failure> {
        let refused = |why: String, help: String| Err(Failure::refused(why).with_help(help));
        let shown = pair.primary.display();
        if !pair.primary.is_dir() {
            return refused(
                format!("the primary {shown} is not a directory"),
                "mount or make it, or correct its path in the site file".to_owned(),
            );
        }
        let (from, to) = (on_btrfs(&pair.primary)?, on_btrfs(&pair.secondary)?);
        if !is_subvolume(&pair.primary) {
            return refused(
                format!("the primary {shown} is no subvolume, of which alone a snapshot can be made"),
                format!(
                    "btrfs subvolume create {shown}.new; cp -a --reflink=always {shown}/. {shown}.new/; then rename it to \
                     {shown}; or use driver: directory"
                ),
            );
        }
        let places = Self { is_one: from.device == to.device, ..Self::named(pair) };
        if !places.is_one && from.point == places.primary {
            return refused(
                format!(
                    "the primary {shown} is a mount point, and the secondary is on another file system: there is no \
                     place beside the primary for the snapshot that the next pass starts from"
                ),
                format!(
                    "mount the file system that holds {shown}, and name the subvolume by its path in that"
                ),
            );
        }
        Ok(places)
    }

    /// Of a pair whose primary is to be put in place; it may be lost.
    ///
    /// # Errors
    /// A refusal if a side is not on btrfs, or the primary is no subvolume that can be replaced.
    pub(super) fn to_restore(pair: &PairRef) -> Result<Self, Failure> {
        let places = Self::named(pair);
        let shown = places.primary.display();
        let refused = |why: String, help: String| Err(Failure::refused(why).with_help(help));
        let to = on_btrfs(&places.primary)?;
        if to.point == places.primary {
            return refused(
                format!("the primary {shown} is a mount point: another subvolume cannot be put in its place"),
                "unmount it, mount the file system that holds it, and name the subvolume by its path in that; or copy \
                 files out with resplit restore --path; nothing was changed"
                    .to_owned(),
            );
        }
        if places.primary.symlink_metadata().is_ok() && !is_subvolume(&places.primary) {
            return refused(
                format!("the primary {shown} is no subvolume"),
                format!("move {shown} away, then run again: the image is put there; nothing was changed"),
            );
        }
        let from = on_btrfs(&pair.secondary)?;
        Ok(Self { is_one: from.device == to.device, ..places })
    }

    /// The snapshot beside the primary that holds the same as the image, if there is one, and where it is: a pass that was
    /// killed between the two sides has left it under the other name.
    pub(super) fn common(&self) -> Result<Option<(&Path, Subvolume)>, Failure> {
        let Some(image) = Subvolume::at(&self.image)? else { return Ok(None) };
        for place in [&self.base, &self.new_base] {
            if let Some(base) = Subvolume::at(place)?.filter(|base| base.is_copy(&image)) {
                return Ok(Some((place, base)));
            }
        }
        Ok(None)
    }

    /// What an interrupted verb has left.
    pub(super) fn left(&self) -> impl Iterator<Item = &Path> {
        let names = [&self.new, &self.new_base, &self.restored];
        names.into_iter().map(PathBuf::as_path).filter(|path| path.symlink_metadata().is_ok())
    }

    /// Removes the directories beside the primary as far as they are empty.
    pub(super) fn leave(&self) {
        for directory in self.beside.ancestors().take(2) {
            // One that holds something stays.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// The mount of a path; refused if that is no btrfs.
pub(super) fn on_btrfs(path: &Path) -> Result<Mount, Failure> {
    let mount = Mount::of_path(path).map_err(|error| Failure::io("find the mount of", path, &error))?;
    if mount.kind == "btrfs" {
        return Ok(mount);
    }
    Err(Failure::refused(format!("{} is on {}, not on btrfs", path.display(), mount.kind))
        .with_help("name places on btrfs, or use driver: directory"))
}
