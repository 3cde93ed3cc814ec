//! Any string survives the explicit form.

use proptest::prelude::*;
use resplit_operations::{
    action::{Action, StepDeclaration},
    expand,
    operation::Operation,
};

use crate::{
    golden::checked,
    sites::{backup, operation},
    yaml,
};

const COMMAND: &str = "steps: { a: { command: { argv: [a] }, host: fileserver } }";

/// An operation with one step, a command with these arguments and environment.
fn commanding(arguments: &[String], environment: &[(String, String)]) -> Operation {
    let mut operation = operation(COMMAND);
    let steps = operation.steps.as_mut().expect("it has steps");
    for step in steps.values_mut() {
        if let StepDeclaration { action: Action::Command(command), .. } = step {
            command.argv = arguments.to_vec();
            command.environment = environment.iter().cloned().collect();
        }
    }
    operation
}

fn survive(arguments: &[String], environment: &[(String, String)]) {
    let declared = commanding(arguments, environment);
    let plan = resplit_operations::compile::backup(
        &crate::sites::site(),
        std::path::Path::new(crate::sites::DIRECTORY),
        &crate::sites::id(),
        &declared,
    )
    .expect("it compiles");
    let text = expand::to_yaml(&plan);
    let read: Operation = serde_json::from_value(yaml::read(&text)).expect(&text);
    assert_eq!(read.steps, declared.steps, "{text}");
    if can_be_executed(arguments, environment) {
        assert_eq!(checked(&text).steps, declared.steps, "{text}");
    }
    assert_eq!(backup(&text).expect("it compiles").hash(), plan.hash(), "{text}");
}

/// What an operation file may say: it refuses what no program can be given, and the key of YAML 1.1's merges.
fn can_be_executed(arguments: &[String], environment: &[(String, String)]) -> bool {
    let given = |text: &String| !text.contains('\0');
    arguments.iter().all(given)
        && arguments.first().is_some_and(|program| !program.is_empty())
        && environment.iter().all(|(name, value)| {
            given(name) && given(value) && !name.is_empty() && !name.contains('=') && name != "<<"
        })
}

#[test]
fn strings_that_readers_of_yaml_take_for_something_else() {
    let odd = [
        "",
        " ",
        "~",
        "null",
        "Null",
        "true",
        "FALSE",
        "yes",
        "No",
        "on",
        "y",
        "1",
        "010",
        "0x1f",
        "0o7",
        "1e3",
        "1_000",
        ".inf",
        "-.INF",
        ".nan",
        "-",
        "--",
        "-1",
        "- a",
        "?",
        "? a",
        ":",
        "a:",
        "a: b",
        "a:b",
        ":a",
        "#",
        "a #b",
        "a#b",
        "!tag",
        "&a",
        "*a",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "''",
        "'a'",
        "\"a\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        "a,b",
        "|",
        ">",
        "=",
        "<<",
        "\\",
        "\\n",
        "a\nb",
        "\n",
        "\r\n",
        "\t",
        " a",
        "a ",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{feff}a",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fffd}",
        "é",
        "文書",
        "\u{1f4be}",
        "e\u{301}",
        "\u{10ffff}",
        "10m",
        "90s",
        "2026-11-20",
        "12:30:45",
        "---",
        "...",
        "--- a",
        "% YAML",
        "/usr/bin/a-b_c.d",
        "a/b",
        "_",
        "VG01,vol01",
    ];
    let strings: Vec<String> = odd.into_iter().map(str::to_owned).collect();
    let named = |strings: &[String]| strings.iter().map(|s| (s.clone(), s.clone())).collect::<Vec<_>>();
    survive(&strings, &named(&strings));
    let mut fit = strings;
    fit.retain(|text| !text.is_empty() && !text.contains(['\0', '=']) && text != "<<");
    assert!(can_be_executed(&fit, &named(&fit)));
    survive(&fit, &named(&fit));
    survive(&["long ".repeat(2_000)], &[("k".repeat(900), "v".repeat(70_000))]);
}

/// Of any characters, control characters included.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..20).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn any_string(
        arguments in prop::collection::vec(text(), 1..4),
        environment in prop::collection::vec((text(), text()), 0..3),
    ) {
        survive(&arguments, &environment);
    }
}
