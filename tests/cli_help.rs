//! What the program says of itself: help, completions, manual pages.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    io::Read,
    process::{Command, Stdio},
};

use support::{resplit, run};

/// Every verb, and every verb of a verb, that help lists.
fn verbs(path: &[&str]) -> Vec<Vec<String>> {
    let home = tempfile::tempdir().unwrap();
    let help = run(home.path(), &[path, &["-h"]].concat()).with(0).out;
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.map(|line| line.split_whitespace().next().unwrap().to_owned());
    let here = |name: String| path.iter().map(|&part| part.to_owned()).chain([name]).collect();
    names.map(here).collect()
}

#[test]
fn every_verb_has_help_that_fits_80_columns() {
    let home = tempfile::tempdir().unwrap();
    let first = verbs(&[]);
    assert!(first.len() >= 18, "{first:?}");
    let nested = first.iter().filter(|verb| ["catalog", "pair", "tape"].contains(&verb[0].as_str()));
    let nested: Vec<_> = nested.flat_map(|verb| verbs(&[verb[0].as_str()])).collect();
    assert!(nested.contains(&vec!["catalog".to_owned(), "waive".to_owned()]), "{nested:?}");
    for verb in first.iter().chain(&nested) {
        for flag in ["-h", "--help"] {
            let mut arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
            arguments.push(flag);
            let help = run(home.path(), &arguments).with(0).out;
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{verb:?}: {line}");
            }
            assert!(help.contains("--json") && help.contains(" Print help"), "{help}");
        }
    }
}

#[test]
fn verbs_that_are_started_by_engines_are_hidden() {
    let home = tempfile::tempdir().unwrap();
    let help = run(home.path(), &["--help"]).with(0).out;
    for hidden in ["watchdog", "shim"] {
        assert!(!help.contains(hidden), "{help}");
        let _ = run(home.path(), &[hidden, "--help"]).with(0);
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_was_meant() {
    let home = tempfile::tempdir().unwrap();
    let ended = run(home.path(), &["plan", "documents", "--genration", "1"]).with(2);
    assert!(ended.err.contains("--generation") && ended.out.is_empty(), "{ended:#?}");
    for arguments in [
        &["nonsense"][..],
        &["catalog", "show", "not-an-id"],
        &["answer", "documents", "split", "perhaps"],
        &["restore", "documents", "--path", "a"],
        &["restore", "documents", "--to", "/tmp/x", "--force"],
        &["plan", "documents", "--expand", "--format", "svg"],
        &[],
    ] {
        let _ = run(home.path(), arguments).with(2);
    }
}

#[test]
fn a_directory_without_a_site_is_told() {
    let home = tempfile::tempdir().unwrap();
    let ended = run(home.path(), &["--site", "nowhere", "check"]).with(2);
    assert!(ended.err.starts_with("error: ") && ended.err.contains("nowhere"), "{ended:#?}");
}

#[test]
fn completions_are_made_for_every_shell() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = run(home.path(), &["completions", shell]).with(0).out;
        for word in ["restore", "--generation", "waive"] {
            assert!(text.contains(word.trim_start_matches("--")), "{shell} lacks {word}");
        }
    }
    let script = home.path().join("resplit.bash");
    std::fs::write(&script, run(home.path(), &["completions", "bash"]).with(0).out).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&script).status().unwrap();
    assert!(checked.success());
}

#[test]
fn manual_pages_are_printed_and_written() {
    let home = tempfile::tempdir().unwrap();
    let page = run(home.path(), &["man"]).with(0).out;
    assert!(page.contains(".TH resplit 1") && page.contains("Exit codes"), "{page}");
    let _ = run(home.path(), &["man", "--out", "man1"]).with(0);
    let page = |name: &str| std::fs::read_to_string(home.path().join("man1").join(name));
    assert!(page("resplit-restore.1").unwrap().contains("asked on a terminal"));
    assert!(page("resplit-catalog-waive.1").is_ok());
    assert!(page("resplit-watchdog.1").is_err());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["completions", "bash"][..], &["man"], &["schema", "site"], &["--help"]] {
        let mut child =
            resplit(home.path(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        let _ = child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_told() {
    let home = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended =
        resplit(home.path(), &["schema", "site"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("cannot write to standard output"), "{said}");
}
