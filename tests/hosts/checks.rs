//! `check --hosts` and `site push`.

use std::fs;

use crate::bed::Bed;

#[test]
fn every_host_is_asked_whether_it_is_what_the_site_says() {
    let Some(bed) = Bed::new() else { return };
    let (out, err) = bed.run(&["check", "--hosts"], 0);
    assert!(out.lines().filter(|line| line.contains("yes")).count() == 3, "{out}{err}");
    // Another definition there, no primary, and no way from the source to the backup server.
    bed.write("backup", "operations/more.yaml", "protect: { filesystem: documents, volumes: [documents] }\n");
    fs::rename(bed.path("source", "documents"), bed.path("source", "elsewhere")).unwrap();
    bed.cut("source", "backup");
    let (_, err) = bed.run(&["check", "--hosts"], 4);
    for words in [
        "operations/more.yaml (only there)",
        "resplit site push backup",
        "primary of volume 'documents'",
        "line to host 'backup'",
    ] {
        assert!(err.contains(words), "{words}: {err}");
    }
}

#[test]
fn pushed_files_are_checked_there_and_put_in_place_all_or_none() {
    let Some(bed) = Bed::new() else { return };
    let there = |name: &str| fs::read_to_string(bed.path("backup", name)).ok();
    bed.write("backup", "operations/old.yaml", "nothing: 1\n");
    bed.write("engine", "operations/new.yaml", "protect: { filesystem: documents, volumes: [documents] }\n");
    let shown = bed.succeed(&["site", "push", "backup", "--dry-run"]);
    assert!(
        shown.contains("added    operations/new.yaml") && shown.contains("removed  operations/old.yaml"),
        "{shown}"
    );
    assert!(there("operations/new.yaml").is_none() && there("operations/old.yaml").is_some());
    let (_, err) = bed.run(&["site", "push", "backup"], 4);
    assert!(err.contains("loses operations/old.yaml") && err.contains("--yes"), "{err}");
    bed.succeed(&["site", "push", "backup", "--yes"]);
    assert!(there("operations/new.yaml").is_some() && there("operations/old.yaml").is_none());
    // To a machine that has none.
    fs::remove_file(bed.path("backup", "site.yaml")).unwrap();
    fs::remove_dir_all(bed.path("backup", "operations")).unwrap();
    bed.succeed(&["site", "push", "backup"]);
    assert_eq!(there("site.yaml"), fs::read_to_string(bed.path("engine", "site.yaml")).ok());
    bed.run(&["check", "--hosts"], 4);
    bed.succeed(&["site", "push", "source"]);
    bed.run(&["check", "--hosts"], 0);
}
