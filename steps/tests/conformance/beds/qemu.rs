//! Pairs of disks of a qemu-storage-daemon, which exports them over NBD; nbdfuse makes a file of that, which is mounted.

use std::{
    fs,
    io::Read,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use resplit_operations::{pair::PairRef, site::QemuDisk};
use resplit_steps::{
    context::SystemClock,
    drivers::{pairs::PairDriver, qemu::QemuPairs},
};

use crate::{
    bed::{Bed, Maker},
    disks::{Disk, Mounted, output, volume},
};

/// What a disk holds, in MiB.
const SIZE: u64 = 64;

/// Pairs of disks that are kept in files of one format.
pub(crate) struct Qemus {
    disk: Disk,
    format: &'static str,
}

impl Qemus {
    /// Not where the machine has no QEMU, or cannot mount what it exports.
    pub(crate) fn new(disk: Disk, format: &'static str) -> Result<Self, String> {
        for (program, package) in
            [("qemu-storage-daemon", "qemu-utils"), ("qemu-img", "qemu-utils"), ("nbdfuse", "libnbd-bin")]
        {
            let _ = output(&[program, "--version"])
                .map_err(|error| format!("{error}; apt-get install {package}"))?;
        }
        let _ = Disk::new("ext4", SIZE)?;
        Ok(Self { disk, format })
    }

    fn build(&self, root: PathBuf, secondary: &Path, target: Option<Disk>) -> Box<dyn Bed> {
        fs::create_dir_all(&root).unwrap();
        let pair = PairRef {
            apart: None,
            array: None,
            volume: "disk".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: root.join("primary"),
            secondary: secondary.join("secondary"),
            device: None,
            qemu: Some(QemuDisk { socket: root.join("qmp"), node: "disk".to_owned(), pace: None }),
            lvm: None,
        };
        let bed = Qemu { pair, root, format: self.format, running: Mutex::default(), _target: target };
        bed.make_disk();
        bed.start();
        bed.attach();
        Box::new(bed)
    }
}

impl Maker for Qemus {
    fn make(&self, name: &str) -> Box<dyn Bed> {
        let root = self.disk.place().join(name);
        self.build(root.clone(), &root, None)
    }

    fn full(&self, name: &str) -> Box<dyn Bed> {
        let small = Disk::new("ext4", 16).unwrap();
        let place = small.place();
        self.build(self.disk.place().join(name), &place, Some(small))
    }
}

struct Qemu {
    pair: PairRef,
    root: PathBuf,
    format: &'static str,
    running: Mutex<Running>,
    _target: Option<Disk>,
}

/// What goes first is named first.
#[derive(Default)]
struct Running {
    mounted: Option<Mounted>,
    export: Option<Process>,
    daemon: Option<Process>,
}

/// A process that ends with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Qemu {
    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_root(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    /// A new disk with a file system.
    fn make_disk(&self) {
        let raw = self.root.join("raw");
        volume(&raw, Some("ext4"), SIZE).unwrap();
        let (raw, disk) = (self.in_root("raw"), self.in_root("primary"));
        let _ = output(&["qemu-img", "convert", "-f", "raw", "-O", self.format, &raw, &disk]).unwrap();
        fs::remove_file(raw).unwrap();
    }

    fn start(&self) {
        let file = format!("driver=file,filename={},node-name=file", self.in_root("primary"));
        let disk = format!("driver={},file=file,node-name=disk", self.format);
        let monitor = format!("socket,id=qmp,server=on,wait=off,path={}", self.in_root("qmp"));
        let server = format!("addr.type=unix,addr.path={}", self.in_root("nbd"));
        let child = Command::new("qemu-storage-daemon")
            .args([
                "--blockdev",
                &file,
                "--blockdev",
                &disk,
                "--chardev",
                &monitor,
                "--monitor",
                "chardev=qmp",
            ])
            .args(["--nbd-server", &server])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.running().daemon = Some(Process(child));
        until("the daemon listens", || UnixStream::connect(self.root.join("qmp")).is_ok());
    }

    /// Tells the daemon something, as an operator would.
    fn tell(&self, command: &str) {
        use std::io::Write;
        let mut stream = UnixStream::connect(self.root.join("qmp")).unwrap();
        let text = format!(
            "{{\"execute\":\"qmp_capabilities\"}}\n{command}\n{{\"execute\":\"query-version\",\"id\":9}}\n"
        );
        stream.write_all(text.as_bytes()).unwrap();
        let (mut said, mut buffer) = (String::new(), [0; 4096]);
        while !said.contains("\"id\": 9") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        assert!(!said.contains("\"error\""), "{said}");
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "not {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Bed for Qemu {
    fn pair(&self) -> &PairRef {
        &self.pair
    }

    fn driver(&self) -> Box<dyn PairDriver> {
        Box::new(QemuPairs::new(Arc::new(SystemClock)))
    }

    fn kind(&self) -> &'static str {
        "qemu"
    }

    fn tree(&self) -> PathBuf {
        self.root.join("mounted")
    }

    fn hold(&self) {
        // Nothing here may ever freeze what the machine runs on.
        assert!(self.running().mounted.is_some());
        let _ = output(&["fsfreeze", "--freeze", self.tree().to_str().unwrap()]).unwrap();
    }

    fn release(&self) {
        let _ = output(&["fsfreeze", "--unfreeze", self.tree().to_str().unwrap()]).unwrap();
    }

    fn detach(&self) {
        let (mounted, export) = {
            let mut running = self.running();
            (running.mounted.take(), running.export.take())
        };
        drop(mounted);
        if export.is_some() {
            // The loop device of the mount goes a moment later.
            until("the file is let go", || {
                output(&["losetup", "-j", &self.in_root("nbdfuse")]).unwrap().is_empty()
            });
            drop(export);
            self.tell("{\"execute\":\"block-export-del\",\"arguments\":{\"id\":\"e\",\"mode\":\"hard\"}}");
            until("the export is gone", || !self.has_export());
        }
    }

    fn attach(&self) {
        self.tell(
            "{\"execute\":\"block-export-add\",\"arguments\":{\"type\":\"nbd\",\"id\":\"e\",\"node-name\":\"disk\",\
             \"name\":\"disk\",\"writable\":true}}",
        );
        let file = self.root.join("nbdfuse");
        fs::write(&file, "").unwrap();
        let export = Command::new("nbdfuse")
            .arg(&file)
            .arg(format!("nbd+unix:///disk?socket={}", self.in_root("nbd")))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.running().export = Some(Process(export));
        until("the disk is there", || file.metadata().is_ok_and(|file| file.len() == SIZE << 20));
        let mounted = Mounted::new(&file, &self.tree()).unwrap();
        self.running().mounted = Some(mounted);
    }

    fn lose(&self) {
        self.detach();
        self.running().daemon = None;
        fs::remove_file(&self.pair.primary).unwrap();
        self.make_disk();
        self.start();
    }
}

impl Qemu {
    fn has_export(&self) -> bool {
        use std::io::Write;
        let mut stream = UnixStream::connect(self.root.join("qmp")).unwrap();
        stream
            .write_all(
                b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-block-exports\",\"id\":9}\n",
            )
            .unwrap();
        let (mut said, mut buffer) = (String::new(), [0; 4096]);
        while !said.contains("\"id\": 9") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        said.contains("node-name")
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let Running { mounted, export, daemon } = std::mem::take(&mut *self.running());
        drop(mounted);
        drop(export);
        drop(daemon);
        let _ = Command::new("umount").arg("--lazy").arg("--quiet").arg(self.root.join("nbdfuse")).output();
        let _ = fs::remove_dir_all(&self.root);
    }
}
