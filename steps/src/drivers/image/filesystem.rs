//! The file system in an image: which it is, whether it was left in the middle of something, and how it is mounted.

use std::{
    collections::BTreeMap,
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::failure::Failure;

/// A file system in an image.
pub(in crate::drivers) struct FileSystem {
    kind: String,
}

impl FileSystem {
    /// What an image holds.
    ///
    /// # Errors
    /// A refusal if that is no file system.
    pub(in crate::drivers) fn of(image: &Path) -> Result<Self, Failure> {
        let found = probe(image)?;
        let none = |what: &str| {
            Failure::refused(format!("{} holds {what}: there is no tree in it", image.display())).with_help(
                "only trees can be put on tape yet, and be read from it; without `tape` and `backup_server` the image \
                 is kept on disk, and restored from there",
            )
        };
        match (found.get("TYPE"), found.get("USAGE").map(String::as_str), found.get("PTTYPE")) {
            (Some(kind), Some("filesystem") | None, _) => Ok(Self { kind: kind.clone() }),
            (Some(kind), _, _) => Err(none(&format!("{kind}, which is no file system"))),
            (None, _, Some(table)) => Err(none(&format!("a partition table ({table}), not a file system"))),
            (None, _, None) => Err(none("no file system that blkid knows")),
        }
    }

    /// Options with which it is mounted such that nothing of the image is changed.
    pub(in crate::drivers) fn read_only(&self) -> &'static str {
        match self.kind.as_str() {
            "ext3" | "ext4" => "ro,noload",
            "xfs" => "ro,norecovery,nouuid",
            "f2fs" => "ro,norecovery",
            _ => "ro",
        }
    }

    /// Options with which it is mounted to be written to.
    pub(in crate::drivers) fn writable(&self) -> &'static str {
        if self.kind == "xfs" { "rw,nouuid" } else { "rw" }
    }

    /// Whether it does not say if its journal has to be replayed: XFS leaves a record in its log also when it is frozen.
    pub(in crate::drivers) fn hides_replay(&self) -> bool {
        matches!(self.kind.as_str(), "xfs" | "f2fs")
    }

    /// Whether what its journal holds may be missing in the image: it was not at rest when the image was made. XFS does not
    /// say (a freeze leaves a record in its log on purpose, `xfs_log_quiesce`), so it may always.
    pub(in crate::drivers) fn needs_replay(&self, image: &Path) -> Result<bool, Failure> {
        let field = |at: u64, length: usize| {
            let mut bytes = [0; 8];
            std::fs::File::open(image)
                .and_then(|file| file.read_exact_at(&mut bytes[..length], at))
                .map_err(|error| Failure::io("read the superblock of", image, &error))?;
            Ok(u64::from_le_bytes(bytes))
        };
        match self.kind.as_str() {
            // s_feature_incompat, EXT4_FEATURE_INCOMPAT_RECOVER (Documentation/filesystems/ext4/super.rst).
            "ext3" | "ext4" => Ok(field(1024 + 96, 4)? & 0x4 != 0),
            // log_root of struct btrfs_super_block: 0 without a log tree.
            "btrfs" => Ok(field(65_536 + 96, 8)? != 0),
            "xfs" | "f2fs" => Ok(true),
            _ => Ok(false),
        }
    }
}

/// What a device holds, in words; `None` if it is nothing that is known.
pub(super) fn signature(device: &Path) -> Result<Option<String>, Failure> {
    let found = probe(device)?;
    Ok(match (found.get("TYPE"), found.get("PTTYPE")) {
        (Some(kind), _) => Some(kind.clone()),
        (None, Some(table)) => Some(format!("a partition table ({table})")),
        (None, None) => None,
    })
}

/// What blkid(8) finds by looking into a volume.
fn probe(volume: &Path) -> Result<BTreeMap<String, String>, Failure> {
    /// Nothing found; several things found, which contradict each other.
    const NOTHING: i32 = 2;
    const SEVERAL: i32 = 8;
    if let Err(error) = volume.metadata() {
        return Err(Failure::refused(Failure::io("look into", volume, &error).message)
            .with_help("resync and split the pair first"));
    }
    let cannot =
        |why: &str| Failure::permanent(format!("blkid cannot look into {}: {why}", volume.display()));
    let ended = Command::new("blkid")
        .args(["--probe", "--output", "export", "--"])
        .arg(volume)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot(&error.to_string()))?;
    match ended.status.code() {
        Some(0) => {}
        Some(NOTHING) => return Ok(BTreeMap::new()),
        Some(SEVERAL) => {
            let help = "wipefs --no-act shows them; remove the wrong ones";
            return Err(Failure::refused(format!("{} holds traces of several things", volume.display()))
                .with_help(help));
        }
        _ => return Err(cannot(String::from_utf8_lossy(&ended.stderr).trim())),
    }
    let text = String::from_utf8_lossy(&ended.stdout);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}
