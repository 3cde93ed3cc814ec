//! Images: mounting and unmounting them, overwriting them from tape, and what must not be mounted meanwhile.

use std::{
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use resplit_operations::pair::{CopyReport, PairStatus, PairVerb};

use super::{Asking, Book, status::in_flight};
use crate::{
    drivers::{
        book::{is_overwritten, open, unusable},
        directory,
        mounts::{self, Mount},
        pairs::Asked,
    },
    failure::Failure,
};

impl Asking<'_> {
    /// The device that the driver's file says an image is, if it says so and the settings name one.
    pub(super) fn device(&self) -> Result<Option<PathBuf>, Failure> {
        let template = self.array.file.image.as_ref().and_then(|image| image.device.as_ref());
        let device = template.map(|template| self.render(template)).transpose()?;
        Ok(device.filter(|device| !device.is_empty()).map(PathBuf::from))
    }

    pub(super) fn open_image(&self, at: &Path) -> Result<PathBuf, Failure> {
        let status = self.state()?.status;
        if status != PairStatus::Psus {
            return Err(unusable(self.pair, status, "PSUS to have an image").with_help("split it first"));
        }
        self.open(at, None)
    }

    /// Opens what is on the secondary, with the options of the file or others.
    fn open(&self, at: &Path, options: Option<&str>) -> Result<PathBuf, Failure> {
        let group = &self.pair.copy_group;
        let lacking = |what: &str| Failure::refused(format!("pair {group}: {what}"));
        let image = self.array.file.image.as_ref();
        let image = image.ok_or_else(|| {
            lacking("its driver does not say how an image is read")
                .with_help(format!("add image: to drivers/{}.yaml", self.array.driver))
        })?;
        if let Some(tree) = &image.tree {
            return Ok(PathBuf::from(self.render(tree)?));
        }
        if let Some(mount) = &image.mount {
            fs::create_dir_all(at).map_err(|error| Failure::io("make the directory", at, &error))?;
            let mut values = self.values.clone();
            values.put("at", &at.to_string_lossy());
            let asking = Asking { values, ..*self };
            let ended = asking.ask(mount)?;
            return if ended.code == 0 { Ok(at.to_owned()) } else { Err(asking.failed(mount, &ended)) };
        }
        let device = self.device()?.ok_or_else(|| {
            lacking("its settings name no device to mount").with_help("say it in the settings of the pair")
        })?;
        let said = image.options.as_ref().map(|one| self.render(one)).transpose()?;
        mounts::open(&device, options.or(said.as_deref()).unwrap_or("ro"), at)?;
        Ok(at.to_owned())
    }

    pub(super) fn begin_overwrite(&self, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        let (_lock, mut book) = open(self.pair, asked)?;
        let restoring = book.last.as_ref().is_some_and(|last| last.verb == PairVerb::Restore);
        if restoring && in_flight(&book) {
            return Err(unusable(
                self.pair,
                PairStatus::Rcpy,
                "PSUS, since its image is the only whole copy",
            ));
        }
        // An array's secondary is written only while it is split; to split it, its primary is needed.
        let before = self.reading()?.status;
        if before != PairStatus::Psus {
            return Err(unusable(self.pair, before, "PSUS to be overwritten").with_help("split it first"));
        }
        let _ = self.notice(&mut book, before);
        self.verb(asked, PairVerb::Overwrite).begin(&mut book);
        book.write(&self.pair.secondary)?;
        let root = self.open(at, Some("rw"))?;
        directory::overwrite::empty(&root, asked.work)?;
        Ok(root)
    }

    pub(super) fn end_overwrite(&self, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        let (_lock, mut book): (_, Book) = open(self.pair, asked)?;
        if is_overwritten(self.pair, &book, asked)? {
            return Ok(());
        }
        if let Some(device) = self.device()? {
            for mount in mounts_of(&device)? {
                let directory = mounts::open_directory(&mount.point)
                    .map_err(|error| Failure::io("open", &mount.point, &error))?;
                rustix::fs::syncfs(&directory)
                    .map_err(|error| Failure::io("write to the disk", &mount.point, &error.into()))?;
                drop(directory);
                let _ = mounts::close(&mount.point)?;
            }
        }
        self.verb(asked, PairVerb::Overwrite).end(&mut book, report);
        book.write(&self.pair.secondary)
    }

    /// What an array overwrites must not be mounted: neither side's file system would survive it.
    pub(super) fn refuse_mounted(&self) -> Result<(), Failure> {
        let Some(device) = self.device()? else { return Ok(()) };
        let Some(mount) = mounts_of(&device)?.into_iter().next() else { return Ok(()) };
        let (group, point) = (&self.pair.copy_group, mount.point.display());
        Err(Failure::refused(format!("the secondary of pair {group} is mounted at {point}"))
            .with_help(format!("unmount it: umount {point}; if a run has mounted it, resplit leftovers")))
    }

    pub(super) fn purge_cache(&self) -> Result<&'static str, Failure> {
        self.refuse_mounted()?;
        let Some(verb) = &self.array.file.verbs.purge_cache else {
            return Ok("not needed: the driver names no command for it");
        };
        let device = self.device()?;
        let is_block =
            |path: &PathBuf| fs::metadata(path).is_ok_and(|seen| seen.file_type().is_block_device());
        if self.array.file.image.is_some() && !device.as_ref().is_some_and(is_block) {
            return Ok("not needed: no block device of the secondary is on this host");
        }
        for argv in &verb.run {
            let ended = self.ask(argv)?;
            if !u8::try_from(ended.code).is_ok_and(|code| verb.success.contains(&code)) {
                return Err(self.failed(argv, &ended));
            }
        }
        Ok("purged")
    }
}

/// Where a device is mounted on this host.
fn mounts_of(device: &Path) -> Result<Vec<Mount>, Failure> {
    let Ok(real) = device.canonicalize() else { return Ok(Vec::new()) };
    let all = Mount::all().map_err(|error| Failure::io("look up the mounts of", device, &error))?;
    Ok(all.into_iter().filter(|mount| is_of(mount, &real)).collect())
}

/// Whether a mount is of a device, or of a file that is attached as a loop device.
fn is_of(mount: &Mount, real: &Path) -> bool {
    let link = |name: &str| fs::read_to_string(format!("/sys/dev/block/{}/{name}", mount.device)).ok();
    if link("loop/backing_file").is_some_and(|file| Path::new(file.trim_end()) == real) {
        return true;
    }
    let Some(event) = link("uevent") else { return false };
    let name = event.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    name.is_some_and(|name| Path::new("/dev").join(name) == real)
}
