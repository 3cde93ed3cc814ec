//! The published schema and `check` agree: what an independent validator refuses, the walk refuses, and the other way
//! round, as far as a schema can know.

mod common;

use common::{SITE, check, source};
use resplit_operations::{definitions::check_all_partial, schema};
use serde_json::{Value, json};

/// Changes of one value: to each kind of value there is.
fn replacements() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(256),
        json!(20_000),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("a b"),
        json!("a,b"),
        json!("90s"),
        json!("9 s"),
        json!("123456789012s"),
        json!("64MiB"),
        json!("64MB"),
        json!("12345678GiB"),
        json!("forever"),
        json!("online"),
        json!("split"),
        json!([]),
        json!(["x"]),
        json!({}),
        json!({ "x": 1 }),
    ]
}

/// Every place in a value, as a pointer.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, one)| places(one, &format!("{here}/{key}"), all)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, one)| places(one, &format!("{here}/{i}"), all));
        }
        _ => {}
    }
}

/// Every variant of a value in which one place is changed, left out, or has a key more.
fn variants(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    places(value, "", &mut all);
    let mut variants = vec![value.clone()];
    for place in &all {
        for replacement in replacements() {
            let mut changed = value.clone();
            *changed.pointer_mut(place).expect("a place that was just found") = replacement;
            variants.push(changed);
        }
        let mut more = value.clone();
        if let Some(Value::Object(map)) = more.pointer_mut(place) {
            let _ = map.insert("unheard_of".to_owned(), json!(1));
            variants.push(more);
        }
        if let Some((parent, key)) = place.rsplit_once('/') {
            let mut less = value.clone();
            if let Some(Value::Object(map)) = less.pointer_mut(parent) {
                let _ = map.remove(key);
                variants.push(less);
            }
        }
    }
    variants
}

/// Problems of structure are told from those of meaning by their words.
fn is_structural(message: &str) -> bool {
    let meant = [
        "there is no host",
        "there is no volume",
        "there is no library",
        "there is no pool",
        "there is no step",
    ];
    let of_structure = [
        "cannot be '",
        "cannot be the",
        "cannot be a",
        "cannot be nothing",
        "is empty",
        "there is no key",
        "lacks the key",
        "has no kind",
        "has two kinds",
        "has no value",
    ];
    let number = message.rsplit_once("cannot be ").is_some_and(|(_, value)| value.parse::<i64>().is_ok());
    // Of cron, of time zones and of quiesce, the schema knows only that they are text.
    let cron = ["the minute ", "the hour ", "the day ", "the month "];
    !meant.iter().chain(&cron).any(|part| message.starts_with(part))
        && (number || of_structure.iter().any(|part| message.contains(part)))
}

fn compare(schema: &str, value: &Value, check: impl Fn(&str) -> Vec<String>) -> usize {
    let validator = serde_json::from_str(schema).map(|schema| jsonschema::validator_for(&schema));
    let validator = validator.expect("a schema is JSON").expect("a schema is valid");
    let variants = variants(value);
    let mut refused = 0;
    for variant in &variants {
        // JSON is YAML.
        let text = variant.to_string();
        let valid = validator.is_valid(variant);
        let problems: Vec<_> = check(&text).into_iter().filter(|p| is_structural(p)).collect();
        // A file with nothing in it is said to be just that.
        let nothing = variant.is_null();
        assert!(nothing || valid == problems.is_empty(), "{text}\nvalid: {valid}; {problems:#?}");
        refused += usize::from(!valid);
    }
    assert!(refused > variants.len() / 2 && refused < variants.len(), "{refused} of {}", variants.len());
    variants.len()
}

fn messages(report: &resplit_operations::report::Report) -> Vec<String> {
    report.problems().iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn of_sites() {
    let site = json!({
        "hosts": { "a": { "connect": "local", "state": "s" } },
        "volumes": { "v": {
            "driver": "directory",
            "primary": { "host": "a", "path": "p" },
            "pairs": [{ "copy_group": "VG01,vol01", "secondary": { "host": "a", "path": "m" } }],
        } },
        "libraries": { "l": {
            "driver": "virtual", "host": "a", "path": "v", "slots": 8, "drives": 1, "cartridge_size": "64MiB",
            "pools": ["daily"],
        } },
    });
    let compared = compare(&schema::site(), &site, |text| messages(&check(text, &[]).report));
    assert!(compared > 500, "{compared}");
}

#[test]
fn of_operations() {
    let hook = json!({ "argv": ["x"], "host": "fileserver", "timeout": "1s", "environment": { "A": "b" }, "accept": [0], "on": "always" });
    let protect = json!({
        "description": "x",
        "protect": { "filesystem": "srv", "volumes": ["documents"] },
        "backup_server": "backupserver",
        "usual_state": "split",
        "quiesce": { "mode": "online", "window": "10s" },
        "tape": { "library": "vault", "pool": "daily", "keep": "30d" },
        "hooks": { "before": [hook] },
        "schedule": { "cron": "0 2 * * *", "timezone": "UTC", "missed": "skip", "overlap": "skip" },
    });
    let step = |kind: &str, parameters: Value| json!({ kind: parameters, "host": "fileserver" });
    let volume = json!({ "volume": "documents" });
    let mut whole = step("split", volume.clone());
    whole["needs"] = json!(["b"]);
    whole["on"] = json!("always");
    whole["retry"] = json!({ "attempts": 3, "pause": "1s" });
    whole["timeout"] = json!("1m");
    whole["finally"] = json!("c");
    let steps = json!({ "steps": {
        "a": whole,
        "b": step("resync", volume.clone()),
        "c": step("quiesce", json!({ "filesystem": "srv", "mode": "freeze", "window": "9s" })),
        "d": step("thaw", json!({ "filesystem": "srv" })),
        "e": step("record", json!({ "volumes": ["mail"], "mode": "online", "tape_wanted": true })),
        "f": step("export", json!({})),
        "g": step("transfer", json!({ "to": "backupserver" })),
        "h": step("confirm", json!({ "unused": ["mail"], "tape": false })),
        "i": step("tape-backup", json!({ "library": "attic", "pool": "daily", "keep": "forever" })),
        "j": step("tape-restore", json!({ "library": "attic", "paths": ["a"], "to": "x" })),
        "k": step("restore", json!({ "volume": "mail", "paths": ["a"], "to": "x" })),
        "l": step("command", json!({ "argv": ["x"], "environment": { "A": "b" }, "accept": [0, 1] })),
        "m": step("purge-cache", volume),
        "n": step("mount", json!({})),
        "o": step("unmount", json!({})),
        "p": step("import", json!({})),
    } });
    let site = source("site.yaml", SITE);
    for operation in [protect, steps] {
        let compared = compare(&schema::operation(), &operation, |text| {
            messages(&check_all_partial(site.clone(), vec![source("operations/a.yaml", text)]).report)
        });
        assert!(compared > 500, "{compared}");
    }
}
