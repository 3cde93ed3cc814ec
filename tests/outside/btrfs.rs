//! Subvolumes of btrfs: one pair on the primary's file system, one on another. As root only.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{
    kills::large_tree,
    mounted::{Mounted, run},
    site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, copy_tree, kill, small_tree},
};

/// A site, and its file systems: the primary and the first secondary are on `disk`, the second one is on `other`.
fn subvolumes() -> Option<(Site, [Mounted; 2])> {
    if Command::new("btrfs").arg("version").output().is_err() {
        eprintln!("skipped: there is no btrfs program");
        return None;
    }
    let text = TWO_PAIRS
        .replace("driver: directory", "driver: btrfs")
        .replace("path: documents", "path: disk/documents")
        .replace("mirrors/0", "disk/mirrors/0")
        .replace("mirrors/1", "other/mirrors/1");
    let operation = DOCUMENTS.replace("filesystem: documents", "filesystem: disk/documents");
    let site = Site::new(&text, &[("documents", &operation)]);
    let disks = [Mounted::of(&site, "disk", "btrfs", 400)?, Mounted::of(&site, "other", "btrfs", 400)?];
    run(Command::new("btrfs").args(["subvolume", "create"]).arg(site.path("disk/documents")));
    Some((site, disks))
}

/// The pairs' images.
const IMAGES: [&str; 2] = ["disk/mirrors/0/image", "other/mirrors/1/image"];

fn is_subvolume(path: &Path) -> bool {
    Command::new("btrfs").args(["subvolume", "show"]).arg(path).output().unwrap().status.success()
}

#[test]
fn a_subvolume_comes_back_from_snapshots_and_from_tape() {
    let Some((site, _disks)) = subvolumes() else { return };
    let primary = site.path("disk/documents");
    small_tree(&primary);
    copy_tree(&primary, &site.path("first"));
    site.succeed(&["run", "documents"]);
    let change = || {
        fs::write(primary.join("a.txt"), "changed").unwrap();
        fs::remove_dir_all(primary.join("reports")).unwrap();
        fs::create_dir_all(primary.join("new/deep")).unwrap();
    };
    change();
    copy_tree(&primary, &site.path("second"));
    site.succeed(&["run", "documents"]);
    for (image, wanted) in IMAGES.into_iter().zip(["first", "second"]) {
        assert!(is_subvolume(&site.path(image)));
        assert_same_tree(&site.path(wanted), &site.path(image));
        let written = fs::write(site.path(image).join("new file"), "");
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    // From both images: one lies beside the primary, one on the other file system.
    for (backup, wanted) in [("fileserver:1", "first"), ("fileserver:2", "second")] {
        fs::write(primary.join("newer"), "newer").unwrap();
        site.succeed(&["restore", "documents", "--backup", backup, "--from", "disk", "--yes"]);
        assert!(is_subvolume(&primary));
        assert_same_tree(&site.path(wanted), &primary);
        site.assert_clean();
    }
    // The pairs go on from what was restored.
    fs::write(primary.join("after"), "the restore").unwrap();
    copy_tree(&primary, &site.path("third"));
    site.succeed(&["run", "documents"]);
    site.succeed(&["run", "documents"]);
    for image in IMAGES {
        assert_same_tree(&site.path("third"), &site.path(image));
    }
    // The first backup is on tape alone by now.
    let tapes = site.catalog("backupserver");
    let first = tapes.iter().find(|r| r["medium"]["medium"] == "tape" && r["original_id"] == "0000000001");
    let id = format!("backupserver:{}", first.unwrap()["id"].as_str().unwrap());
    site.succeed(&["restore", "documents", "--backup", &id, "--from", "tape", "--yes"]);
    assert!(is_subvolume(&primary));
    assert_same_tree(&site.path("first"), &primary);
    site.assert_clean();
}

#[test]
fn what_cannot_be_a_snapshot_is_refused_before_anything() {
    let Some((site, _disks)) = subvolumes() else { return };
    let primary = site.path("disk/documents");
    small_tree(&primary);
    // What is part of no snapshot is told, and never lost.
    run(Command::new("btrfs").args(["subvolume", "create"]).arg(primary.join("nested")));
    fs::write(primary.join("nested/wanted"), "wanted").unwrap();
    site.succeed(&["run", "documents"]);
    let records = site.catalog("fileserver");
    let note = records[0]["images"][0]["report"]["notes"][0].as_str().unwrap();
    assert!(note.contains("documents/nested") && note.contains("no part"), "{note}");
    let said = site.fail(&["restore", "documents", "--from", "disk", "--yes"], 4);
    assert!(said.contains("documents/nested"), "{said}");
    assert_eq!(fs::read(primary.join("nested/wanted")).unwrap(), b"wanted");
    // A frozen file system makes no snapshots.
    let operation = fs::read_to_string(site.path("operations/documents.yaml")).unwrap();
    let operation = operation.replace("filesystem: disk/documents", "filesystem: disk");
    let frozen = format!("{operation}quiesce: {{ mode: freeze, window: 3s }}\n");
    fs::write(site.path("operations/documents.yaml"), frozen).unwrap();
    let said = site.fail(&["run", "documents"], 4);
    assert!(said.contains("cannot be frozen"), "{said}");
    // A plain directory is none.
    fs::rename(&primary, site.path("disk/away")).unwrap();
    fs::create_dir(&primary).unwrap();
    fs::write(site.path("operations/documents.yaml"), operation).unwrap();
    let said = site.fail(&["run", "documents"], 4);
    assert!(said.contains("no subvolume") && said.contains("btrfs subvolume create"), "{said}");
}

#[test]
fn engines_killed_among_snapshots_finish_what_they_began() {
    let Some((site, _disks)) = subvolumes() else { return };
    let primary = site.path("disk/documents");
    large_tree(&primary);
    let began = std::time::Instant::now();
    site.succeed(&["run", "documents"]);
    let within = began.elapsed();
    let mut interrupted = 0;
    for count in 0..10_u32 {
        fs::write(primary.join("d1/changed"), count.to_string()).unwrap();
        let restores = count % 3 == 2;
        let arguments: &[&str] = if restores {
            &["restore", "documents", "--from", "disk", "--yes"]
        } else {
            &["run", "documents"]
        };
        let run = site.spawn(arguments);
        std::thread::sleep(within.mul_f64(f64::from(count * 7 % 10) / 10.0));
        match count % 3 {
            0 => site.engines().into_iter().take(1).for_each(|pid| kill(pid, "KILL")),
            _ => site.kill_engines(),
        }
        interrupted += u32::from(!run.wait_with_output().unwrap().status.success());
        site.settle();
        site.assert_clean();
        assert!(is_subvolume(&primary), "{count}");
    }
    assert!(interrupted > 2, "only {interrupted} of 10 kills interrupted anything");
    fs::write(primary.join("d1/changed"), "last").unwrap();
    for _ in IMAGES {
        site.succeed(&["run", "documents"]);
    }
    for image in IMAGES {
        assert_same_tree(&primary, &site.path(image));
    }
    // Nothing of ours is left beside what belongs there.
    let names = |place: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(site.path(place)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let wanted = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(names("disk/mirrors/0"), wanted(&["image", "lock", "pair.json"]));
    assert_eq!(names("other/mirrors/1"), wanted(&["image", "lock", "pair.json"]));
    assert_eq!(names("disk/.resplit/VG02,vol01"), wanted(&["image"]));
}
