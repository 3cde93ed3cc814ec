//! A site of one host, whose state directory, secondaries and library each lie on a disk of their own; and what is made to
//! fail.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use resplit_engine::protocol::{LeftoversRequest, RunOptions, Submit, WorldRequest};
use resplit_operations::{
    compile::{self, RestoreFrom, RestoreRequest},
    definitions::{Checked, Source, check_all},
    ids::OperationId,
    operation::UsualState,
    site::Site,
};
use resplit_test_disk::{Calls, Disk, Error, Mounted};

use crate::life::{Asked, Life};

const SITE: &str = r#"
hosts:
  fileserver: { connect: local, state: state }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: fileserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: fileserver, path: mirrors/1 } }
libraries:
  vault: { driver: virtual, host: fileserver, path: vault, slots: 2, drives: 1, cartridge_size: 64MiB, pools: [documents] }
"#;

const DOCUMENTS: &str = "
protect: { filesystem: documents, volumes: [documents] }
backup_server: fileserver
tape: { library: vault, pool: documents, keep: 30d }
";

/// What lies on the disk that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    State,
    Mirrors,
    Vault,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::State, Self::Mirrors, Self::Vault];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Mirrors => "mirrors",
            Self::Vault => "vault",
        }
    }
}

/// A call, and how it fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) place: Place,
    pub(crate) error: Error,
    /// Of the calls that can fail so, from 1.
    pub(crate) nth: u64,
    pub(crate) lasting: bool,
}

/// What the system calls an error.
pub(crate) const fn name(error: Error) -> &'static str {
    match error {
        Error::Io => "EIO",
        Error::NoSpace => "ENOSPC",
        Error::ReadOnly => "EROFS",
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.lasting { "lasting" } else { "once" };
        write!(f, "{} {} {} {how}", self.place.name(), name(self.error), self.nth)
    }
}

/// A site that has one backup of each pair, both on tape; its engine ended in order.
pub(crate) struct Bed {
    directory: tempfile::TempDir,
    checked: Checked,
    disks: [Disk; 3],
    calls: [Calls; 3],
}

/// Its disks, as they were, at their places.
pub(crate) struct Laid {
    mounted: [Mounted; 3],
}

impl Laid {
    pub(crate) fn disk(&self, place: Place) -> &Disk {
        self.mounted[place as usize].disk()
    }
}

impl Bed {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let directory = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap();
        let source =
            |path: &str, text: &str| Source { path: path.into(), content: Ok(text.as_bytes().to_vec()) };
        let checked =
            check_all(source("site.yaml", SITE), vec![source("operations/documents.yaml", DOCUMENTS)]);
        let checked = checked.unwrap_or_else(|report| panic!("{report:?}"));
        for place in Place::ALL {
            fs::create_dir(directory.path().join(place.name())).unwrap();
        }
        let (disks, calls) = ([(); 3].map(|()| Disk::new()), [Calls::default(); 3]);
        let mut bed = Self { directory, checked, disks, calls };
        bed.change("0");
        let laid = bed.lay();
        let life = Life::open(&bed.root()).unwrap();
        for count in ["1", "2"] {
            bed.change(count);
            assert_eq!(life.perform(bed.backup()), Asked::Done);
        }
        life.close().unwrap();
        bed.disks = Place::ALL.map(|place| laid.disk(place).copy());
        drop(laid);
        bed.count();
        bed
    }

    /// Counts the calls of an engine that nothing disturbs.
    fn count(&mut self) {
        let laid = self.lay();
        self.change("undisturbed");
        let life = Life::open(&self.root()).unwrap();
        assert_eq!(life.perform(self.backup()), Asked::Done);
        assert_eq!(life.perform(self.restore()), Asked::Done);
        life.close().unwrap();
        self.calls = Place::ALL.map(|place| laid.disk(place).calls());
    }

    pub(crate) fn calls(&self, place: Place) -> Calls {
        self.calls[place as usize]
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Puts all disks back as they were.
    pub(crate) fn lay(&self) -> Laid {
        let mount = |place: Place| {
            self.disks[place as usize].copy().mount(&self.directory.path().join(place.name())).unwrap()
        };
        Laid { mounted: Place::ALL.map(mount) }
    }

    /// Makes the primary such that a backup has something to do.
    pub(crate) fn change(&self, text: &str) {
        let primary = self.directory.path().join("documents");
        let _ = fs::remove_dir_all(&primary);
        fs::create_dir_all(primary.join("reports")).unwrap();
        for (file, text) in [("a.txt", text), ("reports/b.txt", "two")] {
            fs::write(primary.join(file), text).unwrap();
        }
        fs::write(primary.join(format!("reports/{text}.txt")), vec![b'n'; 5_000]).unwrap();
        std::os::unix::fs::symlink("reports/b.txt", primary.join("latest")).unwrap();
    }

    /// What a parked run holds is not waited for.
    fn options() -> RunOptions {
        RunOptions { no_wait: true, ..RunOptions::default() }
    }

    fn id() -> OperationId {
        OperationId::from("documents")
    }

    pub(crate) fn backup(&self) -> Submit {
        let operation = &self.checked.operations[&Self::id()];
        let plan = compile::backup(&self.checked.site, &self.root(), &Self::id(), operation).unwrap();
        Submit { plan, options: Self::options(), measure: false }
    }

    /// The newest backup, from tape, in place.
    pub(crate) fn restore(&self) -> Submit {
        let operation = &self.checked.operations[&Self::id()];
        let request = RestoreRequest { from: RestoreFrom::Tape, paths: Vec::new(), to: None, volume: None };
        let plan =
            compile::restore(&self.checked.site, &self.root(), &Self::id(), operation, &request).unwrap();
        Submit { plan, options: Self::options(), measure: false }
    }

    fn site(&self) -> Site {
        self.checked.site.resolved(&self.root())
    }

    pub(crate) fn leftovers(&self) -> LeftoversRequest {
        let resting =
            self.checked.site.volumes.keys().map(|id| (id.clone(), (Self::id(), UsualState::Split)));
        LeftoversRequest { site: self.site(), resting: resting.collect(), filesystems: [].into() }
    }

    pub(crate) fn world(&self) -> WorldRequest {
        let site = self.site();
        let of_volume = |(id, volume): (&_, &resplit_operations::site::Volume)| {
            let driver = volume.driver;
            site.pairs(id).into_iter().map(move |pair| (driver, pair)).collect::<Vec<_>>()
        };
        let pairs = site.volumes.iter().flat_map(of_volume).collect();
        WorldRequest { pairs, libraries: site.libraries.clone(), ..WorldRequest::default() }
    }
}
