//! What a driver file may not say, and what a site may not say to a driver.

mod common;

use common::{SITE, lines, source};
use proptest::prelude::*;
use resplit_operations::{
    definitions::{Partial, check_everything},
    driver::SHIPPED,
};

/// A driver file without a problem.
const DRIVER: &str = r#"description: An array
settings:
  mirror: { description: Its name }
  pace: { default: "3", numbers: { from: 1, to: 15 } }
  kind: { default: full, choices: { full: { letter: f }, thin: { letter: t } } }
values: { which: "-{{letter}}{{mirror}}" }
environment: { PATH: /bin }
before:
  - check: [ctl, is-up]
    down: [3]
    start: [ctl, start]
    stop: [ctl, stop]
status:
  run: [ctl, show, "{{which}}"]
  reads: ['is (?<status>[A-Z]+)']
  progress: '(?<progress>[0-9]+) %'
  means: { NONE: SMPL, COPYING: COPY, SYNCED: PAIR, APART: PSUS, BROKEN: PSUE }
  refuses: { TAKEN: ask the array's owner }
verbs:
  resync: { run: [[ctl, resume, "{{which}}", "{{pace}}"]], wait: { interval: 10s, limit: 10h } }
  split: { run: [[ctl, suspend, "{{which}}"]] }
image: { device: "/dev/{{device}}" }
"#;

fn checked(driver: &[u8], site: &str) -> Partial {
    check_everything(source("site.yaml", site), vec![source("drivers/own.yaml", driver)], Vec::new())
}

/// A site that uses the driver; settings are added.
fn site(settings: &str) -> String {
    SITE.replacen(
        "driver: directory\n    primary: { host: fileserver, path: srv/mail }",
        &format!("driver: own\n    primary: {{ host: fileserver, path: srv/mail }}\n{settings}"),
        1,
    )
}

const SETTINGS: &str = "    settings: { mirror: a }\n";

/// A change to a driver file that is right, and all problems that follow.
const CHANGES: &[(&str, &str, &[&str])] = &[
    ("ctl, is-up", "ctl, is-up", &[]),
    (
        "status:\n",
        "state:\n",
        &["1:1 the file lacks the key 'status'", "13:1 there is no key 'state' in the file"],
    ),
    ("down: [3]", "down: [300]", &["10:12 'down' cannot be 300"]),
    ("[ctl, stop]", "[]", &["12:11 'stop' is empty"]),
    ("SYNCED: PAIR", "SYNCED: PAIRED", &["17:47 'SYNCED' cannot be 'PAIRED'", "17:10 nothing means PAIR"]),
    ("APART: PSUS, ", "", &["17:10 nothing means PSUS"]),
    ("BROKEN: PSUE", "B/C: PSUE", &["17:66 'B/C' never comes: there is a word for each pattern of reads"]),
    ("is (?<status>[A-Z]+)", "is ([A-Z]+", &["15:11 this pattern cannot be used: unclosed group"]),
    (
        "is (?<status>[A-Z]+)",
        "is ([A-Z]+)",
        &["15:11 this pattern cannot be used: it has no group (?<status>...)"],
    ),
    (
        "suspend, \"{{which}}\"",
        "suspend, \"{{wich}}\"",
        &["21:33 this template cannot be rendered: nothing has the name 'wich'"],
    ),
    (
        "suspend, \"{{which}}\"",
        "suspend, \"{{#if no}}x{{/if}}\"",
        &["21:33 this template cannot be rendered: nothing has the name 'no'"],
    ),
    (
        "device: \"/dev/{{device}}\"",
        "options: ro",
        &["22:8 an image is read from a device, from a tree, or by a mount command"],
    ),
    ("thin: { letter: t }", "thin: {}", &["5:64 choices 'full' and 'thin' of 'kind' give different names"]),
    ("default: \"3\"", "default: \"30\"", &["4:20 the default of 'pace' cannot be '30'"]),
    (
        "  mirror: { d",
        "  volume: { d",
        &[
            "3:3 'volume' is a name of resplit's own",
            "6:18 this template cannot be rendered: nothing has the name 'mirror'",
        ],
    ),
];

#[test]
fn every_problem_of_a_driver_is_found_at_its_place() {
    for (old, new, expected) in CHANGES {
        assert!(DRIVER.contains(old), "{old}");
        let found = checked(DRIVER.replacen(old, new, 1).as_bytes(), SITE);
        let errors: Vec<_> =
            lines(&found.report).into_iter().filter(|line| !line.contains("warning")).collect();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let mut sorted = errors.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected, "{old} -> {new}");
        assert!(found.site.is_some(), "a driver that is not used keeps no site from being used");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let file = DRIVER
        .replace("{{which}}", "{{wich}}")
        .replace("is (?<", "is (?<?")
        .replace("APART: PSUS", "APART: X");
    let found = checked(file.as_bytes(), &site(SETTINGS));
    assert!(lines(&found.report).len() >= 6, "{}", found.report);
    assert!(found.site.is_none(), "a site whose driver has errors cannot be used");
}

#[test]
fn settings_are_checked_against_the_drivers_file() {
    for (settings, expected) in [
        (SETTINGS, vec![]),
        ("", vec!["12:13 volume 'mail' lacks the setting 'mirror'"]),
        (
            "    settings: { miror: a }\n",
            vec![
                "12:13 volume 'mail' lacks the setting 'mirror'",
                "14:17 the driver 'own' has no setting 'miror'",
            ],
        ),
        ("    settings: { mirror: a, pace: \"16\" }\n", vec!["14:34 'pace' cannot be '16'"]),
        ("    settings: { mirror: a, pace: 5 }\n", vec!["14:34 'pace' cannot be the number 5"]),
        ("    settings: { mirror: a, kind: half }\n", vec!["14:34 'kind' cannot be 'half'"]),
    ] {
        assert_eq!(lines(&checked(DRIVER.as_bytes(), &site(settings)).report), expected, "{settings}");
    }
    let paced = |pair: &str, driver: &str| {
        let site = site(SETTINGS).replacen("driver: own", &format!("driver: {driver}"), 1);
        let site = site.replacen("\"VG03,vol01\", ", &format!("\"VG03,vol01\", {pair}, "), 1);
        lines(&checked(DRIVER.as_bytes(), &site).report)
    };
    assert_eq!(paced("pace: 15", "own"), [""; 0]);
    assert_eq!(paced("pace: 16", "own"), ["16:47 'pace' cannot be 16"]);
    let twice = paced("pace: 4, settings: { pace: \"5\" }", "own");
    assert!(twice.iter().any(|line| line.ends_with("the pace of the pair is said twice")), "{twice:?}");
    let without = paced("pace: 4", "directory");
    assert!(
        without.iter().any(|line| line.contains("the driver 'directory' copies at no pace")),
        "{without:?}"
    );
    let of_directory = SITE.replacen("path: srv/mail }", "path: srv/mail }\n    settings: { a: b }", 1);
    let found = checked(DRIVER.as_bytes(), &of_directory);
    assert_eq!(lines(&found.report), ["14:5 the driver 'directory' has no settings"]);
    let unknown = site(SETTINGS).replace("driver: own", "driver: owm");
    assert_eq!(lines(&checked(DRIVER.as_bytes(), &unknown).report), ["12:13 there is no driver 'owm'"]);
}

#[test]
fn a_plan_carries_its_driver() {
    let found = checked(DRIVER.as_bytes(), &site(SETTINGS));
    let site = found.site.unwrap();
    let at_pace = site.pairs(&"mail".into())[0].at_pace(15.try_into().ok()).into_owned();
    assert_eq!(at_pace.array.unwrap().setting("pace"), Some("15"));
    let again: resplit_operations::site::Site =
        serde_json::from_str(&serde_json::to_string(&site).unwrap()).unwrap();
    assert_eq!(again, site);
    let pair = again.pairs(&"mail".into()).remove(0);
    let array = pair.array.unwrap();
    assert_eq!((array.setting("mirror"), array.setting("pace")), (Some("a"), Some("3")));
}

#[test]
fn the_published_schema_takes_what_is_right_and_refuses_what_is_not() {
    let schema = serde_json::from_str(&resplit_operations::schema::driver()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let found = checked(DRIVER.as_bytes(), &site(SETTINGS)).site.unwrap();
    let file = found.pairs(&"mail".into()).remove(0).array.unwrap().file.clone();
    let right = serde_json::to_value(&*file).unwrap();
    assert!(validator.is_valid(&right), "{:?}", validator.validate(&right));
    for place in ["/status/means/SYNCED", "/verbs/resync/run", "/timeout", "/settings/pace/numbers/from"] {
        let mut wrong = right.clone();
        *wrong.pointer_mut(place).unwrap() = serde_json::json!("wrong");
        assert!(!validator.is_valid(&wrong), "{place}");
    }
}

/// Parts of driver files, in any order.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "{{",
        "}}",
        "{{#if a}}",
        "{{/if}}",
        "(?<status>",
        ")",
        "[",
        "]",
        "*",
        "{",
        "}",
        ": ",
        "\n",
        "\"",
        "'",
        "-",
        "{9999}",
    ];
    let put =
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..8).prop_map(|parts| parts.concat());
    let right = prop::sample::select(vec![DRIVER, SHIPPED[0].1]);
    (right, any::<prop::sample::Index>(), 0..12_usize, put).prop_map(|(right, at, cut, put)| {
        let at = at.index(right.len());
        let bytes = right.as_bytes();
        [&bytes[..at], put.as_bytes(), &bytes[(at + cut).min(bytes.len())..]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_damage(driver in damaged()) {
        let found = checked(&driver, &site(SETTINGS));
        for problem in found.report.problems() {
            let (line, column) = found.report.position(problem);
            prop_assert!(line >= 1 && column >= 1 && !problem.message.is_empty());
        }
        prop_assert!(!found.report.render(1_000, false).contains("did not match"));
    }
}
