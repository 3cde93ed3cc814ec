//! A disk of a qemu-storage-daemon, exported over NBD and mounted here: backed up, changed, restored; engines killed.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    mounted::{Mounted, run},
    site::{Site, kill},
};

const SITE: &str = r#"
hosts: { here: { connect: local, state: state } }
volumes:
  disk:
    driver: qemu
    qemu: { socket: qmp, node: disk }
    primary: { host: here, path: disk.raw }
    pairs: [{ copy_group: "VG01,vol01", secondary: { host: here, path: mirror } }]
"#;

const OPERATION: &str =
    "protect: { filesystem: mounted, volumes: [disk] }\nquiesce: { mode: freeze, window: 10s }\n";

/// The daemon, and what makes its disk a file here. They end with this.
struct Disk<'a> {
    site: &'a Site,
    daemon: Child,
    export: Option<Child>,
}

impl<'a> Disk<'a> {
    fn new(site: &'a Site) -> Option<Self> {
        for program in ["qemu-storage-daemon", "nbdfuse"] {
            if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
                eprintln!("skipped: there is no {program}");
                return None;
            }
        }
        if !Mounted::is_possible() {
            return None;
        }
        let disk = site.path("disk.raw");
        fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&disk));
        fs::create_dir(site.path("mounted")).unwrap();
        let daemon = Self::start(site);
        let mut made = Self { site, daemon, export: None };
        made.attach();
        Some(made)
    }

    fn start(site: &Site) -> Child {
        let file = format!("driver=file,filename={},node-name=file", site.path("disk.raw").display());
        let monitor = format!("socket,id=qmp,server=on,wait=off,path={}", site.path("qmp").display());
        let daemon = Command::new("qemu-storage-daemon")
            .args(["--blockdev", &file, "--blockdev", "driver=raw,file=file,node-name=disk"])
            .args(["--chardev", &monitor, "--monitor", "chardev=qmp", "--nbd-server"])
            .arg(format!("addr.type=unix,addr.path={}", site.path("nbd").display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        until(|| UnixStream::connect(site.path("qmp")).is_ok());
        daemon
    }

    /// Asks the daemon, as an operator would, and gives all that it said.
    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.site.path("qmp")).unwrap();
        let text = format!(
            "{{\"execute\":\"qmp_capabilities\"}}{command}{{\"execute\":\"query-version\",\"id\":9}}"
        );
        stream.write_all(text.as_bytes()).unwrap();
        let (mut said, mut buffer) = (String::new(), [0; 4096]);
        while !said.contains("\"id\": 9") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        assert!(!said.contains("\"error\""), "{said}");
        said
    }

    fn attach(&mut self) {
        self.ask(
            "{\"execute\":\"block-export-add\",\"arguments\":{\"type\":\"nbd\",\"id\":\"e\",\"node-name\":\"disk\",\
             \"name\":\"disk\",\"writable\":true}}",
        );
        let file = self.site.path("nbdfuse");
        fs::write(&file, "").unwrap();
        let server = format!("nbd+unix:///disk?socket={}", self.site.path("nbd").display());
        self.export =
            Some(Command::new("nbdfuse").arg(&file).arg(server).stdin(Stdio::null()).spawn().unwrap());
        until(|| file.metadata().is_ok_and(|file| file.len() == 64 << 20));
        run(Command::new("mount").args(["-o", "loop"]).args([&file, &self.site.path("mounted")]));
    }

    fn unmount(&self) {
        run(Command::new("umount").arg(self.site.path("mounted")));
        until(|| {
            let used = Command::new("losetup").arg("-j").arg(self.site.path("nbdfuse")).output().unwrap();
            used.stdout.is_empty()
        });
    }

    fn detach(&mut self) {
        self.unmount();
        end(self.export.as_mut());
        self.export = None;
        self.ask("{\"execute\":\"block-export-del\",\"arguments\":{\"id\":\"e\",\"mode\":\"hard\"}}");
        until(|| !self.ask("{\"execute\":\"query-block-exports\"}").contains("node-name"));
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let at = self.site.path("mounted");
        let _ = Command::new("fsfreeze").arg("-u").arg(&at).output();
        let _ = Command::new("umount").arg("-l").arg(&at).output();
        end(self.export.as_mut());
        end(Some(&mut self.daemon));
        let _ = Command::new("umount").arg("-l").arg(self.site.path("nbdfuse")).output();
    }
}

fn end(child: Option<&mut Child>) {
    if let Some(child) = child {
        kill(i32::try_from(child.id()).unwrap(), "TERM");
        let _ = child.wait();
    }
}

fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not become so");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_disk_of_qemu_is_backed_up_and_restored() {
    let site = Site::new(SITE, &[("disk", OPERATION)]);
    let Some(mut disk) = Disk::new(&site) else { return };
    let file = site.path("mounted/file");
    fs::write(&file, "first").unwrap();
    site.succeed(&["run", "disk"]);
    fs::write(&file, "second").unwrap();
    site.succeed(&["run", "disk"]);
    let pair = &site.json(&["pair", "status"])[0];
    assert_eq!(pair["state"]["status"], "PSUS", "{pair}");
    let copied = pair["state"]["last"]["report"]["copied"].as_u64().unwrap();
    assert!(copied < 8 << 20, "only what was written is copied: {pair}");
    fs::write(&file, "ruined").unwrap();
    fs::write(site.path("mounted/new"), "since").unwrap();

    // Not beneath who uses it.
    let said = site.fail(&["restore", "disk", "--yes"], 4);
    assert!(said.contains("export 'e' (nbd)"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "ruined");
    disk.detach();
    site.succeed(&["restore", "disk", "--yes"]);
    disk.attach();
    assert_eq!(fs::read_to_string(&file).unwrap(), "second");
    assert!(!site.path("mounted/new").exists());

    // A daemon that was started anew knows nothing: the image is there, and the next resync copies all.
    disk.detach();
    end(Some(&mut disk.daemon));
    assert_eq!(site.json(&["pair", "status"])[0]["state"]["status"], "PSUS");
    let said = site.fail(&["restore", "disk", "--yes"], 4);
    assert!(said.contains("no QEMU listens"), "{said}");
    disk.daemon = Disk::start(&site);
    disk.attach();
    site.succeed(&["run", "disk"]);
    site.assert_clean();
}

#[test]
fn engines_that_copy_a_disk_of_qemu_are_killed() {
    let site = Site::new(SITE, &[("disk", OPERATION)]);
    let Some(disk) = Disk::new(&site) else { return };
    let file = site.path("mounted/file");
    fs::write(&file, vec![1; 8 << 20]).unwrap();
    let began = Instant::now();
    site.succeed(&["run", "disk"]);
    let took = began.elapsed();
    for moment in 1..=8_u32 {
        fs::write(&file, vec![u8::try_from(moment).unwrap(); 8 << 20]).unwrap();
        let run = site.spawn(&["run", "disk"]);
        thread::sleep(took * moment / 9);
        site.kill_engines();
        let _ = run.wait_with_output().unwrap();
        site.settle();
        // What a window was lost to, is run anew; nothing stays frozen.
        fs::write(site.path("mounted/alive"), "written").unwrap();
        site.assert_clean();
    }
    site.succeed(&["run", "disk"]);
    assert!(!disk.ask("{\"execute\":\"query-jobs\"}").contains("resplit"), "a job is left in QEMU");
    let at = site.path("image");
    fs::create_dir(&at).unwrap();
    run(Command::new("mount").args(["-o", "loop,ro,noload"]).args([&site.path("mirror/image"), &at]));
    let is_same = fs::read(at.join("file")).unwrap() == vec![8; 8 << 20];
    run(Command::new("umount").arg(&at));
    assert!(is_same, "the image is not what the disk was");
}
