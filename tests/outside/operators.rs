//! What operators do, and must not pay for: a window that cannot be opened, a state directory that is taken, a backup that
//! is given up, a restore after a backup that stopped halfway.

use std::fs;

use serde_json::Value;

use crate::site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, copy_tree, small_tree};

/// The records of the primary's host.
fn records(site: &Site) -> Vec<Value> {
    site.catalog("fileserver")
}

#[test]
fn a_window_that_would_be_refused_costs_no_image() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    site.succeed(&["run", "documents"]);
    let before = records(&site);
    let frozen = format!("{DOCUMENTS}quiesce: {{ mode: freeze, window: 5s }}\n");
    fs::write(site.path("operations/documents.yaml"), frozen).unwrap();
    let said = site.fail(&["run", "documents"], 4);
    assert!(said.contains("cannot be frozen") && said.contains("nothing was touched"), "{said}");
    assert_eq!(records(&site), before);
    let pairs = site.json(&["pair", "status"]);
    assert!(pairs.as_array().unwrap().iter().all(|pair| pair["state"]["status"] == "PSUS"), "{pairs}");
}

#[test]
fn a_state_directory_is_not_shared_by_two_sites() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let taken = format!("state: {} }}", site.path("state").display());
    let text = TWO_PAIRS.replace("state: state }", &taken);
    let other = Site::new(&text, &[("documents", DOCUMENTS)]);
    small_tree(&other.path("documents"));
    for running in [true, false] {
        let said = other.fail(&["run", "documents"], 4);
        assert!(said.contains("belongs to the site"), "{running}: {said}");
        site.kill_engines();
    }
    assert_eq!(records(&site).len(), 1);
}

/// A backup that is wanted on tape and not put there.
const WANTED: &str = "
steps:
  resync: { resync: { volume: documents }, host: fileserver }
  split: { split: { volume: documents }, host: fileserver, needs: [resync] }
  record: { record: { volumes: [documents], mode: online, tape_wanted: true }, host: fileserver, needs: [split] }
  export: { export: {}, host: fileserver, needs: [record] }
  transfer: { transfer: { to: backupserver }, host: fileserver, needs: [export] }
  import: { import: {}, host: backupserver, needs: [transfer] }
";

#[test]
fn a_backup_that_is_given_up_is_given_up_on_every_host() {
    let site = Site::small();
    fs::write(site.path("operations/disk.yaml"), WANTED).unwrap();
    site.succeed(&["run", "disk"]);
    let wanted = || {
        let hosts = ["fileserver", "backupserver"].into_iter().flat_map(|host| site.catalog(host));
        hosts.filter(|record| record["tape"]["tape"] == "wanted").count()
    };
    assert_eq!(wanted(), 2);
    let waived = site.json(&["catalog", "waive", "fileserver:1"]);
    assert_eq!((waived.as_array().map(Vec::len), wanted()), (Some(2), 0));
    let said = site.fail(&["catalog", "waive", "fileserver:1"], 4);
    assert!(said.contains("does not wait for a tape"), "{said}");
}

#[test]
fn a_restore_from_tape_needs_neither_a_split_pair_nor_the_primary() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let kept = site.path("kept");
    copy_tree(&site.path("documents"), &kept);
    // Two backups that stop after their resyncs leave both pairs following the primary.
    let hook = "hooks: { before_quiesce: [ { argv: ['false'] } ] }\n";
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    site.fail(&["run", "documents", "--generation", "0"], 1);
    site.fail(&["run", "documents", "--generation", "1"], 1);
    fs::remove_dir_all(site.path("documents")).unwrap();
    for _ in 0..2 {
        site.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
        assert_same_tree(&kept, &site.path("documents"));
    }
}

#[test]
fn a_pair_is_locked_on_all_hosts_by_its_copy_group() {
    let site = Site::small();
    site.succeed(&["run", "documents", "--generation", "0"]);
    let locked = site.json(&["catalog", "lock", "--copy-group", "VG01,vol01"]);
    let hosts: Vec<_> = locked.as_array().unwrap().iter().map(|record| record["host"].clone()).collect();
    assert_eq!(hosts, ["backupserver", "fileserver"], "{locked}");
    let said = site.fail(&["run", "documents", "--generation", "0"], 4);
    assert!(said.contains("VG01,vol01 is locked with backup"), "{said}");
    // A lock of either host is enough.
    site.succeed(&["catalog", "unlock", "fileserver:0000000001"]);
    let said = site.fail(&["plan", "documents", "--generation", "0"], 4);
    assert!(said.contains("of backupserver by an operator"), "{said}");
    assert!(
        site.fail(&["catalog", "unlock", "--copy-group", "VG02"], 2)
            .contains("no backup is on a pair 'VG02'")
    );
    site.succeed(&["catalog", "unlock", "--copy-group", "VG01"]);
    let shown = site.succeed(&["plan", "documents", "--generation", "0"]);
    assert!(shown.contains("evicts backup"), "{shown}");
}
