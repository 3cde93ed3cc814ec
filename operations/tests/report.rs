//! How problems are shown.

mod common;

use common::{PROTECT, SITE, check, text_of};

#[test]
fn a_problem_is_shown_with_its_line_and_the_next_command() {
    let text = format!("{PROTECT}# März\ndescription: \"ä\" # 😀\nusual-state: paired\n");
    let report = check(SITE, &[("a.yaml", &text)]).report;
    let expected = "  × there is no key 'usual-state' in the file
   ╭─[/site/operations/a.yaml:4:1]
 4 │ usual-state: paired
   · ─────┬─────
   ·      ╰── unknown key
   ╰────
  help: did you mean 'usual_state'?
";
    assert_eq!(report.to_string().trim_end(), expected.trim_end());
}

#[test]
fn columns_count_characters() {
    let report =
        check(SITE, &[("a.yaml", &format!("{PROTECT}hooks: {{ before: [{{ argv: [ä😀], onn: 1 }}] }}\n"))])
            .report;
    assert!(report.to_string().contains("a.yaml:2:33]"), "{report}");
    let json = report.to_json();
    assert_eq!(json[0]["column"], 33);
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["file"], "/site/operations/a.yaml");
    assert_eq!(json[0]["help"], "did you mean 'on'?");
    assert_eq!(json[0].as_object().unwrap().len(), 7);
}

/// Nothing in a file can move the cursor, ring, or turn the text around.
#[test]
fn what_a_file_contains_is_harmless_when_it_is_shown() {
    let text = format!(
        "{PROTECT}\"a\\e[31m\\u202e\": 1\ndescription: \u{7}\u{1b}]0;x\u{202e}\u{9b}\n\"\\x07\": 2\n"
    );
    let report = check(SITE, &[("a.yaml", &text)]).report;
    let shown = format!("{report}{}", report.to_json());
    let dangerous = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!shown.contains(dangerous), "{}", shown.escape_debug());
    assert!(shown.contains("there is no key 'a\\u{1b}[31m\\u{202e}'"), "{shown}");
}

#[test]
fn what_is_too_much_is_counted() {
    let text = text_of(30, |i| format!("key{i}: 1\n"));
    let report = check(SITE, &[("a.yaml", &format!("{PROTECT}{text}"))]).report;
    assert_eq!(report.errors(), 30);
    assert!(report.render(5, false).ends_with("and 25 more problems\n"));
    assert_eq!(report.render(5, false).matches("unknown key").count(), 5);
    assert!(report.render(29, false).ends_with("and 1 more problem\n"));
    assert!(!report.render(30, false).contains(" more "));
}

#[test]
fn a_long_line_is_shown_in_part() {
    let text = format!(
        "{PROTECT}hooks: {{ before: [{{ argv: [\"{}\"], hots: a, x: \"{}\" }}] }}\n",
        "é".repeat(5_000),
        "y".repeat(5_000)
    );
    let report = check(SITE, &[("a.yaml", &text)]).report;
    assert!(report.to_string().lines().all(|line| line.chars().count() < 200), "{report}");
    assert!(report.to_string().contains("hots: a"), "{report}");
    assert!(report.to_string().contains("a.yaml:2:5033]"), "{report}");
}

#[test]
fn files_are_named_relative_to_a_directory() {
    let report = check(SITE, &[("a.yaml", "x: 1\n")]).report.relative_to(std::path::Path::new("/site"));
    assert!(report.to_string().contains("╭─[operations/a.yaml:1:1]"), "{report}");
    assert_eq!(report.to_json()[0]["file"], "operations/a.yaml");
}

/// The example that the documentation quotes has no problem.
#[test]
fn the_quickstart_is_right() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart");
    let read = |name: &str| resplit_operations::definitions::Source {
        path: directory.join(name),
        content: Ok(std::fs::read(directory.join(name)).unwrap()),
    };
    let checked = resplit_operations::definitions::check_all(
        read("site.yaml"),
        vec![read("operations/documents.yaml")],
    );
    assert_eq!(checked.unwrap().operations.len(), 1);
}
