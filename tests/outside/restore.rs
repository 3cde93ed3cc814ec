//! What is restored is what was backed up.

use std::fs;

use crate::site::{Site, assert_same_tree, copy_tree};

#[test]
fn a_volume_comes_back_from_disk_and_from_tape_as_it_was() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    copy_tree(&site.path("documents"), &site.path("as-it-was"));
    let change = || {
        fs::write(site.path("documents/a.txt"), "changed").unwrap();
        fs::remove_file(site.path("documents/latest")).unwrap();
        fs::remove_dir_all(site.path("documents/reports")).unwrap();
        fs::write(site.path("documents/reports"), "a file now").unwrap();
        fs::create_dir_all(site.path("documents/new/deep")).unwrap();
    };
    change();
    site.succeed(&["run", "documents"]);
    // Two generations: the first backup is still on disk.
    site.succeed(&["restore", "documents", "--backup", "1", "--from", "disk", "--yes"]);
    assert_same_tree(&site.path("as-it-was"), &site.path("documents"));
    site.assert_clean();
    change();
    site.succeed(&["run", "documents"]);
    // The third backup has overwritten it there; it is still on tape.
    let said = site.fail(&["restore", "documents", "--backup", "fileserver:1", "--from", "disk", "--yes"], 2);
    assert!(said.contains("resplit catalog list"), "{said}");
    site.succeed(&["restore", "documents", "--backup", "backupserver:2", "--from", "tape", "--yes"]);
    assert_same_tree(&site.path("as-it-was"), &site.path("documents"));
    site.assert_clean();
}

#[test]
fn one_file_comes_back_alone_from_disk_and_from_tape() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    fs::remove_file(site.path("documents/reports/b.txt")).unwrap();
    for from in ["disk", "tape"] {
        let to = site.path(from);
        let to = to.to_str().unwrap();
        site.succeed(&["restore", "documents", "--from", from, "--path", "reports/b.txt", "--to", to]);
        assert_eq!(fs::read_to_string(site.path(from).join("reports/b.txt")).unwrap(), "two");
        assert_eq!(fs::read_dir(to).unwrap().count(), 1, "nothing else, and no staging");
        // What is there is not overwritten.
        let said =
            site.fail(&["restore", "documents", "--from", from, "--path", "reports/b.txt", "--to", to], 4);
        assert!(said.contains("in the way"), "{said}");
        let said = site.fail(&["restore", "documents", "--from", from, "--path", "no/such", "--to", to], 4);
        assert!(said.contains("no/such"), "{said}");
    }
    assert!(!site.path("documents/reports/b.txt").exists());
    site.assert_clean();
}

#[test]
fn a_restore_in_place_names_what_it_destroys_and_asks() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    fs::write(site.path("documents/newer.txt"), "newer").unwrap();
    let said = site.fail(&["restore", "documents", "--from", "disk"], 4);
    assert!(said.contains("newer.txt") && said.contains("--yes"), "{said}");
    assert!(site.path("documents/newer.txt").exists());
}

#[test]
fn a_primary_in_use_is_refused_and_named() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let mut user = std::process::Command::new("cat")
        .current_dir(site.path("documents"))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let said = site.fail(&["restore", "documents", "--from", "disk", "--yes"], 4);
    user.kill().unwrap();
    user.wait().unwrap();
    assert!(said.contains("cat (") && said.contains("--force"), "{said}");
    site.succeed(&["restore", "documents", "--from", "disk", "--yes"]);
}
