//! Engines killed in the middle of each verb: at their commits, and while a driver is at work.

use std::{collections::BTreeSet, fs};

use super::{FIRST, status};
use crate::{
    kills::large_tree,
    site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, copy_tree},
};

/// A life of a pair, in which each verb is accepted: the verb, and the status that it leaves.
const LIFE: [(&str, &str); 6] = [
    ("create", "PAIR"),
    ("split", "PSUS"),
    ("restore", "PSUS"),
    ("resync", "PAIR"),
    ("split", "PSUS"),
    ("delete", "SMPL"),
];

fn runs(site: &Site) -> usize {
    site.json(&["runs", "--limit", "1000"]).as_array().unwrap().len()
}

fn assert_left(site: &Site, verb: &str, left: &str) {
    let run = &site.json(&["runs", "--limit", "1"])[0];
    assert_eq!(run["status"], "done", "{run:#}");
    assert_eq!(status(site, FIRST), left, "after {verb}");
    let copy = site.path("mirrors/0/data");
    if left == "SMPL" {
        assert!(!copy.exists());
    } else {
        assert_same_tree(&site.path("documents"), &copy);
    }
    site.assert_clean();
}

#[test]
fn each_verb_is_completed_when_its_engine_is_killed_at_a_commit() {
    let site = Site::small();
    let order = site.path("state/kill-at");
    let (mut killed, mut number) = (0, 0);
    for commit in 1..=7 {
        for (verb, left) in LIFE {
            number += 1;
            let side = if number % 2 == 0 { "before" } else { "after" };
            fs::write(site.path("documents/changed"), format!("{number}")).unwrap();
            if verb == "restore" {
                fs::write(site.path("documents/newer"), "newer").unwrap();
            }
            if verb == "split" {
                // The last pass takes what has changed since.
                fs::write(site.path("documents/later"), format!("{number}")).unwrap();
            }
            let before = runs(&site);
            fs::write(&order, format!("{side} {commit}\n")).unwrap();
            let output = site.output(&["pair", verb, FIRST, "--yes"]);
            killed += usize::from(!output.status.success());
            site.settle();
            // What was not reached holds for nobody from now on.
            let _ = fs::remove_file(&order);
            if runs(&site) == before {
                // It was never accepted.
                site.succeed(&["pair", verb, FIRST, "--yes"]);
            }
            assert_left(&site, verb, left);
        }
    }
    assert!(killed >= 20, "only {killed} of {number} were killed");
}

#[test]
fn each_verb_is_completed_when_its_engine_is_killed_while_it_copies() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    large_tree(&site.path("documents"));
    let kept = site.path("kept");
    let mut hit: BTreeSet<&str> = BTreeSet::new();
    for round in 0..8_u8 {
        // Usually each is hit at once; a busy machine may look too late.
        if hit.len() == 5 {
            break;
        }
        for (verb, left) in LIFE {
            match verb {
                "split" | "resync" => {
                    for directory in 0..40 {
                        let again = site.path(&format!("documents/d{directory}/f1"));
                        fs::write(again, vec![round + 1; 30_000]).unwrap();
                    }
                }
                "restore" => {
                    let _ = fs::remove_dir_all(&kept);
                    copy_tree(&site.path("mirrors/0/data"), &kept);
                    (0..30).for_each(|directory| {
                        fs::remove_dir_all(site.path(&format!("documents/d{directory}"))).unwrap();
                    });
                }
                _ => {}
            }
            let before = runs(&site);
            let mut child = site.spawn(&["pair", verb, FIRST, "--yes"]);
            // The book says that the verb is at work.
            let at_work = || {
                let book = fs::read_to_string(site.path("mirrors/0/pair.json")).unwrap_or_default();
                ["\"COPY\"", "\"RCPY\"", "\"PSUE\""].iter().any(|status| book.contains(status))
            };
            while child.try_wait().unwrap().is_none() {
                if at_work() {
                    site.kill_engines();
                    let _ = hit.insert(verb);
                    break;
                }
                std::thread::yield_now();
            }
            let _ = child.wait_with_output().unwrap();
            site.settle();
            assert_eq!(runs(&site), before + 1);
            assert_left(&site, verb, left);
            if verb == "restore" {
                assert_same_tree(&kept, &site.path("documents"));
            }
        }
    }
    assert_eq!(hit.len(), 5, "not each verb was killed at work: {hit:?}");
}
