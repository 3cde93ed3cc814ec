//! Pairs of the array simulator, by the driver file for CCI. What arrays do besides is in `tests/arrays`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use resplit_operations::{
    definitions::{Source, check_everything},
    driver::SHIPPED,
    pair::PairRef,
};
use resplit_steps::{
    context::SystemClock,
    drivers::{array::ArrayPairs, pairs::PairDriver, shim::Shims},
};

use crate::{
    bed::{Bed, Maker},
    disks::{Disk, Mounted, output, volume},
};

/// The simulator, built if it is not.
fn simulator() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "cci-simulator"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .env_remove("CARGO_TARGET_DIR")
            .arg("--target-dir")
            .arg(target)
            .status();
        assert!(built.unwrap().success());
        target.join("debug/cci-simulator")
    })
}

/// Pairs of one copy type.
pub(crate) struct Arrays {
    disk: Disk,
    copy_type: &'static str,
}

impl Arrays {
    /// Not where the machine cannot mount what the array has.
    pub(crate) fn new(copy_type: &'static str) -> Result<Self, String> {
        let _ = Disk::new("ext4", 16)?;
        Ok(Self { disk: Disk::here(), copy_type })
    }
}

struct Array {
    pair: PairRef,
    root: PathBuf,
    mounted: Mutex<Option<Mounted>>,
}

impl Maker for Arrays {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        let root = self.disk.place().join(name);
        fs::create_dir_all(&root).unwrap();
        let bed = Array { pair: pair(&root, self.copy_type), root, mounted: Mutex::default() };
        for side in ["p", "s"] {
            volume(&bed.volume(side), Some("ext4"), 32).unwrap();
        }
        let [primary, secondary] = ["p", "s"].map(|side| bed.volume(side).display().to_string());
        bed.array(&["array", "add", "VG01", "vol01", self.copy_type, &primary, &secondary]);
        bed.array(&["array", "links", bed.root.join("bin").to_str().unwrap()]);
        bed.array(&["horcmstart.sh", "0", "1"]);
        bed.attach();
        Box::new(bed)
    }

    fn leaves_out(&self, case: &str) -> Option<&'static str> {
        match case {
            "restore, and its difference" => Some("an array says per cents, and names no files"),
            "overwrite of a pair whose primary is lost" => {
                Some("an array's secondary is written only while it is split")
            }
            "a target without room" => Some("what an array copies takes no room of a host"),
            "resync killed"
            | "split killed"
            | "restore killed"
            | "overwrite killed"
            | "cancelled within each verb"
            | "two verbs at once" => Some("the array goes on by itself: see tests/arrays/troubles.rs"),
            "bad paths" => Some("an array is asked by groups and devices, not by paths"),
            _ => None,
        }
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        self.make(name)
    }
}

/// A pair as a site declares it, with pauses that fit a test.
fn pair(root: &Path, copy_type: &str) -> PairRef {
    let (_, shipped) = SHIPPED[0];
    let short = "interval: 10ms, limit: 60s, effect: 30s";
    let driver = shipped
        .replace("interval: 10s, limit: 10h, effect: 5m", short)
        .replace("interval: 1s, limit: 20m, effect: 20m", short);
    let at = root.display();
    let site = format!(
        "hosts: {{ fileserver: {{ connect: local, state: s }}, backupserver: {{ connect: local, state: t }} }}\n\
         volumes:\n  disk:\n    driver: cci\n    primary: {{ host: fileserver, path: {at}/p }}\n    \
         settings: {{ copy_type: {copy_type}, instance: \"0\", remote_instance: \"1\", create: \"yes\", \
         programs: {at}/bin, scripts: {at}/bin, image_device: {at}/s }}\n    \
         pairs: [{{ copy_group: \"VG01,vol01\", secondary: {{ host: backupserver, path: {at}/secondary }} }}]\n"
    );
    let source = |name: &str, text: String| Source { path: root.join(name), content: Ok(text.into_bytes()) };
    let checked =
        check_everything(source("site.yaml", site), vec![source("drivers/cci.yaml", driver)], Vec::new());
    assert!(checked.report.is_empty(), "{}", checked.report);
    checked.site.unwrap().pairs(&"disk".into()).remove(0)
}

impl Array {
    fn volume(&self, side: &str) -> PathBuf {
        self.root.join(side)
    }

    /// One of the array's commands, or of the simulator's own.
    fn array(&self, arguments: &[&str]) {
        let done = Command::new(simulator())
            .args(arguments)
            .env("CCI_SIM", self.root.join("array"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stdout));
    }

    fn fsfreeze(&self, option: &str) {
        // Nothing here may ever freeze what the machine runs on.
        assert!(self.mounted.lock().unwrap().is_some());
        let _ = output(&["fsfreeze", option, self.tree().to_str().unwrap()]).unwrap();
    }
}

impl Bed for Array {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        let shims = Shims::new(PathBuf::from(env!("CARGO_BIN_EXE_steps-test-helper")), Vec::new());
        let commands = self.root.join("commands");
        Box::new(ArrayPairs::new(Arc::new(shims), commands, "fileserver".into(), Arc::new(SystemClock)))
    }

    fn kind(&self) -> &'static str {
        "array"
    }

    fn counts(&self) -> bool {
        false
    }

    fn overwrites_what_follows(&self) -> bool {
        false
    }

    fn tree(&self) -> PathBuf {
        self.root.join("mounted")
    }

    fn hold(&self) {
        self.fsfreeze("--freeze");
    }

    fn release(&self) {
        self.fsfreeze("--unfreeze");
    }

    fn detach(&self) {
        drop(self.mounted.lock().unwrap().take());
    }

    fn attach(&self) {
        *self.mounted.lock().unwrap() = Some(Mounted::new(&self.volume("p"), &self.tree()).unwrap());
    }

    fn forget(&self) {
        fs::remove_dir_all(&self.pair.secondary).unwrap();
        self.array(&["pairsplit", "-IM0", "-g", "VG01", "-S"]);
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        self.detach();
        let _ = fs::remove_dir_all(&self.root);
    }
}
