//! What a driver brings to the suite: a pair of its kind, and hands that write, hold and read it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use resplit_operations::pair::{CopyReport, PairRef, PairState, PairStatus, Tag};
use resplit_steps::{
    context::Work,
    drivers::{
        mounts,
        pairs::{Asked, PairDriver},
    },
    failure::{Failure, FailureClass},
};
use tempfile::TempDir;

/// A pair of one kind in a temporary place. It cleans up when it goes.
pub(crate) trait Bed: Send + Sync {
    /// The pair.
    fn pair(&self) -> &PairRef;

    /// A new driver value: it knows nothing but what the world says.
    fn driver(&self) -> Box<dyn PairDriver>;

    /// By which name the test helper makes the driver.
    fn kind(&self) -> &'static str;

    /// Whether a verb says how much was written: what LVM and the kernel copy by themselves, they do not count.
    fn counts(&self) -> bool {
        true
    }

    /// How many times a verb is killed at most, where each time takes long.
    fn kills(&self) -> usize {
        usize::MAX
    }

    /// Whether a secondary that follows its primary can be overwritten; else it has to be split first.
    fn overwrites_what_follows(&self) -> bool {
        true
    }

    /// The primary's tree while it is attached.
    fn tree(&self) -> PathBuf;

    /// Holds the primary still, so that a split is a point in time.
    fn hold(&self) {}

    /// Lets it go.
    fn release(&self) {}

    /// Makes the primary unused, as a restore wants it.
    fn detach(&self) {}

    /// Makes its tree readable again.
    fn attach(&self) {}

    /// Removes the pair, so that the next resync makes it anew.
    fn forget(&self) {
        fs::remove_dir_all(&self.pair().secondary).unwrap();
    }

    /// Makes the primary disappear for good.
    fn lose(&self) {
        fs::remove_dir_all(&self.pair().primary).unwrap();
    }
}

/// How a case gets its pairs.
pub(crate) trait Maker: Send + Sync {
    /// A pair in a place of its own, of this name.
    fn make(&self, name: &str) -> Box<dyn Bed>;

    /// Why a case says nothing here that it does not say in another row.
    fn leaves_out(&self, case: &str) -> Option<&'static str> {
        let _ = case;
        None
    }

    /// A pair whose target has no room for the primary.
    fn full(&self, name: &str) -> Box<dyn Bed>;
}

/// What was asked, with a tag and a token.
pub(crate) fn asked<'a>(tag: &str, work: &'a Work) -> Asked<'a> {
    Asked { tag: Tag(tag.to_owned()), token: 1, work }
}

impl dyn Bed + '_ {
    pub(crate) fn status(&self) -> PairState {
        self.driver().status(self.pair()).unwrap()
    }

    pub(crate) fn is(&self, status: PairStatus) {
        assert_eq!(self.status().status, status);
    }

    /// Writes a file of the primary.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Some megabytes of files, each of one letter only.
    pub(crate) fn fill(&self, letter: u8) {
        for file in 0..60_usize {
            self.write(&format!("{}/{file}", file % 6), vec![letter; 50_000 + file * 3_000]);
        }
    }

    pub(crate) fn resync(&self, tag: &str) -> Result<CopyReport, Failure> {
        self.resync_at(tag, &Work::silent())
    }

    pub(crate) fn resync_at(&self, tag: &str, work: &Work) -> Result<CopyReport, Failure> {
        settle(&self.tree());
        self.driver().resync(self.pair(), &asked(tag, work))
    }

    /// Splits while the primary is held still.
    pub(crate) fn split(&self, order: u64, tag: &str) -> Result<CopyReport, Failure> {
        self.held(|| self.driver().split(self.pair(), order, &asked(tag, &Work::silent())))
    }

    /// Does something while the primary is held still.
    pub(crate) fn held<T>(&self, work: impl FnOnce() -> T) -> T {
        self.hold();
        let done = work();
        self.release();
        done
    }

    /// Restores while the primary is not used, and attaches it again.
    pub(crate) fn restore(&self, tag: &str) -> Result<CopyReport, Failure> {
        self.unused(|| self.driver().restore(self.pair(), &asked(tag, &Work::silent())))
    }

    /// Does something while the primary is not used.
    pub(crate) fn unused<T>(&self, work: impl FnOnce() -> T) -> T {
        self.detach();
        let done = work();
        self.attach();
        done
    }

    /// The files of the image.
    pub(crate) fn image(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.with_image(contents)
    }

    /// Reads the image, opened for that.
    pub(crate) fn with_image<T>(&self, read: impl FnOnce(&Path) -> T) -> T {
        let at = Mounts::new();
        let place = self.driver().open_image(self.pair(), &at.volume()).unwrap();
        assert_eq!(self.driver().open_image(self.pair(), &at.volume()).unwrap(), place, "asked again");
        let read = read(&place);
        at.close();
        read
    }

    pub(crate) fn primary(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        contents(&self.tree())
    }
}

/// Where images are mounted, as a step has it.
pub(crate) struct Mounts(TempDir);

impl Mounts {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.0.path().join("run/volume")
    }

    pub(crate) fn close(&self) {
        let _ = mounts::close(&self.0.path().join("run")).unwrap();
        assert!(!self.0.path().join("run").exists());
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = mounts::close(&self.0.path().join("run"));
    }
}

/// The files below a directory; what a file system has of its own is left out.
pub(crate) fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() == "lost+found" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                let path = entry.path().strip_prefix(root).unwrap().to_owned();
                let _ = found.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Two trees have the same files; a failure names one.
pub(crate) fn assert_same(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) {
    let differing: Vec<_> = a.keys().chain(b.keys()).filter(|path| a.get(*path) != b.get(*path)).collect();
    assert!(differing.is_empty(), "{} files differ, as {}", differing.len(), differing[0].display());
}

/// What is written is on its file system, and the clock that stamps files has gone on.
pub(crate) fn settle(tree: &Path) {
    if let Ok(tree) = fs::File::open(tree) {
        rustix::fs::syncfs(tree).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(12));
}

/// A refusal, in words.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused, "{failure}");
    format!("{failure}; {}", failure.help.as_deref().unwrap_or_default())
}
