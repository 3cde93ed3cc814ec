//! What the tests of the media driver share: a library, records, trees, and what is compared of a tree.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use jiff::Timestamp;
use resplit_operations::{
    ids::{BackupId, Barcode, HostId, LibraryId, PoolId, VolumeId},
    operation::QuiesceMode,
    pair::{CopyReport, Tag},
    record::{Image, Medium, Origin, Record, Standing, TapeState},
    site::{Library, MediaDriverKind},
    units::Size,
};
use resplit_steps::{
    context::Work,
    drivers::{
        media::{Dataset, LibraryRef, MediaDriver, NewDataset, Wanted},
        virtual_library::VirtualLibrary,
    },
    failure::Failure,
};

/// The driver.
pub(crate) const DRIVER: VirtualLibrary = VirtualLibrary::new();

/// A library in a scratch directory.
pub(crate) struct Vault {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) id: LibraryId,
    pub(crate) library: Library,
}

impl Vault {
    pub(crate) fn new(slots: u32, cartridge_size: u64) -> Self {
        Self::at_path(tempfile::tempdir().unwrap(), slots, cartridge_size)
    }

    /// In memory where the system has such a place: for tests with many restores, each of which is synced.
    pub(crate) fn in_memory(cartridge_size: u64) -> Self {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self::at_path(scratch, 1, cartridge_size)
    }

    fn at_path(scratch: tempfile::TempDir, slots: u32, cartridge_size: u64) -> Self {
        let library = Library {
            driver: MediaDriverKind::Virtual,
            host: "backupserver".into(),
            path: scratch.path().join("vault"),
            slots,
            drives: 1,
            cartridge_size: Size(cartridge_size),
            pools: vec!["documents".into(), "others".into()],
        };
        Self { scratch, id: "vault".into(), library }
    }

    pub(crate) fn at(&self) -> LibraryRef<'_> {
        LibraryRef { id: &self.id, library: &self.library }
    }

    /// A path in the scratch directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The file of a cartridge.
    pub(crate) fn cartridge(&self, barcode: &str) -> PathBuf {
        self.library.path.join(format!("{barcode}.cartridge"))
    }

    /// Writes one volume, `documents`, to a cartridge.
    pub(crate) fn write(&self, barcode: &str, tag: &str, source: &Path) -> Result<Dataset, Failure> {
        self.write_all(barcode, tag, &[("documents", source)], &Work::silent())
    }

    pub(crate) fn write_all(
        &self,
        barcode: &str,
        tag: &str,
        sources: &[(&str, &Path)],
        work: &Work,
    ) -> Result<Dataset, Failure> {
        let sources: Vec<(VolumeId, PathBuf)> =
            sources.iter().map(|(volume, path)| ((*volume).into(), path.to_path_buf())).collect();
        let record = record();
        let dataset = NewDataset {
            barcode: &barcode.into(),
            pool: &PoolId::from("documents"),
            tag: Tag(tag.to_owned()),
            host: &HostId::from("backupserver"),
            sources: &sources,
            record: &record,
            expires: Some(at("2027-01-01T00:00:00Z")),
            written: at("2026-11-20T10:00:00Z"),
        };
        DRIVER.write(&self.at(), &dataset, work)
    }

    /// Reads the volume `documents` of a dataset, whole.
    pub(crate) fn read(
        &self,
        barcode: &str,
        number: u32,
        to: &Path,
        replace: bool,
    ) -> Result<CopyReport, Failure> {
        self.read_paths(barcode, number, to, &[], replace)
    }

    pub(crate) fn read_paths(
        &self,
        barcode: &str,
        number: u32,
        to: &Path,
        paths: &[&str],
        replace: bool,
    ) -> Result<CopyReport, Failure> {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let wanted = Wanted { to: &[("documents".into(), to)], paths: &paths, replace };
        DRIVER.read(&self.at(), &barcode.into(), number, &wanted, &Work::silent())
    }

    pub(crate) fn datasets(&self, barcode: &str) -> Vec<Dataset> {
        DRIVER.datasets(&self.at(), &Barcode::from(barcode)).unwrap()
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A record of a backup of the volume `documents`.
pub(crate) fn record() -> Record {
    Record {
        id: BackupId(12),
        origin: Origin {
            original_id: BackupId(9),
            source_host: "fileserver".into(),
            operation: "documents".into(),
            run: "documents-2026-11-20T02:00:00Z".into(),
            mode: QuiesceMode::Online,
            started: at("2026-11-20T02:00:10Z"),
            ended: at("2026-11-20T02:00:12Z"),
            images: vec![Image {
                source: None,
                volume: "documents".into(),
                copy_group: "VG01,vol01".into(),
                generation: 0,
                epoch: 3,
                report: CopyReport::default(),
            }],
        },
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: TapeState::Wanted,
        entered: at("2026-11-20T02:01:00Z"),
    }
}

/// Runs a shell command in a directory; it must succeed, every part of its pipes included.
pub(crate) fn shell(directory: &Path, command: &str) -> String {
    let output = Command::new("bash")
        .args(["-c", &format!("set -euo pipefail; {command}")])
        .current_dir(directory)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}\n{out}{err}");
    out.into_owned()
}

/// Whether the tests run as root, as some of them need.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What is compared of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    links: u64,
    device: u64,
    content: Vec<u8>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Everything in a tree but sockets, the root included, by its path.
pub(crate) fn look(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let file_type = metadata.file_type();
        let (kind, content) = if file_type.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            ("directory", Vec::new())
        } else if file_type.is_symlink() {
            ("symlink", fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
        } else if file_type.is_file() {
            ("file", fs::read(&path).unwrap())
        } else if file_type.is_fifo() {
            ("fifo", Vec::new())
        } else if file_type.is_socket() {
            continue;
        } else {
            ("device", Vec::new())
        };
        let inside = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let value = Seen {
            kind,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            links: if file_type.is_dir() { 0 } else { metadata.nlink() },
            device: metadata.rdev(),
            content,
            attributes: attributes(&path),
        };
        assert!(seen.insert(inside, value).is_none());
    }
    seen
}

/// Fails with the first difference of two trees.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let (a, b) = (look(left), look(right));
    let names = |seen: &BTreeMap<Vec<u8>, Seen>| -> Vec<String> {
        seen.keys().map(|name| name.escape_ascii().to_string()).collect()
    };
    assert_eq!(names(&a), names(&b));
    for (name, value) in &a {
        let other = &b[name];
        let short = |seen: &Seen| Seen { content: Vec::new(), ..seen.clone() };
        assert_eq!(short(value), short(other), "{}", name.escape_ascii());
        assert!(value.content == other.content, "content of {}", name.escape_ascii());
    }
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut found = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        found.insert(name.to_vec(), value[..length].to_vec());
    }
    found
}

/// Sets the modification time of anything, itself.
pub(crate) fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Bytes that do not compress, always the same for one seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
