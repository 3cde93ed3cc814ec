//! A real tree: what the machine has under /usr/share/man and its neighbours, with everything that real files have.

use std::{fs, path::Path, process::Command};

use crate::site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, copy_tree, told};

/// Files, directories and links below a path.
fn entries(path: &Path) -> usize {
    let found = Command::new("find").arg(path).output().unwrap();
    assert!(found.status.success(), "{}", told(&found));
    String::from_utf8_lossy(&found.stdout).lines().count()
}

/// At least 20 000 entries: the machine's own, and, where those are few, as many more.
fn real_tree(site: &Site) {
    let documents = site.path("documents");
    fs::create_dir(&documents).unwrap();
    for name in ["man", "zoneinfo", "mime", "perl5", "doc/tar"].map(Path::new) {
        let from = Path::new("/usr/share").join(name);
        if from.exists() {
            fs::create_dir_all(documents.join(name).parent().unwrap()).unwrap();
            copy_tree(&from, &documents.join(name));
        }
    }
    let missing = 20_000_usize.saturating_sub(entries(&documents));
    for count in 0..missing.max(100) {
        let directory = documents.join(format!("more{}", count / 500));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(count.to_string()), count.to_string()).unwrap();
    }
    fs::create_dir_all(documents.join("deep/er")).unwrap();
    fs::write(documents.join("deep/er/one"), "one").unwrap();
}

/// Changes, adds and deletes.
fn disturb(root: &Path) {
    let mut changed = 0;
    let top: Vec<_> =
        fs::read_dir(root).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()).collect();
    for entry in top {
        let files = fs::read_dir(entry.path()).unwrap().map(Result::unwrap);
        for file in files.filter(|file| file.path().is_file()).take(30) {
            match changed % 3 {
                0 => fs::write(file.path(), "changed").unwrap(),
                1 => fs::remove_file(file.path()).unwrap(),
                _ => fs::write(entry.path().join(format!("added{changed}")), "added").unwrap(),
            }
            changed += 1;
        }
    }
    assert!(changed > 20, "too little to change below {}", root.display());
    fs::remove_dir_all(root.join("deep")).unwrap();
}

#[test]
fn a_real_tree_comes_back_from_tape_and_from_disk() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    real_tree(&site);
    let documents = site.path("documents");
    site.succeed(&["run", "documents"]);
    copy_tree(&documents, &site.path("as-it-was"));
    disturb(&documents);
    site.succeed(&["run", "documents"]);
    // The first backup, from disk and from tape.
    site.succeed(&["restore", "documents", "--backup", "1", "--from", "disk", "--yes"]);
    assert_same_tree(&site.path("as-it-was"), &documents);
    disturb(&documents);
    site.succeed(&["restore", "documents", "--backup", "1", "--from", "tape", "--yes"]);
    assert_same_tree(&site.path("as-it-was"), &documents);
    // One deleted file alone, from each.
    let relative = Path::new("deep/er/one");
    fs::remove_file(documents.join(relative)).unwrap();
    // The restore from tape has given it a new ID on this host; the original one stays.
    let known =
        site.catalog("fileserver").into_iter().find(|record| record["original_id"] == "0000000001").unwrap();
    let backup = format!("fileserver:{}", known["id"].as_str().unwrap());
    for from in ["disk", "tape"] {
        let to = site.path(from);
        let arguments = [
            "restore",
            "documents",
            "--backup",
            &backup,
            "--from",
            from,
            "--path",
            relative.to_str().unwrap(),
            "--to",
            to.to_str().unwrap(),
        ];
        site.succeed(&arguments);
        let (was, is) = (site.path("as-it-was").join(relative), to.join(relative));
        assert_eq!(fs::read(was).unwrap(), fs::read(is).unwrap());
    }
    site.assert_clean();
}
