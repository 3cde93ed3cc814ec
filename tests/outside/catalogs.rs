//! Records that are carried as files, compared, and forgotten.

use std::fs;

use serde_json::Value;

use crate::site::{DOCUMENTS, Site, TWO_PAIRS, small_tree};

/// The text of a site that has run `documents` once, and the file of its record.
fn exported() -> (Site, std::path::PathBuf) {
    let site = Site::small();
    site.succeed(&["run", "documents"]);
    let file = site.path("1.json");
    site.succeed(&["catalog", "export", "fileserver:1", "--to", file.to_str().unwrap()]);
    (site, file)
}

fn ids(site: &Site, host: &str) -> Vec<String> {
    let id = |record: &Value| record["id"].as_str().unwrap().trim_start_matches('0').to_owned();
    site.catalog(host).iter().map(id).collect()
}

/// What is said on standard output by what ends with `code`.
fn shown(site: &Site, arguments: &[&str], code: i32) -> String {
    let output = site.output(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn catalogs_of_two_hosts_say_the_same_after_a_backup_and_differ_when_one_forgets() {
    let (site, file) = exported();
    let file = file.to_str().unwrap();
    assert_eq!(site.succeed(&["catalog", "diff", "fileserver", "backupserver"]), "");
    assert_eq!(site.json(&["catalog", "diff", "fileserver", "backupserver"]), Value::Array(Vec::new()));
    // What is written is not written over.
    let said = site.fail(&["catalog", "export", "fileserver:1", "--to", file], 4);
    assert!(said.contains("is there already"), "{said}");

    let said = site.succeed(&["catalog", "delete", "backupserver:1", "--dry-run"]);
    assert!(said.contains("fileserver:0000000001 on VG01,vol01") && said.contains("on VT0001"), "{said}");
    assert_eq!(ids(&site, "backupserver"), ["1", "2"]);
    let said = site.fail(&["catalog", "delete", "backupserver:1"], 4);
    assert!(said.contains("--yes does it"), "{said}");
    site.succeed(&["catalog", "delete", "backupserver:1", "--yes"]);
    assert_eq!(ids(&site, "backupserver"), ["2"]);
    let said = shown(&site, &["catalog", "diff", "fileserver", "backupserver"], 1);
    assert!(said.contains("record") && said.contains("0000000001"), "{said}");

    // It is brought back, under the next ID; once.
    let said = site.succeed(&["catalog", "import", file, "--host", "backupserver"]);
    assert!(
        said.contains("backup backupserver:0000000003 (original fileserver:0000000001) entered"),
        "{said}"
    );
    let said = site.succeed(&["catalog", "import", file, "--host", "backupserver"]);
    assert!(said.contains("0000000003") && said.contains("was there already"), "{said}");
    assert_eq!(ids(&site, "backupserver"), ["2", "3"]);
    // All but what its tape is known to be: the file does not say.
    let differ = shown(&site, &["catalog", "diff", "fileserver", "backupserver"], 1);
    assert!(differ.contains("tape") && !differ.contains("record"), "{differ}");
    site.succeed(&["restore", "documents", "--backup", "fileserver:1", "--yes"]);
    site.assert_clean();
}

#[test]
fn a_record_is_only_entered_while_its_pair_holds_its_image() {
    let (site, file) = exported();
    let before = fs::read_to_string(&file).unwrap();
    let import = |wanted: i32| {
        site.fail(&["catalog", "import", file.to_str().unwrap(), "--host", "backupserver"], wanted)
    };
    for (from, to, wanted, word) in [
        ("documents", "documentz", 2, "digest"),
        ("\"format\": 1", "\"format\": 2", 2, "format 2"),
        ("VG01,vol01", "../vol01", 2, "none"),
        // Which pair holds it is no part of what is digested: it is looked for.
        ("VG01,vol01", "VG09,vol01", 4, "no pair VG09,vol01"),
        ("VG01,vol01", "VG02,vol01", 4, "no longer holds"),
        ("{", "", 2, "not an exported record"),
    ] {
        fs::write(&file, before.replacen(from, to, if from == "{" { 1 } else { 99 })).unwrap();
        let said = import(wanted);
        assert!(said.contains(word), "{from}: {said}");
    }
    fs::write(&file, vec![b' '; 17 << 20]).unwrap();
    assert!(import(2).contains("which no exported record has"));
    fs::write(&file, &before).unwrap();
    // On which host is not guessed.
    let said = site.fail(&["catalog", "import", file.to_str().unwrap()], 2);
    assert!(said.contains("--host backupserver"), "{said}");
    // Mounted or locked, the record that is there stays.
    site.succeed(&["catalog", "lock", "backupserver:1"]);
    assert!(
        site.succeed(&["catalog", "import", file.to_str().unwrap(), "--host", "backupserver"])
            .contains("was there")
    );
    let said = site.fail(&["catalog", "delete", "backupserver:1", "--yes"], 4);
    assert!(said.contains("locked by an operator") && said.contains("catalog unlock"), "{said}");
    site.succeed(&["catalog", "unlock", "backupserver:1"]);
    // Two more backups overwrite the image.
    site.succeed(&["run", "documents"]);
    site.succeed(&["run", "documents"]);
    let said = import(4);
    assert!(said.contains("no longer holds the image"), "{said}");
    site.assert_clean();
}

#[test]
fn the_last_record_that_leads_to_its_data_goes_only_when_that_is_said() {
    let alone = "protect: { filesystem: documents, volumes: [documents] }\n";
    let site = Site::new(TWO_PAIRS, &[("alone", alone), ("documents", DOCUMENTS)]);
    small_tree(&site.path("documents"));
    site.succeed(&["run", "alone"]);
    let said = shown(&site, &["catalog", "delete", "1", "--dry-run"], 4);
    assert!(said.contains("no other record leads to that data"), "{said}");
    let said = site.fail(&["catalog", "delete", "1", "--yes"], 4);
    assert!(said.contains("--last-copy"), "{said}");
    assert_eq!(ids(&site, "fileserver"), ["1"]);
    site.succeed(&["catalog", "delete", "1", "--yes", "--last-copy"]);
    assert!(ids(&site, "fileserver").is_empty());
    // The ID is not given again.
    site.succeed(&["run", "alone"]);
    assert_eq!(ids(&site, "fileserver"), ["2"]);
    let said = site.fail(&["catalog", "diff", "fileserver", "fileserver"], 2);
    assert!(said.contains("named twice"), "{said}");
    site.assert_clean();
}
