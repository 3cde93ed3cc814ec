//! What an operation may not say.

mod common;

use common::{PROTECT, SITE, check, lines, problems_of, source, text_of};
use resplit_operations::{
    definitions::{Source, check_all, check_all_partial},
    ids::OperationId,
};

const TAPE: &str = "tape: { library: vault, pool: daily, keep: 30d }\n";

#[test]
fn the_declarative_form() {
    let server = "backup_server: backupserver\n";
    let cases: &[(String, &[&str])] = &[
        (format!("{PROTECT}{server}{TAPE}usual_state: paired\n"), &[]),
        (
            "description: x\n".to_owned(),
            &["1:1 the operation says neither what to protect nor which steps to run"],
        ),
        (
            "protetc: { filesystem: srv, volumes: [documents] }\n".to_owned(),
            &["1:1 there is no key 'protetc' in the file"],
        ),
        ("protect: { volumes: [documents] }\n".to_owned(), &["1:12 'protect' lacks the key 'filesystem'"]),
        ("protect: { filesystem: srv, volumes: [] }\n".to_owned(), &["1:38 'volumes' is empty"]),
        (
            "protect: { filesystem: srv, volumes: [docments] }\n".to_owned(),
            &["1:39 there is no volume 'docments'"],
        ),
        (
            "protect: { filesystem: srv, volumes: [documents, mail, documents] }\n".to_owned(),
            &["1:56 the volume 'documents' is named twice"],
        ),
        (
            "protect: { filesystem: srv/documents, volumes: [documents, mail] }\n".to_owned(),
            &["1:24 the primary of volume 'mail' is not in this file system"],
        ),
        ("protect: { filesystem: /site/./srv/x/.., volumes: [documents, mail] }\n".to_owned(), &[]),
        (
            "protect: { filesystem: ., volumes: [documents, elsewhere] }\n".to_owned(),
            &["1:48 the primaries of one operation are on different hosts"],
        ),
        (format!("{PROTECT}backup_server: bakcupserver\n"), &["2:16 there is no host 'bakcupserver'"]),
        (
            format!("{PROTECT}backup_server: fileserver\n"),
            &["2:16 volume 'documents' has a secondary on host 'backupserver'"],
        ),
        (
            format!("{PROTECT}usual_state: paired\n"),
            &["2:14 usual state paired needs tape, since no image is kept on disk"],
        ),
        (format!("{PROTECT}{TAPE}"), &["2:1 tape needs 'backup_server', the host that drives the library"]),
        (
            format!("{PROTECT}{server}{}", TAPE.replace("vault", "attic")),
            &["3:18 this library is attached to host 'fileserver', not to 'backupserver'"],
        ),
        (format!("{PROTECT}{server}{}", TAPE.replace("vault", "valt")), &["3:18 there is no library 'valt'"]),
        (format!("{PROTECT}{server}{}", TAPE.replace("daily", "dayly")), &["3:31 there is no pool 'dayly'"]),
        (
            format!("{PROTECT}{server}{}", TAPE.replace("30d", "0d")),
            &["3:44 the time that a dataset is kept cannot be zero"],
        ),
        (format!("{PROTECT}{server}{}", TAPE.replace("30d", "30 d")), &["3:44 'keep' cannot be '30 d'"]),
        (format!("{PROTECT}{server}{}", TAPE.replace("30d", "forever")), &[]),
        (
            format!("{PROTECT}quiesce: {{ mode: cold, window: 0s }}\n"),
            &["2:18 quiesce mode cold is not built; use online or freeze", "2:32 the window cannot be zero"],
        ),
        (
            format!("{PROTECT}waits: {{ split: 0s, busy: {{ attempts: 3 }} }}\n"),
            &["2:17 the wait for split cannot be zero"],
        ),
        (
            format!("{PROTECT}quiesce: {{ mode: onlin, window: 10 }}\n"),
            &["2:18 'mode' cannot be 'onlin'", "2:33 'window' cannot be the number 10"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems_of(text.as_str()), *expected, "{text}");
    }
}

#[test]
fn schedules_and_hooks() {
    let cases: &[(&str, &[&str])] = &[
        ("schedule: { cron: \"0 2 * * *\", timezone: Europe/Berlin, missed: run-once, overlap: skip }", &[]),
        ("schedule: { cron: \"0 2 * *\" }", &["2:20 cron has 4 fields, not 5"]),
        ("schedule: { cron: \"0 24 * * *\" }", &["2:22 the hour cannot be '24'"]),
        ("schedule:\n  cron: 0 2 * * 9", &["3:17 the day of week cannot be '9'"]),
        ("schedule: { cron: \"0 2 31 2 *\" }", &["2:24 no such month has such a day: this would never run"]),
        (
            "schedule: { cron: \"0 2 * * *\", timezone: Europe/Berln }",
            &["2:42 there is no time zone 'Europe/Berln'"],
        ),
        (
            "schedule: { cron: \"0 2 * * *\", missed: run_once, overlap: never }",
            &["2:40 'missed' cannot be 'run_once'", "2:59 'overlap' cannot be 'never'"],
        ),
        ("hooks:\n  before: [{ argv: [sync], host: nobody }]", &["3:34 there is no host 'nobody'"]),
        ("hooks:\n  in_windw: [{ argv: [sync] }]", &["3:3 there is no key 'in_windw' in 'hooks'"]),
        (
            "hooks:\n  after: [{ argv: [] }, { argv: [\"\"] }, { argv: sync }]",
            &[
                "3:19 'argv' is empty",
                "3:34 the hook names no program",
                "3:49 'argv' cannot be the text 'sync'",
            ],
        ),
        (
            "hooks:\n  after: [{ argv: [a], timeout: 0s, on: allways, accept: [256, -1], environment: { \"A=B\": x, C: 1 } }]",
            &[
                "3:33 a timeout cannot be zero",
                "3:41 'on' cannot be 'allways'",
                "3:59 'accept' cannot be 256",
                "3:64 'accept' cannot be -1",
                "3:84 an environment variable's name cannot contain '='",
                "3:97 'C' cannot be the number 1",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems_of(format!("{PROTECT}{text}\n")), *expected, "{text}");
    }
}

#[test]
fn the_explicit_form() {
    let step = |rest: &str| format!("{{ export: {{}}, host: fileserver{rest} }}");
    let ring = format!(
        "  a: {}\n  b: {}\n  c: {}\n  d: {}\n",
        step(", needs: [c]"),
        step(", needs: [a, d]"),
        step(", needs: [b]"),
        step("")
    );
    let cases: &[(String, &[&str])] = &[
        (format!("  a: {}\n  b: {}\n", step(", finally: b"), step(", needs: [a]")), &[]),
        (ring, &["2:46 the steps need each other in a circle: a -> c -> b -> a"]),
        (format!("  a: {}\n", step(", needs: [a]")), &["2:46 the step 'a' needs itself"]),
        (format!("  a: {}\n", step(", needs: [b]")), &["2:46 there is no step 'b'"]),
        (format!("  a: {}\n", step(", finally: z")), &["2:47 there is no step 'z'"]),
        (format!("  a: {}\n", step(", finally: a")), &["2:47 a step cannot undo itself"]),
        (
            format!("  a: {}\n  b: {}\n", step(""), step(", needs: [a, a]")),
            &["3:49 the step 'a' is named twice"],
        ),
        ("  a: { host: fileserver }\n".to_owned(), &["2:8 the step 'a' has no kind"]),
        (
            "  a: { export: {}, import: {}, host: fileserver }\n".to_owned(),
            &["2:20 the step 'a' has two kinds, 'export' and 'import'"],
        ),
        ("  a: { exprot: {}, host: fileserver }\n".to_owned(), &["2:8 there is no key 'exprot' in 'a'"]),
        ("  a: { export: , host: fileserver }\n".to_owned(), &["2:15 'export' has no value"]),
        (
            "  a: { resync: { volume: nothing } }\n".to_owned(),
            &["2:8 'a' lacks the key 'host'", "2:26 there is no volume 'nothing'"],
        ),
        (
            "  a: { transfer: { to: moon }, host: mars }\n".to_owned(),
            &["2:24 there is no host 'moon'", "2:38 there is no host 'mars'"],
        ),
        (
            "  a: { quiesce: { filesystem: srv, mode: cold, window: 0s }, host: fileserver }\n".to_owned(),
            &["2:42 quiesce mode cold is not built; use online or freeze", "2:56 the window cannot be zero"],
        ),
        (
            "  a: { tape-backup: { library: vault, pool: monthly, keep: 1d }, host: fileserver }\n"
                .to_owned(),
            &[
                "2:45 there is no pool 'monthly'",
                "2:72 the library is attached to host 'backupserver', not to 'fileserver'",
            ],
        ),
        (
            format!("  a: {}\n", step(", retry: { attempts: 101, pause: 1x }, timeout: 0s")),
            &[
                "2:57 'attempts' cannot be 101",
                "2:69 'pause' cannot be '1x'",
                "2:84 a timeout cannot be zero",
            ],
        ),
        (format!("  a b: {}\n", step("")), &["2:3 a name cannot be 'a b'"]),
        (
            "  a: { split: { volume: mail }, host: fileserver }\n  b: { split: { volume: elsewhere }, host: fileserver }\n"
                .to_owned(),
            &["3:25 the primaries of one operation are on different hosts"],
        ),
        ("  {}\n".to_owned(), &["2:3 there are no steps"]),
    ];
    for (steps, expected) in cases {
        assert_eq!(problems_of(format!("steps:\n{steps}")), *expected, "{steps}");
    }
}

#[test]
fn a_circle_is_labelled_on_each_of_its_edges() {
    let chain =
        text_of(3, |i| format!("  s{i}: {{ export: {{}}, host: fileserver, needs: [s{}] }}\n", (i + 1) % 3));
    let report = check(SITE, &[("a.yaml", &format!("steps:\n{chain}"))]).report;
    let [problem] = report.problems() else { panic!("{report}") };
    assert_eq!(problem.label, "'s0' needs 's1'");
    let related: Vec<_> = problem.related.iter().map(|(_, label)| label.as_str()).collect();
    assert_eq!(related, ["'s1' needs 's2'", "'s2' needs 's0'"]);
}

#[test]
fn a_chain_of_many_steps_is_walked_without_recursion() {
    let many = 50_000;
    let needs = |i| format!("  s{i}: {{ export: {{}}, host: fileserver, needs: [s{}] }}\n", (i + 1) % many);
    let text = format!("steps:\n{}", text_of(many, needs));
    let problems = problems_of(text);
    let [problem] = &problems[..] else { panic!("{} problems", problems.len()) };
    assert!(
        problem.starts_with("2:47 the steps need each other in a circle: s0 -> s1 -> "),
        "{}",
        &problem[..99]
    );
}

#[test]
fn one_form_only() {
    let steps = "steps:\n  a: { export: {}, host: fileserver }\n";
    assert_eq!(
        problems_of(format!("{PROTECT}{steps}")),
        ["2:1 an operation has either 'protect' or 'steps', not both"]
    );
    let beside = format!(
        "{steps}backup_server: backupserver\nusual_state: split\nquiesce: {{ mode: online }}\nhooks: {{}}\nwaits: {{}}\n"
    );
    let expected = ["backup_server", "usual_state", "quiesce", "hooks", "waits"];
    let expected: Vec<_> =
        (3..).zip(expected).map(|(l, key)| format!("{l}:1 '{key}' means nothing beside 'steps'")).collect();
    assert_eq!(problems_of(beside), expected);
    assert_eq!(problems_of(format!("{steps}description: x\nschedule: {{ cron: \"0 2 * * *\" }}\n")), [""; 0]);
}

#[test]
fn names_of_files() {
    let long = format!("{}.yaml", "x".repeat(65));
    let longest = format!("{}.yaml", "x".repeat(64));
    let names =
        ["Documents.yaml", "a b.yaml", "documents.yaml", &long, &longest, "naïve.yaml", "old.yml", "-x.yaml"];
    let files: Vec<_> = names.iter().map(|name| (*name, PROTECT)).collect();
    let partial = check(SITE, &files);
    assert_eq!(
        lines(&partial.report),
        [
            "1:1 an operation cannot be named 'a b'",
            "1:1 /site/operations/Documents.yaml declares the same operation, but for upper and lower case",
            &format!("1:1 an operation cannot be named '{}...'", "x".repeat(60)),
            "1:1 an operation cannot be named 'naïve'",
            "1:1 warning: named .yml, not read",
            "1:1 an operation cannot be named '-x'",
        ]
    );
    let ids: Vec<_> = partial.operations.keys().map(OperationId::as_str).collect();
    assert_eq!(ids, ["Documents", &"x".repeat(64)]);
    assert!(!partial.broken.contains_key(&OperationId::from("old")));
}

#[test]
fn a_broken_operation_keeps_no_other_from_running() {
    let partial = check(SITE, &[("a.yaml", "protect: {}\n"), ("b.yaml", PROTECT), ("c.yaml", "x: y\n")]);
    let (site, operation) = partial.operation(&"b".into()).unwrap();
    assert_eq!(site.volumes.len(), 3);
    assert_eq!(operation.protect.as_ref().unwrap().volumes, ["documents".into()]);

    let report = partial.operation(&"a".into()).unwrap_err();
    assert_eq!(lines(&report), ["1:10 'protect' lacks the keys 'filesystem', 'volumes'"]);
    let report = partial.operation(&"B".into()).unwrap_err();
    assert_eq!(lines(&report), ["1:1 there is no operation 'B'"]);
    assert_eq!(report.problems()[0].help.as_deref(), Some("did you mean 'b'?"));

    let partial = check("hosts: {}\n", &[("b.yaml", PROTECT)]);
    let report = partial.operation(&"b".into()).unwrap_err();
    assert!(lines(&report).contains(&"1:8 'hosts' is empty".to_owned()), "{report}");
}

#[test]
fn all_or_nothing_where_that_is_wanted() {
    let site = || source("site.yaml", SITE);
    let checked =
        check_all(site(), vec![source("operations/a.yaml", PROTECT), source("operations/b.yml", "")])
            .unwrap();
    assert_eq!(checked.operations.len(), 1);
    assert_eq!(lines(&checked.warnings), ["1:1 warning: named .yml, not read"]);

    let unread =
        Source { path: "/site/operations/b.yaml".into(), content: Err("is a directory, not a file".into()) };
    let report = check_all(site(), vec![source("operations/a.yaml", PROTECT), unread.clone()]).unwrap_err();
    assert_eq!(lines(&report), ["1:1 is a directory, not a file"]);
    let partial = check_all_partial(
        Source { path: "/site/site.yaml".into(), ..unread },
        vec![source("operations/a.yaml", PROTECT)],
    );
    assert_eq!(lines(&partial.report), ["1:1 is a directory, not a file"]);
    assert!(partial.site.is_none() && partial.operations.len() == 1);
}

#[test]
fn steps_that_make_no_plan_are_told_where_they_are_written() {
    let text = "steps:
  q: { quiesce: { filesystem: srv, mode: online, window: 5s }, host: fileserver }
";
    let partial = check(SITE, &[("a.yaml", text)]);
    let wanted =
        "step 'q' holds an application still: name the thaw of the same file system as its 'finally'";
    assert_eq!(lines(&partial.report), [format!("2:6 {wanted}")]);
    assert!(partial.operations.is_empty() && partial.broken.contains_key(&OperationId::from("a")));

    let text = "steps:\n  s: { split: { volume: documents }, host: backupserver }\n";
    let partial = check(SITE, &[("a.yaml", text)]);
    assert!(
        lines(&partial.report)[0].starts_with("2:6 step 's' runs on 'backupserver'"),
        "{}",
        partial.report
    );
}

#[test]
fn a_mirror_is_split_while_its_file_system_is_frozen() {
    let site = SITE.replacen(
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    lvm: { kind: raid1, device: /dev/sdc }\n    primary: { host: fileserver, path: /dev/vg0/mail",
        1,
    );
    let protect = "protect: { filesystem: srv/mail, volumes: [mail] }\n";
    let problems = |rest: &str| lines(&check(&site, &[("a.yaml", &format!("{protect}{rest}"))]).report);
    let message = "volume 'mail' is a mirror, whose half is at rest only if its file system is frozen";
    assert_eq!(problems(""), [format!("1:44 {message}")]);
    assert_eq!(problems("quiesce: { mode: online }\n"), [format!("2:18 {message}")]);
    assert_eq!(problems("quiesce: { mode: freeze, window: 10s }\n"), [""; 0]);
}
