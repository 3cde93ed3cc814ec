//! The example whose volume is copied block by block: an image file with an ext4 in it, mounted. As root only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    mounted::{Mounted, run},
    site::{Site, assert_same_tree, copy_tree, small_tree},
};

/// The example, with its file system mounted; nothing where the machine cannot.
pub(crate) struct Volume {
    // Unmounted before the site goes.
    mounted: Option<Mounted>,
    pub(crate) site: Site,
}

impl Volume {
    pub(crate) fn new() -> Option<Self> {
        if !Mounted::is_possible() {
            eprintln!("skipped: only root can mount a file system");
            return None;
        }
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/image");
        let site = Site::new("", &[]);
        fs::remove_dir_all(site.path("operations")).unwrap();
        for name in ["site.yaml", "operations"] {
            let _ = fs::remove_file(site.path(name));
            copy_tree(&example.join(name), &site.path(name));
        }
        let image = site.path("disk.img");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        let mut volume = Self { mounted: None, site };
        volume.mount();
        small_tree(&volume.tree());
        fs::write(volume.tree().join("large"), vec![7; 8 << 20]).unwrap();
        Some(volume)
    }

    fn mount(&mut self) {
        self.mounted = Some(Mounted::made(&self.site.path("disk.img"), &self.site.path("mounted")));
    }

    fn unmount(&mut self) {
        drop(self.mounted.take());
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.site.path("mounted")
    }

    /// What the volume holds, kept aside.
    fn keep(&self, name: &str) {
        copy_tree(&self.tree(), &self.site.path(name));
    }

    fn change(&self, text: &str) {
        fs::write(self.tree().join("a.txt"), text).unwrap();
        let _ = fs::remove_dir_all(self.tree().join("reports"));
        fs::create_dir_all(self.tree().join("new/deep")).unwrap();
    }

    /// Restores in place, the volume being unmounted, and compares.
    fn restore(&mut self, arguments: &[&str], wanted: &str) {
        self.unmount();
        self.site.succeed(&[&["restore", "disk", "--yes"], arguments].concat());
        self.mount();
        assert_same_tree(&self.site.path(wanted), &self.tree());
        self.site.assert_clean();
    }
}

#[test]
fn a_volume_is_backed_up_and_comes_back_from_disk_and_from_tape() {
    let Some(mut volume) = Volume::new() else { return };
    volume.site.succeed(&["run", "disk"]);
    volume.keep("first");
    let records = volume.site.catalog("fileserver");
    let report = &records[0]["images"][0]["report"];
    assert_eq!((report["bytes"].as_u64(), report["fuzzy_count"].as_u64()), (Some(64 << 20), Some(0)));
    volume.change("second");
    volume.site.succeed(&["run", "disk"]);
    volume.keep("second");
    volume.change("third");
    // Under a mounted file system nothing is restored.
    let said = volume.site.fail(&["restore", "disk", "--from", "disk", "--yes"], 4);
    assert!(said.contains("mounted at") && said.contains("umount"), "{said}");
    assert_eq!(fs::read(volume.tree().join("a.txt")).unwrap(), b"third");
    volume.restore(&["--from", "disk"], "second");
    volume.restore(&["--backup", "1", "--from", "disk"], "first");
    volume.change("fourth");
    volume.site.succeed(&["run", "disk"]);
    volume.restore(&["--backup", "backupserver:2", "--from", "tape"], "first");
    // One file alone, out of the image and off the tape.
    for from in ["disk", "tape"] {
        let to = volume.site.path(from);
        let to = to.to_str().unwrap();
        volume.site.succeed(&["restore", "disk", "--from", from, "--path", "large", "--to", to]);
        assert_eq!(fs::read(volume.site.path(from).join("large")).unwrap(), vec![7; 8 << 20]);
    }
    volume.site.succeed(&["run", "disk"]);
    volume.site.assert_clean();
}

#[test]
fn engines_killed_while_a_volume_is_backed_up_finish_it_and_leave_nothing_mounted() {
    let Some(mut volume) = Volume::new() else { return };
    let began = std::time::Instant::now();
    volume.site.succeed(&["run", "disk"]);
    let within = began.elapsed();
    for count in 0..8_u32 {
        volume.change(&count.to_string());
        let child = volume.site.spawn(&["run", "disk"]);
        std::thread::sleep(within.mul_f64(f64::from(count * 5 % 8) / 8.0));
        volume.site.kill_engines();
        let _ = child.wait_with_output().unwrap();
        volume.site.settle();
        let last = volume.site.json(&["runs", "--limit", "1"]);
        assert!(["done", "refused"].contains(&last[0]["status"].as_str().unwrap()), "{count}: {last}");
        volume.site.assert_clean();
        // Held by nobody: it can be written to.
        fs::write(volume.tree().join("written"), "after the kill").unwrap();
    }
    volume.site.succeed(&["run", "disk"]);
    volume.keep("last");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let state = volume.site.path("state");
    assert!(!mounts.contains(state.to_str().unwrap()), "an image is still mounted:\n{mounts}");
    volume.change("ruined");
    volume.restore(&["--from", "disk"], "last");
}
