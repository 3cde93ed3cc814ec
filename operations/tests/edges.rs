//! Edges of YAML: what each is answered with, and that the rest of the file is checked all the same.

mod common;

use common::{PROTECT, problems_of, text_of};

/// An operation that protects something, with more behind it; and all of its problems.
const AFTER_PROTECT: &[(&str, &[&str])] = &[
    ("usual-state: split\n", &["2:1 there is no key 'usual-state' in the file"]),
    ("description: a\ndescription: b\n", &["3:1 the key 'description' stands here again"]),
    ("quiesce:\n\tmode: online\n", &["3:1 a tab stands in the indentation"]),
    ("description: ~\n", &["2:14 'description' cannot be nothing, which is what '~' means"]),
    ("description:\n", &["2:13 'description' has no value"]),
    ("description: no\n", &[]),
    ("usual_state: off\n", &["2:14 'usual_state' cannot be 'off'"]),
    ("description: true\n", &["2:14 'description' cannot be the truth value true"]),
    ("description: 1e3\n", &["2:14 'description' cannot be the number 1e3"]),
    ("description: 0x1F\n", &["2:14 'description' cannot be the number 0x1F"]),
    ("description: .inf\n", &["2:14 'description' cannot be the number .inf"]),
    ("description: 1_000\n", &[]),
    ("description: 2026-11-20\n", &[]),
    (
        "description: 007\n",
        &[
            "2:14 '007' is ambiguous: a number that begins with 0 is read as decimal by some and as octal by others",
        ],
    ),
    ("description: '007'\n", &[]),
    (
        "hooks: { before: [{ argv: [ls, 0644] }] }\n",
        &[
            "2:32 '0644' is ambiguous: a number that begins with 0 is read as decimal by some and as octal by others",
        ],
    ),
    ("description: !!str x\n", &["2:14 the tag '!!str' has no meaning here"]),
    ("description: *x\n", &["2:14 the alias '*x' refers to no anchor before it"]),
    ("? [a, b]\n: c\n", &["2:3 a key must be text, not a list or a map"]),
    (": c\n", &["2:1 a key is missing here"]),
    ("---\nx: 1\n", &["2:1 a second document begins here; a file holds one"]),
    ("...\n", &[]),
    (
        "description: @home\nusual_state: x\n",
        &["2:14 '@' cannot begin a value", "3:14 'usual_state' cannot be 'x'"],
    ),
    (
        "schedule:\n  cron: * * * * *\nusual_state: x\n",
        &["3:9 '*' or '&' without a name stands here", "4:14 'usual_state' cannot be 'x'"],
    ),
    (
        "description: a: b\nusual_state: x\n",
        &["2:15 a second key on one line, or a colon within text", "3:14 'usual_state' cannot be 'x'"],
    ),
    (
        "description: 'abc\nusual_state: x\n",
        &["2:14 a quote that opens here is not closed", "3:14 'usual_state' cannot be 'x'"],
    ),
    ("description: \"abc\n", &["2:14 a quote that opens here is not closed"]),
    (
        "description: \"a\" b\nusual_state: x\n",
        &["2:18 something follows the quote that closes a text", "3:14 'usual_state' cannot be 'x'"],
    ),
    ("description: \"\\q\"\n", &["2:14 there is no such escape"]),
    (
        "tape: [a, b\nusual_state: x\n",
        &["2:7 the '[' that opens here is not closed", "3:14 'usual_state' cannot be 'x'"],
    ),
    ("tape: { library: vault\n", &["2:7 the '{' that opens here is not closed"]),
    (
        "tape: { library: vault ]\nusual_state: x\n",
        &["2:7 the '{' that opens here is closed by ']'", "3:14 'usual_state' cannot be 'x'"],
    ),
    (
        "quiesce:\n    mode: online\n  window: 1s\nusual_state: x\n",
        &["4:3 this does not fit what stands before it", "5:14 'usual_state' cannot be 'x'"],
    ),
    ("description\nusual_state: x\n", &["2:1 a key without a value", "3:14 'usual_state' cannot be 'x'"]),
    (
        "description: a\x1bb\nusual_state: x\n",
        &["2:15 the control character U+001B stands here", "3:14 'usual_state' cannot be 'x'"],
    ),
    ("description: \u{feff}b\n", &["2:14 a byte order mark stands inside the file"]),
    (
        "description: a\rusual_state: x\n",
        &["2:15 a carriage return stands alone here", "2:29 'usual_state' cannot be 'x'"],
    ),
    ("description: a\r\nusual_state: x\r\n", &["3:14 'usual_state' cannot be 'x'"]),
    ("hooks: { before: [{ argv: [\"ä😀\"], hst: a }] }\n", &["2:35 there is no key 'hst' in 'before'"]),
    ("description: \"a\\0b\"\n", &["2:14 'description' contains a zero byte"]),
];

#[test]
fn every_edge_is_answered_at_its_place() {
    for (text, expected) in AFTER_PROTECT {
        assert_eq!(problems_of(format!("{PROTECT}{text}")), *expected, "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_operation_at_all() {
    let cases: &[(&[u8], &[&str])] = &[
        (b"", &["1:1 the file is empty"]),
        (b"\xef\xbb\xbf", &["1:1 the file is empty"]),
        (b"# nothing\n\n", &["1:1 the file is empty"]),
        (b"---\n", &["1:1 the file is empty"]),
        (b"hello\n", &["1:1 the file cannot be the text 'hello'"]),
        (b"- a\n- b\n", &["1:1 the file cannot be a list of 2"]),
        (b"{}\n", &[]),
        (b"description: M\xe4rz\n", &["1:15 the file is not UTF-8: the byte 0xE4 stands here"]),
        (b"\xff\xfed\0e\0", &["1:1 the file is UTF-16LE, not UTF-8"]),
        (b"\xfe\xff\0d\0e", &["1:1 the file is UTF-16BE, not UTF-8"]),
        (b"d\0e\0s\0", &["1:1 the file is UTF-16LE, not UTF-8"]),
        (b"\0d\0e\0s", &["1:1 the file is UTF-16BE, not UTF-8"]),
        (b"d\0\0\0e\0\0\0", &["1:1 the file is UTF-32LE, not UTF-8"]),
    ];
    for (bytes, expected) in cases {
        let mut found = problems_of(*bytes);
        // That neither form is given, is said of whatever is a map.
        found.retain(|problem| !problem.ends_with("which steps to run"));
        assert_eq!(found, *expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_byte_order_mark_moves_no_column() {
    let problems = problems_of(format!("\u{feff}{}", PROTECT.replace("filesystem", "filesytem")));
    assert_eq!(problems, ["1:12 there is no key 'filesytem' in 'protect'"]);
}

#[test]
fn aliases_stand_for_what_they_name() {
    assert_eq!(
        problems_of("protect: { filesystem: &x srv/documents, volumes: [documents] }\ndescription: *x\n"),
        [""; 0]
    );
    // What an alias repeats is reported once, where it is written.
    let twice = "steps:\n  a: &s { export: {}, host: nobody }\n  b: *s\n";
    assert_eq!(problems_of(twice), ["2:29 there is no host 'nobody'"]);
    let own = "protect: &p { filesystem: srv, volumes: [*p] }\n";
    assert_eq!(problems_of(own), ["1:42 the alias refers to a value that contains it"]);
    let merge = "protect: { <<: { filesystem: srv }, filesystem: srv, volumes: [documents] }\n";
    assert_eq!(problems_of(merge), ["1:12 merge keys are not part of YAML 1.2"]);
}

/// Each of these is small, and would be gigabytes if it were written out.
#[test]
fn bombs_do_not_go_off() {
    let mut doubling = String::from("hooks:\n  before: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (this, last) in ('b'..='j').zip('a'..) {
        doubling.extend([
            "  ",
            &format!("{this}: &{this} ["),
            &vec![format!("*{last}"); 10].join(","),
            "]\n",
        ]);
    }
    let wide =
        format!("hooks:\n  a: &a [{}]\n  b: [{}]\n", vec!["x"; 9_000].join(","), vec!["*a"; 9_000].join(","));
    let long = format!(
        "{PROTECT}hooks: {{ before: [{{ argv: [&a \"{}\", {}] }}] }}\n",
        "x".repeat(500_000),
        vec!["*a"; 5_000].join(", ")
    );
    for text in [doubling, wide, long] {
        let start = std::time::Instant::now();
        let problems = problems_of(text);
        assert!(problems.iter().any(|p| p.contains("stand for more than 10000 values")), "{problems:?}");
        assert!(start.elapsed().as_secs() < 5);
    }
}

#[test]
fn nesting_is_limited() {
    let flow = format!("{PROTECT}tape: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let block = text_of(5_000, |depth| format!("{}a:\n", " ".repeat(depth)));
    for text in [flow, block] {
        let problems = problems_of(text);
        assert!(problems.iter().any(|p| p.contains("nested more than 64 deep")), "{problems:?}");
    }
}

#[test]
fn after_eight_errors_of_syntax_reading_stops() {
    let text = text_of(20, |i| format!("k{i}: @x\n"));
    let problems = problems_of(text);
    assert_eq!(problems.len(), 9, "{problems:?}");
    assert!(problems.iter().all(|p| p.contains("'@' cannot begin a value")), "{problems:?}");
}

/// What was left out to read on might have been what is missing.
#[test]
fn nothing_is_missed_that_stood_in_what_was_left_out() {
    let text = "protect:\n  filesystem: @srv\n  volumes: [documents]\n";
    assert_eq!(problems_of(text), ["2:15 '@' cannot begin a value"]);
    assert_eq!(problems_of("protect: @x\nbackup_server: backupserver\n"), ["1:10 '@' cannot begin a value"]);
}

#[test]
fn a_key_of_which_the_value_is_far_too_long_is_shown_in_part() {
    let text = format!("{PROTECT}usual_state: \"{}\"\n", "x".repeat(100_000));
    let [problem] = &problems_of(text)[..] else { panic!("one problem") };
    assert!(problem.len() < 120, "{problem}");
}
