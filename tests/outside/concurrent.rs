//! Several runs at once.

use std::fs;

use crate::site::{DOCUMENTS, Site, TWO_PAIRS, small_tree, told};

fn two_volumes() -> Site {
    let volumes = TWO_PAIRS.replace(
        "libraries:",
        r#"  pictures:
    driver: directory
    primary: { host: fileserver, path: pictures }
    pairs:
      - { copy_group: "VG03,vol01", secondary: { host: backupserver, path: mirrors/3 } }
libraries:"#,
    );
    let pictures = DOCUMENTS
        .replace("filesystem: documents, volumes: [documents]", "filesystem: pictures, volumes: [pictures]");
    let site = Site::new(&volumes, &[("documents", DOCUMENTS), ("pictures", &pictures)]);
    small_tree(&site.path("documents"));
    small_tree(&site.path("pictures"));
    site
}

#[test]
fn runs_of_different_volumes_both_finish() {
    let site = two_volumes();
    let both = [site.spawn(&["run", "documents"]), site.spawn(&["run", "pictures"])];
    for child in both {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
    site.assert_clean();
}

#[test]
fn a_second_run_of_one_volume_waits_for_the_first() {
    let site = two_volumes();
    let hook = "hooks: { before_quiesce: [ { argv: [sh, -c, 'echo > began; while [ ! -e go ]; do sleep 0.05; done'], timeout: 60s } ] }\n"
        .replace("began", site.path("began").to_str().unwrap())
        .replace(" go ", &format!(" {} ", site.path("go").display()));
    fs::write(site.path("operations/documents.yaml"), format!("{DOCUMENTS}{hook}")).unwrap();
    let first = site.spawn(&["run", "documents"]);
    while !site.path("began").exists() {
        std::thread::yield_now();
    }
    let said = site.fail(&["run", "documents", "--no-wait"], 5);
    assert!(said.contains("volume documents"), "{said}");
    let second = site.spawn(&["run", "documents"]);
    while site.json(&["runs", "--open"]).as_array().unwrap().len() < 2 {
        std::thread::yield_now();
    }
    fs::write(site.path("go"), "").unwrap();
    for (child, id) in [(first, 1), (second, 2)] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        assert!(told(&output).contains(&format!("backup {id:010} of documents")), "{}", told(&output));
    }
    site.assert_clean();
}
