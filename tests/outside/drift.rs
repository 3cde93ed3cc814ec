//! A restore over something else than the backup was made from: refused, unless that is accepted.

use std::{fs, process::Command};

use crate::{
    mounted::{Mounted, run},
    site::{DOCUMENTS, Site, TWO_PAIRS},
};

#[test]
fn another_file_system_at_the_same_place_is_told_and_not_restored_over() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    let Some(disk) = Mounted::new(&site, "documents") else { return };
    fs::write(disk.path().join("a"), "one").unwrap();
    site.succeed(&["run", "documents"]);
    drop(disk);
    // The same path, mounted from another disk.
    let Some(disk) = Mounted::new(&site, "documents") else { return };
    fs::write(disk.path().join("other"), "precious").unwrap();
    for from in ["disk", "tape"] {
        let said = site.fail(&["restore", "documents", "--from", from, "--yes"], 4);
        assert!(said.contains("the UUID of the file system of volume 'documents' was "), "{said}");
        assert!(said.contains("--accept-drift"), "{said}");
    }
    assert_eq!(fs::read_to_string(disk.path().join("other")).unwrap(), "precious");
    // Files alone are put elsewhere: that overwrites nothing.
    let to = site.path("elsewhere").display().to_string();
    site.succeed(&["restore", "documents", "--path", "a", "--to", &to]);
    site.succeed(&["restore", "documents", "--accept-drift", "--yes"]);
    assert_eq!(fs::read_to_string(disk.path().join("a")).unwrap(), "one");
    assert!(!disk.path().join("other").exists());
    // It is recorded with the run.
    let shown = site.json(&["show", "latest"]);
    assert!(shown["binding"]["drift"][0].as_str().unwrap().contains("UUID"), "{shown}");
}

#[test]
fn an_unmounted_primary_is_not_the_file_system_of_the_backup() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    let Some(disk) = Mounted::new(&site, "documents") else { return };
    fs::write(disk.path().join("a"), "one").unwrap();
    site.succeed(&["run", "documents"]);
    run(Command::new("umount").arg(disk.path()));
    let said = site.fail(&["restore", "documents", "--yes"], 4);
    assert!(said.contains("the mount point of the file system"), "{said}");
    assert!(fs::read_dir(disk.path()).unwrap().next().is_none(), "nothing was written below the mount point");
}

#[test]
fn a_volume_that_joined_the_operation_since_is_told() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let second = "  letters:\n    driver: directory\n    primary: { host: fileserver, path: documents2 }\n    pairs:\n\
                  \x20     - { copy_group: \"VG01,vol02\", secondary: { host: backupserver, path: mirrors/2 } }\n\
                  \x20     - { copy_group: \"VG02,vol02\", secondary: { host: backupserver, path: mirrors/3 } }\nlibraries:";
    fs::create_dir(site.path("documents2")).unwrap();
    fs::write(site.path("site.yaml"), TWO_PAIRS.replace("libraries:", second)).unwrap();
    let both = DOCUMENTS.replace(
        "filesystem: documents, volumes: [documents]",
        "filesystem: ., volumes: [documents, letters]",
    );
    fs::write(site.path("operations/documents.yaml"), both).unwrap();
    let said = site.fail(&["restore", "documents", "--yes"], 4);
    assert!(
        said.contains("volume 'letters' belongs to the operation now, and is not in backup 0000000001"),
        "{said}"
    );
}
