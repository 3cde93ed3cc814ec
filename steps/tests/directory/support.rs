//! File systems to test on, pairs to test with, and a check that knows nothing of the driver.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use resplit_operations::pair::{PairRef, Tag};
use resplit_steps::{
    context::Work,
    drivers::pairs::{Asked, PairDriver},
};
use tempfile::TempDir;

/// A file system to test on.
pub(crate) struct FileSystem {
    pub(crate) name: &'static str,
    pub(crate) root: PathBuf,
    _mount: Option<Mount>,
    _directory: TempDir,
}

struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Runs a command and gives what it printed.
pub(crate) fn output(argv: &[&str]) -> Result<String, String> {
    let done = Command::new(argv[0]).args(&argv[1..]).output().map_err(|e| format!("{}: {e}", argv[0]))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        Ok(text(&done.stdout))
    } else {
        Err(format!("{argv:?}: {}{}", text(&done.stdout), text(&done.stderr)))
    }
}

/// A command that has to succeed.
pub(crate) fn run(argv: &[&str]) -> String {
    output(argv).expect("the command succeeds")
}

impl FileSystem {
    /// Where temporary files are.
    pub(crate) fn here() -> Self {
        let directory = TempDir::new().unwrap();
        Self {
            name: "the current one",
            root: directory.path().to_owned(),
            _mount: None,
            _directory: directory,
        }
    }

    /// A new one of so many MiB in a file; not where the machine cannot.
    pub(crate) fn new(kind: &'static str, mebibytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root mounts".to_owned());
        }
        let directory = TempDir::new().unwrap();
        let (image, root) = (directory.path().join("image"), directory.path().join("mounted"));
        fs::create_dir(&root).unwrap();
        fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let (image, at) = (image.to_str().unwrap(), root.to_str().unwrap());
        let _ = output(&[&format!("mkfs.{kind}"), "-q", image])?;
        let _ = output(&["mount", "-o", "loop", image, at])?;
        let mount = Some(Mount(root.clone()));
        Ok(Self { name: kind, root, _mount: mount, _directory: directory })
    }

    /// Those of this machine.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::here()];
        for (kind, mebibytes) in [("ext4", 200), ("xfs", 400), ("btrfs", 400)] {
            match Self::new(kind, mebibytes) {
                Ok(made) => all.push(made),
                Err(reason) => println!("skipped: {kind}: {reason}"),
            }
        }
        all
    }
}

/// A pair, and what asks of it.
pub(crate) struct Bed {
    pub(crate) pair: PairRef,
    pub(crate) driver: Box<dyn PairDriver>,
    pub(crate) work: Work,
}

impl Bed {
    /// A new pair in a directory of a file system, with an empty primary.
    pub(crate) fn new(file_system: &FileSystem, name: &str) -> Self {
        let root = file_system.root.join(name);
        fs::create_dir_all(root.join("primary")).unwrap();
        Self::across(&root, &root)
    }

    /// A pair whose sides are in two places.
    pub(crate) fn across(primary: &Path, secondary: &Path) -> Self {
        let pair = PairRef {
            apart: None,
            volume: "documents".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: primary.join("primary"),
            secondary: secondary.join("secondary"),
            device: None,
            array: None,
            qemu: None,
            lvm: None,
        };
        let (pair, driver) = super::driver::of(pair);
        Self { pair, driver, work: Work::silent() }
    }

    pub(crate) fn primary(&self) -> &Path {
        &self.pair.primary
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.pair.secondary.join("data")
    }

    pub(crate) fn asked(&self, tag: &str) -> Asked<'_> {
        Asked { tag: Tag(tag.to_owned()), token: 1, work: &self.work }
    }

    /// The same primary, written.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.primary().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Both sides are equal in all that is kept.
    pub(crate) fn assert_equal(&self) {
        assert_same(self.primary(), &self.data());
    }
}

/// Two trees are equal: asked of `rsync`, and of the system for what that does not compare.
pub(crate) fn assert_same(a: &Path, b: &Path) {
    let [from, to] = [a, b].map(|path| format!("{}/", path.display()));
    let differs = run(&[
        "rsync",
        "-aHAXn",
        "--numeric-ids",
        "--delete",
        "--checksum",
        "--itemize-changes",
        "--devices",
        "--specials",
        &from,
        &to,
    ]);
    assert_eq!(differs, "", "rsync finds a difference between {from} and {to}");
    let (a, b) = (Seen::of(a), Seen::of(b));
    for (path, seen) in &a.entries {
        assert_eq!(Some(seen), b.entries.get(path), "{}", path.display());
    }
    assert_eq!(a.entries.len(), b.entries.len());
    assert_eq!(a.links, b.links);
}

/// Mode, owner, group, size, time in seconds and nanoseconds, device.
type Look = (u32, u32, u32, u64, i64, i64, u64);

/// What the system says of a tree.
struct Seen {
    entries: BTreeMap<PathBuf, Look>,
    links: Vec<Vec<PathBuf>>,
}

impl Seen {
    fn of(root: &Path) -> Self {
        let mut entries = BTreeMap::new();
        let mut links: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(path) = waiting.pop() {
            let found = fs::symlink_metadata(root.join(&path)).unwrap();
            let size = if found.is_dir() { 0 } else { found.size() };
            let seen = (
                found.mode(),
                found.uid(),
                found.gid(),
                size,
                found.mtime(),
                found.mtime_nsec(),
                found.rdev(),
            );
            let _ = entries.insert(path.clone(), seen);
            if found.is_dir() {
                let children = fs::read_dir(root.join(&path)).unwrap();
                waiting.extend(children.map(|child| path.join(child.unwrap().file_name())));
            } else if found.nlink() > 1 {
                links.entry(found.ino()).or_default().push(path);
            }
        }
        let mut links: Vec<_> = links.into_values().filter(|group| group.len() > 1).collect();
        for group in &mut links {
            group.sort();
        }
        links.sort();
        Self { entries, links }
    }
}
