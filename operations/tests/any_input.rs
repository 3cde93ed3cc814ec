//! Whatever a file contains: no panic, every problem within its file, and no model beside an error.

mod common;

use common::{PROTECT, SITE, source};
use proptest::prelude::*;
use resplit_operations::{
    definitions::{Partial, check_all_partial},
    report::Severity,
};

/// Parts of files that are easily mistaken, in any order, and text that has nothing to do with it.
fn parts() -> impl Strategy<Value = String> {
    let tokens = [
        "protect: ",
        "steps:\n",
        "  a: ",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "\n",
        "  ",
        "\t",
        "- ",
        "\"",
        "'",
        "*a",
        "&a ",
        "!!str ",
        "? ",
        "| ",
        "> ",
        "#",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "<<: ",
        "~",
        "010",
        "0x1F",
        "\r",
        "\u{feff}",
        "\u{1b}",
        "\u{85}",
        "ä",
        "😀",
        "export: {}",
        "host: fileserver",
        "needs: [a]",
        "volumes: ",
        "hooks: ",
        "\\",
    ];
    prop::collection::vec(
        prop_oneof![8 => prop::sample::select(tokens.to_vec()).prop_map(str::to_owned), 1 => any::<String>()],
        0..60,
    )
    .prop_map(|parts| parts.concat())
}

/// A file that is right, with a part cut out and something else put in.
fn damaged(right: &'static str) -> impl Strategy<Value = Vec<u8>> {
    (
        0..right.len(),
        0..12_usize,
        prop_oneof![parts().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..6)],
    )
        .prop_map(|(at, cut, put)| {
            let right = right.as_bytes();
            [&right[..at], &put, &right[(at + cut).min(right.len())..]].concat()
        })
}

fn operation() -> &'static str {
    concat!(
        "description: &d Mail and documents\n",
        "steps:\n",
        "  a: { resync: { volume: mail }, host: fileserver, retry: { attempts: 3, pause: 1s } }\n",
        "  b:\n    split: { volume: mail }\n    host: fileserver\n    needs: [a]\n    timeout: 10m\n    finally: c\n",
        "  c: { command: { argv: [\"a\", 'b', *d] }, host: backupserver, needs: [b] }\n",
        "schedule: { cron: \"0 2 * * *\", timezone: UTC }\n",
    )
}

fn holds(partial: &Partial) {
    let report = &partial.report;
    for problem in report.problems() {
        let (line, column) = report.position(problem);
        assert!(line >= 1 && column >= 1 && !problem.message.is_empty());
    }
    let text = report.render(1_000, true);
    assert_eq!(text.is_empty(), report.is_empty());
    assert_eq!(report.to_json().as_array().map(Vec::len), Some(report.problems().len()));
    let of = |name: &str| {
        let errors =
            report.problems().iter().filter(|p| p.severity == Severity::Error && p.file.ends_with(name));
        errors.count() == 0
    };
    assert_eq!(partial.site.is_some(), of("site.yaml"), "{report}");
    assert_eq!(partial.operations.contains_key(&"a".into()), of("a.yaml"), "{report}");
    assert!(!report.to_string().contains("did not match"), "{report}");
}

#[test]
fn what_is_damaged_was_right() {
    assert_eq!(common::problems_of_site(SITE), [""; 0]);
    assert_eq!(common::problems_of(operation()), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_operation(text in parts()) {
        holds(&check_all_partial(source("site.yaml", SITE), vec![source("operations/a.yaml", text)]));
    }

    #[test]
    fn any_damage(site in damaged(SITE), operation in damaged(operation())) {
        holds(&check_all_partial(source("site.yaml", site), vec![source("operations/a.yaml", operation)]));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&check_all_partial(source("site.yaml", bytes), vec![source("operations/a.yaml", PROTECT)]));
    }
}
