//! Logical volumes: backed up and restored by the whole program, in user-mode Linux where this kernel has no device mapper.

use std::{fs, path::Path, process::Command, time::Duration};

use resplit_test_uml::{Job, LVM};

use crate::{
    mounted::{Mounted, run},
    site::{Site, assert_same_tree, copy_tree, small_tree},
};

const SITE: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: lvm
    lvm: LVM
    primary: { host: fileserver, path: /dev/vg0/documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backupserver, path: pairs/0 } }
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 8, drives: 1, cartridge_size: 64MiB, pools: [documents] }
"#;

const OPERATION: &str = "
protect: { filesystem: disk, volumes: [documents] }
backup_server: backupserver
quiesce: { mode: MODE, window: 60s }
tape: { library: vault, pool: documents, keep: 30d }
";

/// Readies a group `vg0` with two physical volumes, both in memory, and the volume `documents`.
const GROUP: &str = r"
for disk in 0 1; do
  truncate -s 400M /dev/shm/disk$disk
  losetup /dev/loop$disk /dev/shm/disk$disk
done
vgcreate -q -y vg0 /dev/loop0 /dev/loop1 && lvcreate -q -y -L 64M -n documents vg0 /dev/loop0
mkfs.ext4 -q /dev/vg0/documents
";

/// Set in the machine.
const INSIDE: &str = "RESPLIT_TEST_LVM";

/// Runs a test, in a machine that has a device mapper.
fn in_a_machine(test: &str, inside: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let own = std::env::current_exe().unwrap();
    let job = Job {
        before: &format!("{LVM}{GROUP}"),
        argv: &[own.to_str().unwrap(), "--exact", test, "--nocapture"],
        environment: &[(INSIDE, "1")],
        memory: 2048,
        limit: Duration::from_secs(600),
    };
    match resplit_test_uml::run(&job) {
        Ok(ended) => {
            let is_done = ended.code == Some(0) && ended.said.contains("1 passed");
            assert!(is_done, "{:?}: {}", ended.code, ended.said);
        }
        Err(reason) => eprintln!("skipped: {reason}"),
    }
}

fn mount(site: &Site) -> Mounted {
    Mounted::made(Path::new("/dev/vg0/documents"), &site.path("disk"))
}

/// A backup, a change, and the way back: from disk, and from tape.
fn there_and_back(lvm: &str, mode: &str) {
    let site = Site::new(&SITE.replace("LVM", lvm), &[("documents", &OPERATION.replace("MODE", mode))]);
    let mut disk = mount(&site);
    small_tree(disk.path());
    copy_tree(disk.path(), &site.path("first"));
    site.succeed(&["run", "documents"]);
    fs::write(disk.path().join("a.txt"), "changed").unwrap();
    fs::remove_dir_all(disk.path().join("reports")).unwrap();
    // What is in use is not restored.
    let said = site.fail(&["restore", "documents", "--from", "disk", "--yes"], 4);
    assert!(said.contains("mounted at"), "{said}");
    for from in ["disk", "tape"] {
        drop(disk);
        site.succeed(&["restore", "documents", "--from", from, "--yes"]);
        disk = mount(&site);
        assert_same_tree(&site.path("first"), disk.path());
        site.assert_clean();
        fs::write(disk.path().join("a.txt"), "changed again").unwrap();
    }
    site.succeed(&["run", "documents"]);
    assert_eq!(site.catalog("fileserver").len(), 1, "the image of the first backup was overwritten");
    drop(disk);
    site.succeed(&["pair", "delete", "VG01,vol01", "--yes"]);
    let left = Command::new("lvs").args(["-a", "--noheadings", "-o", "lv_name", "vg0"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "documents");
    run(Command::new("lvs").arg("vg0/documents"));
}

#[test]
fn a_logical_volume_comes_back_from_a_snapshot_and_from_tape() {
    in_a_machine("lvm::a_logical_volume_comes_back_from_a_snapshot_and_from_tape", || {
        there_and_back("{ kind: snapshot, size: 60MiB }", "online");
    });
}

#[test]
fn a_logical_volume_comes_back_from_the_half_of_its_mirror_and_from_tape() {
    in_a_machine("lvm::a_logical_volume_comes_back_from_the_half_of_its_mirror_and_from_tape", || {
        there_and_back("{ kind: raid1, device: /dev/loop1 }", "freeze");
    });
}
