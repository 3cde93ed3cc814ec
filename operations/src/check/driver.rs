//! What a driver file means: patterns that can be read, tables that have every status that is waited for, templates whose
//! names stand for something.

use std::collections::BTreeSet;

use super::{at, site::children};
use crate::{
    driver::{DriverFile, OWN_NAMES, Template, Values, pattern},
    report::{Problem, shown},
    schema::nearest,
    yaml::{Tree, View},
};

/// Checks what can be said without a model, beside structural errors.
pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let reads = at(tree, &["status", "reads"]);
    for view in reads.into_iter().flat_map(View::items) {
        check_pattern(view, "status", problems);
    }
    if let Some(view) = at(tree, &["status", "progress"]) {
        check_pattern(view, "progress", problems);
    }
    check_table(tree, problems);
    check_settings(tree, problems);
    check_templates(tree, problems);
    if let Some(image) = at(tree, &["image"]) {
        let ways = ["device", "tree", "mount"];
        if ways.iter().filter(|way| image.get(way).is_some()).count() != 1 {
            let message = "an image is read from a device, from a tree, or by a mount command";
            problems.push(Problem::at(image.span(), message).label("expected one of device, tree, mount"));
        }
    }
}

fn check_pattern(view: View<'_>, group: &str, problems: &mut Vec<Problem>) {
    if let Some(why) = view.text().and_then(|text| pattern(text, group).err()) {
        problems.push(Problem::at(view.span(), format!("this pattern cannot be used: {why}")));
    }
}

/// A table in which a status is missing would wait for it until the limit.
fn check_table(tree: &Tree, problems: &mut Vec<Problem>) {
    let Some(means) = at(tree, &["status", "means"]) else { return };
    let words = at(tree, &["status", "reads"]).map_or(0, |reads| reads.items().count());
    let refuses = at(tree, &["status", "refuses"]);
    for entry in means.entries().iter().chain(refuses.into_iter().flat_map(View::entries)) {
        let (message, label) = if words == 0 {
            if entry.key.parse::<u8>().is_ok() {
                continue;
            }
            ("without reads: the word is the exit code".to_owned(), "expected an exit code".to_owned())
        } else if entry.key.split('/').count() != words {
            (
                "there is a word for each pattern of reads".to_owned(),
                format!("expected as many words as patterns: {words}"),
            )
        } else {
            continue;
        };
        let message = format!("'{}' never comes: {message}", shown(&entry.key));
        problems.push(Problem::at(entry.key_span.clone(), message).label(label));
    }
    let meant: BTreeSet<&str> = children(Some(means)).filter_map(|(_, view)| view.text()).collect();
    for status in ["SMPL", "COPY", "PAIR", "PSUS", "PSUE"] {
        if !meant.contains(status) && !means.entries().is_empty() {
            let problem = Problem::at(means.span(), format!("nothing means {status}"));
            // An array may have no status of its own for some; these two are waited for.
            let needed = matches!(status, "PAIR" | "PSUS");
            let problem = problem.label("expected each status that a pair can have");
            problems.push(if needed { problem } else { problem.warning() });
        }
    }
}

fn check_settings(tree: &Tree, problems: &mut Vec<Problem>) {
    let settings = at(tree, &["settings"]);
    let mut known = BTreeSet::new();
    for entry in settings.into_iter().chain(at(tree, &["values"])).flat_map(View::entries) {
        let ours = OWN_NAMES.contains(&entry.key.as_str());
        let plain = entry.key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let begins = entry.key.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let why = match (ours, plain && begins, known.insert(entry.key.as_str())) {
            (true, ..) => "is a name of resplit's own",
            (_, false, _) => "cannot be named in a template: expected letters, digits and '_'",
            (.., false) => "is a setting and a value",
            _ => continue,
        };
        problems.push(Problem::at(entry.key_span.clone(), format!("'{}' {why}", shown(&entry.key))));
    }
    for (name, setting) in children(settings) {
        let names =
            |view: View<'_>| view.entries().iter().map(|entry| entry.key.clone()).collect::<BTreeSet<_>>();
        let mut choices = children(setting.get("choices"));
        let Some((first, view)) = choices.next() else { continue };
        for (other, further) in choices {
            if names(further) != names(view) {
                let message = format!(
                    "choices '{first}' and '{}' of '{}' give different names",
                    shown(other),
                    shown(name)
                );
                problems.push(Problem::at(further.span(), message));
            }
        }
    }
}

/// Reports templates that cannot be rendered: their names are those of settings, choices and values, and resplit's own.
fn check_templates(tree: &Tree, problems: &mut Vec<Problem>) {
    let mut plain = Values::default();
    for name in OWN_NAMES {
        plain.put(name, "1");
    }
    for (name, setting) in children(at(tree, &["settings"])) {
        plain.put(name, "1");
        for further in children(setting.get("choices")).flat_map(|(_, choice)| choice.entries()) {
            plain.put(&further.key, "1");
        }
    }
    let values = at(tree, &["values"]);
    let mut all = plain.clone();
    for (name, view) in children(values) {
        all.put(name, "1");
        check_template(view, &plain, problems);
    }
    let root = |path: &[&str]| at(tree, path);
    let environment = children(root(&["environment"])).map(|(_, view)| view);
    let image = ["device", "options", "tree"].into_iter().filter_map(|key| root(&["image", key]));
    let befores = root(&["before"]).into_iter().flat_map(View::items);
    let of_before =
        befores.flat_map(|one| ["check", "start", "stop"].into_iter().filter_map(move |key| one.get(key)));
    let verbs = children(root(&["verbs"])).filter_map(|(_, verb)| verb.get("run")).flat_map(View::items);
    let commands = root(&["status", "run"]).into_iter().chain(root(&["image", "mount"]));
    let arguments = commands.chain(of_before).chain(verbs).flat_map(View::items);
    for view in environment.chain(image).chain(arguments) {
        check_template(view, &all, problems);
    }
}

fn check_template(view: View<'_>, values: &Values, problems: &mut Vec<Problem>) {
    let Some(text) = view.text() else { return };
    let Err(why) = Template(text.to_owned()).render(values) else { return };
    let missing = why.split('\'').nth(1).and_then(|name| nearest(name, values.names()));
    problems.push(
        Problem::at(view.span(), format!("this template cannot be rendered: {why}"))
            .help_if(missing.map(|near| format!("did you mean '{near}'?"))),
    );
}

/// The first default that its own setting does not take.
pub(crate) fn check_defaults(file: &DriverFile, tree: &Tree) -> Option<Problem> {
    file.settings.iter().find_map(|(name, setting)| {
        let default = setting.default.as_ref()?;
        let wanted = setting.refuses(default)?;
        let place = tree.root()?.get("settings")?.get(name)?.get("default")?;
        let message = format!("the default of '{}' cannot be '{}'", shown(name), shown(default));
        Some(Problem::at(place.span(), message).label(format!("expected {wanted}")))
    })
}
