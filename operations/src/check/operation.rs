//! What an operation means, in its declarative form and in general.

use std::path::Path;

use super::{SiteFacts, cron, not_cold, not_zero, repeated, site::children, steps, unknown};
use crate::{
    report::{Problem, shown},
    schema::{Reference, nearest},
    site::{
        absolute,
        targets::{self, LOCAL},
    },
    yaml::{Tree, View},
};

/// Keys that say how to protect, and so mean nothing beside steps, which say it themselves.
const WITH_PROTECT_ONLY: [&str; 9] =
    ["backup_server", "usual_state", "quiesce", "waits", "pace", "on_abort", "tape", "transfer", "hooks"];

/// Checks an operation against its site.
pub(crate) fn check(tree: &Tree, site: &SiteFacts, references: &[Reference], problems: &mut Vec<Problem>) {
    let Some(root) = tree.root() else { return };
    site.unknown_names(references, problems);
    forms(root, problems);
    usual_state(root, problems);
    if let Some(protect) = root.get("protect") {
        check_protect(protect, root, site, problems);
        check_pace(protect, root, site, problems);
    }
    if let Some(tape) = root.get("tape") {
        check_tape(tape, root, site, problems);
    }
    if let Some(quiesce) = root.get("quiesce") {
        not_cold(quiesce.get("mode"), problems);
        not_zero(quiesce.get("window"), "the window", problems);
    }
    for (name, wait) in children(root.get("waits")).filter(|(name, _)| *name != "busy") {
        not_zero(Some(wait), &format!("the wait for {name}"), problems);
    }
    for (_, hooks) in children(root.get("hooks")) {
        for hook in hooks.items() {
            check_command(hook, "the hook", problems);
        }
    }
    if let Some(schedule) = root.get("schedule") {
        check_schedule(schedule, problems);
    }
    if let Some(declared) = root.get("steps") {
        steps::check(declared, site, references, problems);
    }
}

fn forms(root: View<'_>, problems: &mut Vec<Problem>) {
    match (root.entry("protect"), root.entry("steps")) {
        (Some(protect), Some(steps)) => problems.push(
            Problem::at(steps.key_span.clone(), "an operation has either 'protect' or 'steps', not both")
                .label("every step, as written")
                .related(protect.key_span.clone(), "what to protect: the steps follow")
                .help("remove one; `resplit plan --expand` prints the steps that 'protect' stands for"),
        ),
        (None, Some(_)) => {
            for key in WITH_PROTECT_ONLY.iter().filter_map(|key| root.entry(key)) {
                problems.push(
                    Problem::at(key.key_span.clone(), format!("'{}' means nothing beside 'steps'", key.key))
                        .label("only with 'protect'")
                        .help("say it in the steps, and remove this key"),
                );
            }
        }
        (None, None) if !root.tree().lacks_something_in(&root.span()) => {
            // A key that was probably meant to be one of the two has been reported.
            let meant = |key: &str| nearest(key, ["protect", "steps"].into_iter()).is_some();
            if matches!(root.value(), crate::yaml::Value::Map(_))
                && !root.entries().iter().any(|e| meant(&e.key))
            {
                let place =
                    root.entries().first().map_or_else(|| root.span(), |entry| entry.key_span.clone());
                problems.push(
                    Problem::at(place, "the operation says neither what to protect nor which steps to run")
                        .label("expected 'protect' or 'steps'")
                        .help("add protect: { filesystem: PATH, volumes: [VOLUME] }"),
                );
            }
        }
        _ => {}
    }
}

fn usual_state(root: View<'_>, problems: &mut Vec<Problem>) {
    let Some(state) = root.get("usual_state").filter(|state| state.text() == Some("paired")) else { return };
    if root.get("tape").is_none() && !root.tree().lacks_something_in(&root.span()) {
        problems.push(
            Problem::at(state.span(), "usual state paired needs tape, since no image is kept on disk")
                .label("paired, without 'tape'")
                .help("add tape: { library: LIBRARY, pool: POOL, keep: 30d }, or let the pairs rest split"),
        );
    }
}

fn check_protect(protect: View<'_>, root: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    let volumes: Vec<View<'_>> = protect.get("volumes").into_iter().flat_map(View::items).collect();
    repeated(volumes.iter().copied(), "volume", problems);
    let filesystem =
        protect.get("filesystem").filter(|view| view.text().is_some_and(|text| !text.is_empty()));
    let targets: Vec<View<'_>> = protect.get("targets").into_iter().flat_map(View::items).collect();
    repeated(targets.iter().copied(), "target", problems);
    let first_target = targets.first().and_then(|view| view.text()).unwrap_or(LOCAL);
    let server = root.get("backup_server").filter(|server| site.has_host(*server));
    let mut first: Option<(&str, View<'_>)> = None;
    for volume in volumes {
        let Some(name) = volume.text() else { continue };
        let Some(facts) = site.volumes.get(name) else { continue };
        for target in &targets {
            let Some(said) = target.text().filter(|said| *said != LOCAL) else { continue };
            if site.whole && !site.volumes.contains_key(&format!("{name}.{said}")) {
                let message = format!("volume '{name}' has no target '{}'", shown(said));
                problems.push(
                    Problem::at(target.span(), message)
                        .label("unknown target")
                        .related(volume.span(), "named here")
                        .help("declare it in site.yaml, under 'targets' of the volume; 'local' is its own pairs"),
                );
            }
        }
        let around = filesystem.and_then(|view| Some((view, absolute(&facts.base, Path::new(view.text()?)))));
        if let (Some((view, around)), Some(primary)) = (around, &facts.primary)
            && facts.is_tree
            && !primary.starts_with(&around)
        {
            problems.push(
                Problem::at(
                    view.span(),
                    format!("the primary of volume '{name}' is not in this file system"),
                )
                .label(format!("does not contain {}", primary.display()))
                .related(volume.span(), "named here")
                .help("name the file system that contains every primary: it is what is quiesced"),
            );
        }
        let mode = root.get("quiesce").and_then(|quiesce| quiesce.get("mode"));
        if facts.wants_freeze && mode.is_none_or(|mode| mode.text() == Some("online")) {
            problems.push(
                Problem::at(
                    mode.unwrap_or(volume).span(),
                    format!(
                        "volume '{name}' is a mirror, whose half is at rest only if its file system is frozen"
                    ),
                )
                .label("needs `quiesce: { mode: freeze }`")
                .help("say so, or choose another kind of LVM's pairs in site.yaml"),
            );
        }
        if let Some(host) = facts.host.as_deref() {
            match first {
                Some((other, place)) if other != host => {
                    problems.push(steps::different_hosts(host, volume, other, place));
                }
                Some(_) => {}
                None => first = Some((host, volume)),
            }
        }
        if let Some((server, view)) = server.and_then(|view| Some((view.text()?, view)))
            && let Some(first) = site.volumes.get(&targets::name(&name.into(), &first_target.into()).0)
            && let Some(elsewhere) = first.secondary_hosts.iter().find(|host| *host != server)
        {
            problems.push(
                Problem::at(view.span(), format!("volume '{name}' has a secondary on host '{elsewhere}'"))
                    .label("mounts the secondaries, so it must have them all")
                    .related(volume.span(), "named here")
                    .help(format!("write backup_server: {elsewhere}, or change the secondary in site.yaml")),
            );
        }
    }
}

/// Reports a pace that the driver of no volume takes. Where one does, `plan` says of which it is without effect.
fn check_pace(protect: View<'_>, root: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    let Some(pace) = root.entry("pace") else { return };
    let named = || protect.get("volumes").into_iter().flat_map(View::items).filter_map(View::text);
    let known = || named().filter_map(|name| site.volumes.get(name));
    if site.whole && known().count() == named().count() && !known().any(|volume| volume.has_pace) {
        let problem = Problem::at(pace.key_span.clone(), "no driver of these volumes copies at a pace");
        problems
            .push(problem.label("would be without effect").help("remove it: they copy as fast as they can"));
    }
}

fn check_tape(tape: View<'_>, root: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    not_zero(tape.get("keep"), "the time that a dataset is kept", problems);
    pool_of_library(tape, site, problems);
    let Some(server) = root.get("backup_server") else {
        let beside_steps = root.get("protect").is_none() && root.get("steps").is_some();
        if !beside_steps && !root.tree().lacks_something_in(&root.span()) {
            let place = root.entry("tape").map_or_else(|| tape.span(), |entry| entry.key_span.clone());
            problems.push(
                Problem::at(place, "tape needs 'backup_server', the host that drives the library")
                    .label("tape, without 'backup_server'")
                    .help("add backup_server: HOST"),
            );
        }
        return;
    };
    if !site.has_host(server) {
        return;
    }
    let library = tape.get("library").and_then(|view| Some((view, site.libraries.get(view.text()?)?)));
    let Some((view, host)) = library.and_then(|(view, facts)| Some((view, facts.host.as_deref()?))) else {
        return;
    };
    if let Some(server_name) = server.text().filter(|name| *name != host) {
        problems.push(
            Problem::at(
                view.span(),
                format!("this library is attached to host '{host}', not to '{server_name}'"),
            )
            .label(format!("attached to '{host}'"))
            .related(server.span(), "drives the tapes")
            .help("name a library of the backup server"),
        );
    }
}

/// Reports a pool that its library does not have.
pub(super) fn pool_of_library(tape: View<'_>, site: &SiteFacts, problems: &mut Vec<Problem>) {
    let (Some(library), Some(pool)) = (tape.get("library"), tape.get("pool")) else { return };
    let (Some(library), Some(name)) = (library.text(), pool.text()) else { return };
    let Some(facts) = site.libraries.get(library) else { return };
    if site.whole && !facts.pools.is_empty() && !facts.pools.iter().any(|known| known == name) {
        let known: Vec<&str> = facts.pools.iter().map(String::as_str).collect();
        let has = format!("library '{}' has", shown(library));
        problems.push(unknown("pool", name, pool.span(), &known, &has));
    }
}

/// What a hook and a step that is a command have in common.
pub(super) fn check_command(command: View<'_>, what: &str, problems: &mut Vec<Problem>) {
    not_zero(command.get("timeout"), "a timeout", problems);
    if let Some(program) = command.get("argv").and_then(|argv| argv.items().next())
        && program.text() == Some("")
    {
        problems.push(
            Problem::at(program.span(), format!("{what} names no program")).label("expected a program"),
        );
    }
    for entry in command.get("environment").into_iter().flat_map(View::entries) {
        if entry.key.contains(['=', '\0']) {
            problems.push(
                Problem::at(entry.key_span.clone(), "an environment variable's name cannot contain '='")
                    .label("expected a name"),
            );
        }
    }
}

fn check_schedule(schedule: View<'_>, problems: &mut Vec<Problem>) {
    if let Some(view) = schedule.get("cron")
        && let Some(text) = view.text()
        && let Err(error) = cron::check(text)
    {
        // Within quotes the fields begin one byte later; an escape among them only widens what is marked.
        let quote = usize::from(view.span().len() == text.len() + 2);
        let start = view.span().start + quote;
        let span = if view.span().len() == text.len() + 2 * quote {
            start + error.part.start..start + error.part.end
        } else {
            view.span()
        };
        problems.push(Problem::at(span, error.message).label(error.wanted).help(cron::HELP));
    }
    if let Some(view) = schedule.get("timezone")
        && let Some(problem) = view.text().and_then(|name| cron::unknown_zone(name, view.span()))
    {
        problems.push(problem);
    }
}
