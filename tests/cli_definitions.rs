//! The verbs that read definition files and need no engine.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, path::Path};

use support::{resplit, run};

/// A new site as `init` writes it.
fn site() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let _ = run(home.path(), &["init", "site"]).with(0);
    home
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_init_writes_is_accepted() {
    let home = site();
    let directory = home.path().join("site");
    let ended = run(&directory, &["check"]).with(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("1 operation, no problems\n", ""));
    // From a directory below, and from elsewhere.
    let _ = run(&directory.join("operations"), &["check", "example"]).with(0);
    let elsewhere = run(home.path(), &["check", "--site", "site", "--json"]).with(0);
    assert_eq!(json(&elsewhere.out), json("[]"));
    let by_environment = resplit(home.path(), &["check"]).env("RESPLIT_SITE", "site").output().unwrap();
    assert!(by_environment.status.success(), "{by_environment:?}");
}

#[test]
fn init_overwrites_nothing() {
    let home = site();
    let mine = home.path().join("site/site.yaml");
    fs::write(&mine, "hosts: {}\n").unwrap();
    let ended = run(home.path(), &["init", "site"]).with(4);
    assert!(ended.err.contains("site.yaml is there already"), "{ended:#?}");
    assert_eq!(fs::read_to_string(mine).unwrap(), "hosts: {}\n");
}

#[test]
fn a_wrong_key_is_reported_at_its_place_and_hinders_no_other_operation() {
    let home = site();
    let directory = home.path().join("site");
    let good = fs::read_to_string(directory.join("operations/example.yaml")).unwrap();
    fs::write(directory.join("operations/other.yaml"), good.replace("usual_state", "usual_stat")).unwrap();

    let ended = run(&directory, &["check"]).with(3);
    assert!(ended.out.is_empty(), "{ended:#?}");
    for told in ["usual_stat", "other.yaml:11:1", "did you mean 'usual_state'?"] {
        assert!(ended.err.contains(told), "{told}: {ended:#?}");
    }
    assert!(ended.err.lines().all(|line| line.chars().count() <= 80 || line.contains('/')), "{}", ended.err);

    let problems = json(&run(&directory, &["check", "--json"]).with(3).out);
    assert_eq!((&problems[0]["line"], &problems[0]["column"]), (&11.into(), &1.into()));

    let _ = run(&directory, &["check", "example"]).with(0);
    let expanded = run(&directory, &["plan", "example", "--expand"]).with(0);
    assert!(expanded.err.contains("one other operation has errors"), "{ended:#?}");
    let _ = run(&directory, &["plan", "other", "--expand"]).with(3);
}

#[test]
fn an_operation_that_does_not_exist_is_wrong_usage() {
    let home = site();
    let directory = home.path().join("site");
    for verb in ["check", "plan", "run", "restore"] {
        let ended = run(&directory, &[verb, "exmaple"]).with(2);
        assert!(ended.err.contains("did you mean 'example'?"), "{ended:#?}");
    }
    let ended = run(&directory, &["run", "example", "--host", "hree"]).with(2);
    assert!(ended.err.contains("did you mean 'here'?"), "{ended:#?}");
    assert!(!directory.join("state").exists(), "no engine is started for it");
}

#[test]
fn a_plan_is_expanded_into_an_operation_that_is_accepted_and_means_the_same() {
    let home = site();
    let directory = home.path().join("site");
    let yaml = run(&directory, &["plan", "example", "--expand"]).with(0).out;
    fs::write(directory.join("operations/example.yaml"), &yaml).unwrap();
    let _ = run(&directory, &["check", "example"]).with(0);
    assert_eq!(run(&directory, &["plan", "example", "--expand"]).with(0).out, yaml);
    let data = json(&run(&directory, &["plan", "example", "--expand", "--json"]).with(0).out);
    assert!(
        data["steps"].as_array().is_some_and(|steps| steps.iter().any(|step| step["id"] == "split")),
        "{data}"
    );
}

#[test]
fn a_plan_is_drawn_without_an_engine() {
    let home = site();
    let directory = home.path().join("site");
    for (format, begins) in [("dot", "digraph"), ("mermaid", ""), ("svg", "<svg")] {
        let drawing = run(&directory, &["plan", "example", "--format", format]).with(0).out;
        assert!(drawing.trim_start().starts_with(begins) && drawing.contains("resync"), "{drawing}");
    }
    assert!(!directory.join("state").exists(), "no engine is started for it");
}

#[test]
fn the_pairs_that_are_declared_are_listed() {
    let home = site();
    let directory = home.path().join("site");
    let text = run(&directory, &["pair", "list"]).with(0).out;
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with("VOLUME   GENERATION  COPY-GROUP  PRIMARY"), "{text}");
    let pairs = json(&run(&directory, &["pair", "list", "--json"]).with(0).out);
    let second = &pairs[1];
    assert_eq!((&second["copy_group"], &second["generation"]), (&"VG02,vol01".into(), &1.into()));
    assert!(Path::new(second["secondary"].as_str().unwrap()).is_absolute());
}

#[test]
fn the_schemas_are_the_ones_that_check_uses() {
    let home = site();
    for (file, key) in [("site", "hosts"), ("operation", "protect")] {
        let schema = json(&run(home.path(), &["schema", file]).with(0).out);
        assert!(schema["properties"][key].is_object(), "{schema}");
    }
}

#[test]
fn colour_is_only_for_terminals_unless_it_is_asked_for() {
    let home = site();
    let directory = home.path().join("site");
    fs::write(directory.join("operations/example.yaml"), "protct: {}\n").unwrap();
    assert!(!run(&directory, &["check"]).with(3).err.contains('\x1b'));
    assert!(run(&directory, &["--color", "always", "check"]).with(3).err.contains('\x1b'));
}
