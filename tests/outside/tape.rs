//! What is on tape can be read without resplit.

use std::{fs, process::Command};

use crate::site::{Site, assert_same_tree, told};

fn shell(site: &Site, text: &str) {
    let output = Command::new("sh").arg("-c").arg(text).current_dir(site.path(".")).output().unwrap();
    assert!(output.status.success(), "{text}: {}", told(&output));
}

#[test]
fn tar_and_zstd_alone_get_the_files_back() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    fs::write(site.path("documents/a.txt"), "of the second backup").unwrap();
    site.succeed(&["run", "documents"]);
    fs::create_dir(site.path("out")).unwrap();
    // All datasets in order: the last one wins.
    shell(&site, "zstd -dc vault/VT0001.cartridge | tar -xi --xattrs --acls -C out");
    assert_same_tree(&site.path("documents"), &site.path("out/documents"));
    // The table beside the cartridge gives the command for each dataset.
    let table = fs::read_to_string(site.path("vault/VT0001.txt")).unwrap();
    let command =
        table.lines().find(|line| line.trim_start().starts_with("dd ")).unwrap_or_else(|| panic!("{table}"));
    fs::create_dir(site.path("first")).unwrap();
    shell(&site, &format!("VAULT=$PWD/vault; cd first && {}", command.trim()));
    assert_eq!(fs::read_to_string(site.path("first/documents/a.txt")).unwrap(), "one");
}

#[test]
fn the_catalog_is_beside_the_library_after_each_run() {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let text = fs::read_to_string(site.path("vault/catalog-backupserver.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let records = file["records"].as_array().unwrap();
    assert!(records.iter().any(|record| record["medium"]["barcode"] == "VT0001"), "{text}");
    assert!(records.iter().all(|record| record["lock"].is_null()), "{text}");
}
