//! Cascades: A is copied to B, and B to C. The pair behind is at rest before the one in front is copied, and the other way.

use std::fs;

use crate::site::{Site, TWO_PAIRS, assert_same_tree, small_tree};

const FRONT: &str = "VG01,vol01";
const BEHIND: &str = "CC01,vol01";

fn site() -> Site {
    let second = "  second:\n    driver: directory\n    primary: { host: backupserver, path: mirrors/0/data }\n    \
                  behind: \"VG01,vol01\"\n    pairs:\n      - { copy_group: \"CC01,vol01\", secondary: { host: \
                  backupserver, path: far/0 } }\n";
    let text = TWO_PAIRS.replacen("libraries:", &format!("{second}libraries:"), 1);
    let first = "protect: { filesystem: documents, volumes: [documents] }\nbackup_server: backupserver\n";
    let behind = "protect: { filesystem: mirrors/0/data, volumes: [second] }\n";
    let site = Site::new(&text, &[("documents", first), ("second", behind)]);
    small_tree(&site.path("documents"));
    site
}

/// Neither previewed nor run; and nothing has changed.
fn refused(site: &Site, arguments: &[&str], wanted: &str) {
    let before = (site.json(&["pair", "status"]), site.json(&["catalog", "list"]));
    let mut plan = vec!["plan"];
    plan.extend(arguments);
    let mut run = vec!["run"];
    run.extend(arguments);
    for all in [plan, run] {
        let said = site.fail(&all, 4);
        assert!(said.contains(wanted) && said.contains("help: "), "{all:?}: {said}");
    }
    assert_eq!((site.json(&["pair", "status"]), site.json(&["catalog", "list"])), before, "nothing was done");
}

#[test]
fn pairs_in_front_and_behind_are_at_rest_before_one_is_copied() {
    let site = site();
    site.succeed(&["check"]);
    site.succeed(&["run", "documents", "--generation", "0"]);
    site.succeed(&["run", "second"]);
    assert_same_tree(&site.path("documents"), &site.path("far/0/data"));

    // C follows B: B is not overwritten by A.
    site.succeed(&["pair", "resync", BEHIND, "--yes"]);
    let first = ["documents", "--generation", "0"];
    refused(&site, &first, "CC01,vol01, the pair behind it, is PAIR, not PSUS or SMPL");
    assert!(site.fail(&["pair", "resync", FRONT, "--yes"], 4).contains("the pair behind it"));
    // Of several generations another is chosen, which has nothing behind it.
    site.succeed(&["run", "documents"]);
    let pairs = site.json(&["pair", "status"]);
    let behind = pairs.as_array().unwrap().iter().find(|pair| pair["pair"]["copy_group"] == BEHIND).unwrap();
    assert_eq!(behind["state"]["status"], "PAIR", "the second still follows");
    site.succeed(&["pair", "split", BEHIND]);
    site.succeed(&["run", "documents", "--generation", "0"]);

    // B follows A: it is nothing that C could be made from.
    site.succeed(&["pair", "resync", FRONT, "--yes"]);
    refused(&site, &["second"], "VG01,vol01, the pair in front of it, is PAIR, not PSUS or SMPL");
    site.succeed(&["pair", "split", FRONT]);
    fs::write(site.path("documents/a.txt"), "newer").unwrap();
    site.succeed(&["run", "second"]);
    site.assert_clean();
}

#[test]
fn what_is_behind_is_not_restored_over_an_image() {
    let site = site();
    site.succeed(&["run", "documents", "--generation", "0"]);
    site.succeed(&["run", "second"]);
    let said = site.fail(&["restore", "second", "--yes"], 4);
    assert!(said.contains("its primary is the secondary of VG01,vol01, which is PSUS"), "{said}");
    assert!(said.contains("--to DIR"), "{said}");
    let to = site.path("elsewhere");
    site.succeed(&["restore", "second", "--to", to.to_str().unwrap()]);
    assert_eq!(fs::read(to.join("reports/b.txt")).unwrap(), b"two");
    // In front, it may be restored while what is behind is at rest.
    fs::write(site.path("documents/a.txt"), "ruined").unwrap();
    site.succeed(&["restore", "documents", "--yes"]);
    assert_same_tree(&site.path("far/0/data"), &site.path("documents"));
    site.assert_clean();
}
