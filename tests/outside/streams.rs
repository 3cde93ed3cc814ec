//! Pairs whose sides no process reaches both: what differs goes from engine to engine.

use std::{fs, time::Duration};

use crate::{
    kills::large_tree,
    site::{DOCUMENTS, Site, TWO_PAIRS, assert_same_tree, copy_tree, kill, small_tree, told},
};

/// The usual site, whose secondaries are reached by streams only.
fn streamed() -> Site {
    let text = TWO_PAIRS.replace("path: mirrors/0 }", "path: mirrors/0, reach: stream }");
    let text = text.replace("path: mirrors/1 }", "path: mirrors/1, reach: stream }");
    assert_eq!(text.matches("reach: stream").count(), 2);
    Site::new(&text, &[("documents", DOCUMENTS)])
}

#[test]
fn a_volume_that_is_streamed_comes_back_from_disk_and_from_tape() {
    let site = streamed();
    small_tree(&site.path("documents"));
    site.succeed(&["check"]);
    site.succeed(&["run", "documents"]);
    assert_same_tree(&site.path("documents"), &site.path("mirrors/0/data"));
    copy_tree(&site.path("documents"), &site.path("as-it-was"));
    // The primary's host has its own account of the copy, and no copy.
    assert!(fs::read_dir(site.path("state/told")).unwrap().count() > 0);
    let change = || {
        fs::write(site.path("documents/a.txt"), "changed").unwrap();
        fs::remove_file(site.path("documents/latest")).unwrap();
        fs::remove_dir_all(site.path("documents/reports")).unwrap();
        fs::write(site.path("documents/reports"), "a file now").unwrap();
        fs::create_dir_all(site.path("documents/new/deep")).unwrap();
    };
    change();
    let plan = site.succeed(&["plan", "documents", "--diff"]);
    assert!(plan.contains("VG02,vol01 differs by"), "{plan}");
    site.succeed(&["run", "documents"]);
    assert_same_tree(&site.path("documents"), &site.path("mirrors/1/data"));
    // What a restore would destroy is told from what the other host says of the image.
    let restored =
        site.output(&["restore", "documents", "--backup", "fileserver:1", "--from", "disk", "--yes"]);
    assert!(restored.status.success(), "{}", told(&restored));
    let plan = told(&restored);
    assert!(plan.contains("newer entries are removed") && !plan.contains(" 0 newer"), "{plan}");
    assert_same_tree(&site.path("as-it-was"), &site.path("documents"));
    site.assert_clean();
    // Files alone are sent as well.
    let to = site.path("out");
    let to = to.to_str().unwrap();
    let files = ["--path", "reports", "--to", to];
    site.succeed(
        &[&["restore", "documents", "--backup", "fileserver:1", "--from", "disk"][..], &files].concat(),
    );
    assert_same_tree(&site.path("as-it-was/reports"), &site.path("out/reports"));
    change();
    site.succeed(&["run", "documents"]);
    site.succeed(&["restore", "documents", "--backup", "backupserver:2", "--from", "tape", "--yes"]);
    assert_same_tree(&site.path("as-it-was"), &site.path("documents"));
    site.succeed(&["pair", "delete", "VG02,vol01", "--yes"]);
    assert!(!site.path("mirrors/1/data").exists());
    site.assert_clean();
}

#[test]
fn engines_killed_while_they_stream_finish_what_they_began() {
    let site = streamed();
    large_tree(&site.path("documents"));
    site.succeed(&["run", "documents"]);
    let began = std::time::Instant::now();
    site.succeed(&["run", "documents"]);
    // The resync, and the split, are at the beginning of a run.
    let within = u64::try_from(began.elapsed().as_millis()).unwrap().max(40) / 2;
    let mut random = fastrand::Rng::with_seed(20_261_120);
    let mut interrupted = 0;
    for count in 0..12_u32 {
        for file in 0..200 {
            fs::write(site.path(&format!("documents/d{}/f{}", file % 40, file % 50)), vec![7; 20_000])
                .unwrap();
        }
        fs::write(site.path(&format!("documents/new{count}")), vec![7; 4_000_000]).unwrap();
        let run = site.spawn(&["run", "documents"]);
        std::thread::sleep(Duration::from_millis(random.u64(..within)));
        let engines = site.engines();
        match count % 3 {
            0 => engines.into_iter().take(1).for_each(|pid| kill(pid, "KILL")),
            1 => engines.into_iter().skip(1).for_each(|pid| kill(pid, "KILL")),
            _ => site.kill_engines(),
        }
        let output = run.wait_with_output().unwrap();
        interrupted += u32::from(!output.status.success());
        site.settle();
        let last = site.json(&["runs", "--limit", "1"]);
        assert!(["done", "refused"].contains(&last[0]["status"].as_str().unwrap()), "{count}: {last}");
        site.assert_clean();
    }
    // The secondary's engine is started again by whoever streams: only the other one's end interrupts who watches.
    assert!(interrupted > 2, "only {interrupted} of 12 kills interrupted anything");
    site.succeed(&["run", "documents"]);
    let pairs = site.json(&["pair", "status"]);
    let newest =
        pairs.as_array().unwrap().iter().max_by_key(|pair| pair["state"]["backed_up"].as_u64()).unwrap();
    let data = std::path::PathBuf::from(newest["pair"]["secondary"].as_str().unwrap()).join("data");
    assert_same_tree(&site.path("documents"), &data);
}
