//! Many files at once: a thousand with one mistake each, all found in one call; and how fast ten thousand are checked.

mod common;

use std::fmt::Write as _;

use common::{SITE, source, text_of};
use resplit_operations::{
    definitions::{Source, check_all, check_all_partial},
    report::Report,
};

/// An operation of forty lines without a mistake.
fn forty_lines(i: usize) -> String {
    let mut text =
        format!("# Operation {i}: the documents.\ndescription: Documents, for the {i}th time\nprotect:\n");
    text += "  filesystem: srv\n  volumes:\n    - documents\n    - mail\n";
    text += "backup_server: backupserver\nusual_state: split\nquiesce:\n  mode: online\n  window: 10s\n";
    text += "tape:\n  library: vault\n  pool: daily\n  keep: 30d\nschedule:\n  cron: \"0 2 * * *\"\n";
    text += "  timezone: Europe/Berlin\n  missed: run-once\n  overlap: skip\nhooks:\n";
    for (place, on) in [("before", "success"), ("in_window", "always"), ("after", "failure")] {
        let _ = write!(
            text,
            "  {place}:\n    - argv: [/usr/local/bin/{place}, \"{i}\"]\n      host: fileserver\n      timeout: 30s\n      environment: {{ NUMBER: \"{i}\" }}\n      on: {on}\n"
        );
    }
    text
}

/// A mistake: what is replaced in the file, by what, the line it is then reported in, and a part of the message.
type Mistake = (&'static str, &'static str, usize, &'static str);

const MISTAKES: &[Mistake] = &[
    ("description:", "decsription:", 2, "no key 'decsription'"),
    ("protect:\n", "protect: &p\n  more: *p\n", 4, "no key 'more'"),
    ("filesystem: srv", "filesystem: 12", 4, "cannot be the number 12"),
    ("filesystem: srv", "filesystem: var", 4, "is not in this file system"),
    ("filesystem: srv", "filesytem: srv", 4, "no key 'filesytem'"),
    ("    - documents\n", "    - document\n", 6, "no volume 'document'"),
    ("    - mail\n", "    - documents\n", 7, "named twice"),
    ("    - mail\n", "    - elsewhere\n", 4, "is not in this file system"),
    ("    - mail\n", "    - \"mail\n", 7, "a quote that opens here"),
    ("    - mail\n", "\t- mail\n", 7, "a tab stands"),
    ("backup_server: backupserver", "backup_server: backupsever", 8, "no host 'backupsever'"),
    ("backup_server: backupserver\n", "", 12, "needs 'backup_server'"),
    ("usual_state: split", "usual_state: splat", 9, "cannot be 'splat'"),
    ("usual_state: split", "usual_state: split\nusual_state: paired", 10, "stands here again"),
    ("mode: online", "mode: cold", 11, "cold is not built"),
    ("mode: online", "mode: off", 11, "cannot be 'off'"),
    ("  mode: online\n", "", 11, "lacks the key 'mode'"),
    ("window: 10s", "window: 0s", 12, "cannot be zero"),
    ("window: 10s", "window: 10", 12, "cannot be the number 10"),
    ("window: 10s", "window: 010", 12, "ambiguous"),
    ("window: 10s", "window:", 12, "has no value"),
    ("library: vault", "library: vualt", 14, "no library 'vualt'"),
    ("library: vault", "library: attic", 14, "attached to host 'fileserver'"),
    ("pool: daily", "pool: dailly", 15, "no pool 'dailly'"),
    ("keep: 30d", "keep: thirty", 16, "cannot be 'thirty'"),
    ("cron: \"0 2 * * *\"", "cron: \"0 2 * *\"", 18, "4 fields"),
    ("cron: \"0 2 * * *\"", "cron: \"61 2 * * *\"", 18, "minute cannot be '61'"),
    ("cron: \"0 2 * * *\"", "cron: * * * * *", 18, "without a name"),
    ("timezone: Europe/Berlin", "timezone: Europe/Brelin", 19, "no time zone"),
    ("missed: run-once", "missed: once", 20, "cannot be 'once'"),
    ("overlap: skip", "overlap: [skip]", 21, "cannot be a list of 1"),
    ("overlap: skip", "overlap: *skip", 21, "no anchor before it"),
    ("  in_window:", "  in_windw:", 29, "no key 'in_windw'"),
    ("host: fileserver", "host: fileservers", 25, "no host 'fileservers'"),
    ("timeout: 30s", "timeout: 30 s", 26, "cannot be '30 s'"),
    ("on: success", "on: sucess", 28, "cannot be 'sucess'"),
];

#[test]
fn a_thousand_mistakes_are_found_at_their_lines_in_one_call() {
    let mut files = Vec::new();
    let mut expected = Vec::new();
    for i in 0..1_000 {
        let (old, new, line, message) = MISTAKES[i % MISTAKES.len()];
        let right = forty_lines(i);
        assert!(right.contains(old), "{old}");
        files.push(source(&format!("operations/o{i:04}.yaml"), right.replacen(old, new, 1)));
        expected.push((format!("/site/operations/o{i:04}.yaml"), line, message));
    }
    let report = check_all_partial(source("site.yaml", SITE), files).report;
    let mut found = report.problems().iter();
    for (file, line, message) in &expected {
        let problem = found.next().unwrap();
        assert_eq!(problem.file.to_str(), Some(file.as_str()), "{message}: {problem:?}");
        assert_eq!(report.position(problem).0, *line, "{message}: {problem:?}");
        assert!(problem.message.contains(message), "{message}: {problem:?}");
        // A mistake may have a consequence in the same file, but no more than that.
        let consequences = found.clone().take_while(|next| next.file == problem.file).count();
        assert!(consequences <= 1, "{message}: {}", only(&report, file));
        for _ in 0..consequences {
            let _ = found.next();
        }
    }
    assert!(found.next().is_none());
}

fn only(report: &Report, file: &str) -> Report {
    report.about(|path| path.to_str() == Some(file))
}

/// A report of very many problems is rendered from an index of lines, not by scanning the text for each.
#[test]
fn five_thousand_problems_in_one_file_are_rendered_at_once() {
    let steps = text_of(5_000, |i| format!("  s{i}: {{ exprt: {{}}, host: a }}\n"));
    let start = std::time::Instant::now();
    let report =
        check_all(source("site.yaml", SITE), vec![source("operations/a.yaml", format!("steps:\n{steps}"))])
            .unwrap_err();
    assert_eq!(report.errors(), 10_000);
    let text = report.render(usize::MAX, false);
    assert!(text.matches("did you mean 'export'?").count() == 5_000);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

/// Input made to be slow: every pass is linear, or gives up comparing.
#[test]
fn files_full_of_mistakes_take_no_longer_than_they_must() {
    let unknown_keys = text_of(200_000, |i| format!("k{i}: 1\n"));
    let same_key = "k: 1\n".repeat(200_000);
    let all_need_all = |i| format!("  s{i}: {{ export: {{}}, host: x{i}, needs: [s0, s{}, z{i}] }}\n", i + 1);
    let circles = format!("steps:\n{}", text_of(20_000, all_need_all));
    let control = "\u{1}".repeat(2_000_000);
    for text in [unknown_keys, same_key, circles, control] {
        let start = std::time::Instant::now();
        let beginning = text[..20].to_owned();
        let partial = check_all_partial(source("site.yaml", SITE), vec![source("operations/a.yaml", text)]);
        assert!(partial.report.errors() > 0);
        assert!(start.elapsed().as_secs() < 20, "{beginning:?}: {:?}", start.elapsed());
    }
}

/// `cargo test --release -p resplit-operations --test thousand -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, for a release build"]
fn ten_thousand_files_in_a_second() {
    let files: Vec<Source> =
        (0..10_000).map(|i| source(&format!("operations/o{i}.yaml"), forty_lines(i))).collect();
    assert!(forty_lines(1).lines().count() >= 40);
    let mut times: Vec<_> = (0..7)
        .map(|_| {
            let files = files.clone();
            let start = std::time::Instant::now();
            let checked = check_all(source("site.yaml", SITE), files).unwrap();
            assert_eq!(checked.operations.len(), 10_000);
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("10 000 files of 40 lines: median {:?}, best {:?}, worst {:?}", times[3], times[0], times[6]);
    assert!(times[3].as_millis() <= 1_000, "{times:?}");
}
