//! A simulated array, and a pair on it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use resplit_operations::{
    definitions::{Source, check_everything},
    driver::SHIPPED,
    pair::{PairRef, PairState, Tag},
};
use resplit_steps::{
    context::{SystemClock, Work},
    drivers::{
        array::ArrayPairs,
        pairs::{Asked, PairDriver},
        shim::Shims,
    },
};
use tempfile::TempDir;

use crate::common::helper;

/// The simulator, built if it is not.
fn simulator() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "cci-simulator"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .env_remove("CARGO_TARGET_DIR")
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap())
            .status();
        assert!(built.unwrap().success());
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("debug/cci-simulator")
    })
}

/// An array with the pair VG01,vol01, whose instances 0 and 1 run.
pub(crate) struct Bed {
    directory: TempDir,
    pub(crate) pair: PairRef,
    pub(crate) driver: Arc<ArrayPairs>,
    pub(crate) work: Work,
}

/// The shipped driver file, with pauses that fit a test.
pub(crate) fn shipped() -> String {
    let (_, text) = SHIPPED[0];
    text.replace("interval: 10s, limit: 10h, effect: 5m", "interval: 10ms, limit: 60s, effect: 30s")
        .replace("interval: 1s, limit: 20m, effect: 20m", "interval: 10ms, limit: 60s, effect: 30s")
}

impl Bed {
    pub(crate) fn new(copy_type: &str) -> Self {
        Self::with(copy_type, "", &shipped())
    }

    /// With further settings, and another driver file.
    pub(crate) fn with(copy_type: &str, settings: &str, file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let bin = root.join("bin");
        let mut settings = settings.to_owned();
        if !settings.contains("copy_type") {
            settings = format!("{settings} copy_type: {copy_type},");
        }
        let site = format!(
            "hosts: {{ fileserver: {{ connect: local, state: s }}, backupserver: {{ connect: local, state: t }} }}\n\
             volumes:\n  v:\n    driver: cci\n    primary: {{ host: fileserver, path: {root}/primary }}\n    \
             settings: {{ {settings} instance: \"0\", remote_instance: \"1\", create: \"yes\", programs: {bin}, scripts: {bin}, image_device: {root}/VG01-vol01.s }}\n    \
             pairs: [{{ copy_group: \"VG01,vol01\", secondary: {{ host: backupserver, path: {root}/book }} }}]\n",
            root = root.display(),
            bin = bin.display(),
        );
        let source =
            |name: &str, text: String| Source { path: root.join(name), content: Ok(text.into_bytes()) };
        let file = file.to_owned();
        let checked =
            check_everything(source("site.yaml", site), vec![source("drivers/cci.yaml", file)], Vec::new());
        assert!(checked.report.is_empty(), "{}", checked.report);
        let pair = checked.site.unwrap().pairs(&"v".into()).remove(0);
        let driver = driver(&root);
        let bed = Self { directory, pair, driver, work: Work::silent() };
        for side in ["p", "s"] {
            fs::write(bed.path(&format!("VG01-vol01.{side}")), vec![0; 1 << 20]).unwrap();
        }
        let volume = |side| bed.path(&format!("VG01-vol01.{side}")).display().to_string();
        bed.array(&["add", "VG01", "vol01", copy_type, &volume("p"), &volume("s")]);
        bed.array(&["links", bed.path("bin").to_str().unwrap()]);
        bed.command("horcmstart.sh", &["0", "1"]);
        bed
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    /// The same pair, as a driver of another process sees it.
    pub(crate) fn restarted(&mut self) {
        self.driver = driver(&self.path(""));
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(simulator());
        let output = command.args(arguments).env("CCI_SIM", self.path("array")).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One of the simulator's own verbs.
    pub(crate) fn array(&self, arguments: &[&str]) -> String {
        let (code, out) = self.run(&[&["array"], arguments].concat());
        assert_eq!(code, Some(0), "{arguments:?}");
        out
    }

    /// One of the array's commands, given by somebody else.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) {
        let (code, out) = self.run(&[&[name], arguments].concat());
        assert_eq!(code, Some(0), "{name} {arguments:?}: {out}");
    }

    pub(crate) fn asked(&self, tag: &str) -> Asked<'_> {
        Asked { tag: Tag(tag.to_owned()), token: 0, work: &self.work }
    }

    pub(crate) fn status(&self) -> PairState {
        self.driver.status(&self.pair).unwrap()
    }

    /// Writes to the primary.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut volume = fs::read(self.path("VG01-vol01.p")).unwrap();
        volume[..bytes.len()].copy_from_slice(bytes);
        fs::write(self.path("VG01-vol01.p"), volume).unwrap();
    }

    pub(crate) fn reads(&self, side: &str, bytes: &[u8]) -> bool {
        fs::read(self.path(&format!("VG01-vol01.{side}"))).unwrap().starts_with(bytes)
    }

    /// The commands that were given, without their options.
    pub(crate) fn given(&self, command: &str) -> usize {
        let log = fs::read_to_string(self.path("array/horcc.log")).unwrap();
        log.lines().filter(|line| line.starts_with(&format!("{command} "))).count()
    }
}

fn driver(root: &Path) -> Arc<ArrayPairs> {
    let commands = Arc::new(Shims::new(helper(), Vec::new()));
    Arc::new(ArrayPairs::new(commands, root.join("arrays"), "fileserver".into(), Arc::new(SystemClock)))
}
