//! Secondaries that cannot follow: refused before anything changes, by `plan` and by `run`, whatever the driver.

use std::{fs, process::Command};

use crate::{
    image::Volume,
    mounted::{Mounted, run},
    site::Site,
};

/// What a refusal must not change.
fn state(site: &Site) -> [serde_json::Value; 2] {
    [site.json(&["catalog", "list"]), site.json(&["pair", "status"])]
}

/// Both `plan` and `run` refuse, with these words, and change nothing.
fn refused(site: &Site, more: &[&str], words: &[&str]) {
    let before = state(site);
    for verb in ["plan", "run"] {
        let said = site.fail(&[&[verb, "disk"], more].concat(), 4);
        for word in words {
            assert!(said.contains(word), "{verb}: {said}");
        }
        assert_eq!(state(site), before, "{verb}");
    }
    for verb in ["resync", "split"] {
        let _ = site.output(&["pair", verb, "VG01,disk01", "--dry-run"]);
        assert_eq!(state(site), before, "{verb}");
    }
}

#[test]
fn a_mounted_copy_costs_no_backup() {
    let Some(volume) = Volume::new() else { return };
    let site = &volume.site;
    site.succeed(&["run", "disk", "--generation", "0"]);
    let (copy, at) = (site.path("mirrors/0/image"), site.path("looked-at"));
    fs::create_dir(&at).unwrap();
    run(Command::new("mount").args(["-o", "loop,ro,noload"]).args([&copy, &at]));
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        refused(site, &["--generation", "0"], &["is mounted at", "umount", "nothing was changed"]);
        let said = site.fail(&["pair", "resync", "VG01,disk01", "--yes"], 4);
        assert!(said.contains("is mounted at"), "{said}");
    }));
    run(Command::new("umount").arg(&at));
    if let Err(panicked) = told {
        std::panic::resume_unwind(panicked);
    }
    site.succeed(&["run", "disk", "--generation", "0"]);
    site.assert_clean();
}

#[test]
fn a_device_that_is_too_small_costs_no_backup() {
    let Some(volume) = Volume::new() else { return };
    let site = &volume.site;
    let small = site.path("small.img");
    fs::File::create(&small).unwrap().set_len(8 << 20).unwrap();
    let made = Command::new("losetup").args(["-f", "--show"]).arg(&small).output().unwrap();
    let device = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let written = fs::read_to_string(site.path("site.yaml")).unwrap();
    let on_device =
        written.replacen("path: mirrors/0 }", &format!("path: mirrors/0, device: {device} }}"), 1);
    fs::write(site.path("site.yaml"), on_device).unwrap();
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        refused(site, &["--generation", "0"], &["are to be copied to it", "at least as large", "disk01"]);
    }));
    run(Command::new("losetup").arg("-d").arg(&device));
    fs::write(site.path("site.yaml"), written).unwrap();
    if let Err(panicked) = told {
        std::panic::resume_unwind(panicked);
    }
    site.succeed(&["run", "disk", "--generation", "0"]);
    site.assert_clean();
}

#[test]
fn a_directory_or_subvolume_that_is_not_there_costs_no_backup() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    site.succeed(&["run", "documents"]);
    let before = state(&site);
    fs::rename(site.path("documents"), site.path("away")).unwrap();
    for verb in ["plan", "run"] {
        let said = site.fail(&[verb, "documents"], 4);
        assert!(said.contains("is not a directory") && said.contains("mount or make it"), "{said}");
        assert_eq!(state(&site), before, "{verb}");
    }
    fs::rename(site.path("away"), site.path("documents")).unwrap();
    if !Mounted::is_possible() {
        return;
    }
    let disk = Mounted::of(&site, "disk", "btrfs", 128).unwrap();
    let text = fs::read_to_string(site.path("site.yaml")).unwrap();
    let text = text
        .replace("driver: directory", "driver: btrfs")
        .replace("path: documents", "path: disk/documents")
        .replace("path: mirrors", "path: disk/mirrors");
    fs::write(site.path("site.yaml"), text).unwrap();
    fs::create_dir(disk.path().join("documents")).unwrap();
    let operation = fs::read_to_string(site.path("operations/documents.yaml")).unwrap();
    let operation = operation.replace("filesystem: documents", "filesystem: disk/documents");
    fs::write(site.path("operations/documents.yaml"), operation).unwrap();
    let before = site.json(&["catalog", "list"]);
    for verb in ["plan", "run"] {
        let said = site.fail(&[verb, "documents"], 4);
        assert!(said.contains("no subvolume"), "{verb}: {said}");
        assert_eq!(site.json(&["catalog", "list"]), before, "{verb}");
    }
}
