//! What a site says of how hosts are reached.

use std::path::{Path, PathBuf};

use super::{at, not_zero, site::children};
use crate::{
    report::{Problem, shown},
    site::{Connect, absolute},
    yaml::{Tree, View},
};

/// What means nothing for a host on this machine.
const OF_SSH: [&str; 5] = ["site", "program", "sudo", "ssh_config", "wait"];

/// The address that ssh connects to for a host; `None` for a local one.
fn machine(host: View<'_>) -> Option<String> {
    match Connect::try_from(host.get("connect")?.text()?.to_owned()) {
        Ok(Connect::Ssh(address)) => Some(address.host.to_ascii_lowercase()),
        _ => None,
    }
}

/// The machine of a host, and the directory to which its relative paths are relative.
pub(super) fn ground(tree: &Tree, host: Option<&str>, directory: &Path) -> (String, PathBuf) {
    let found = host.and_then(|host| at(tree, &["hosts", host]));
    let site = found.and_then(|host| host.get("site")?.text()).filter(|text| text.starts_with('/'));
    let base = site.map_or_else(|| directory.to_owned(), PathBuf::from);
    (found.and_then(machine).unwrap_or_default(), base)
}

/// Checks how every host is reached.
pub(super) fn check(tree: &Tree, directory: &Path, problems: &mut Vec<Problem>) {
    for (name, host) in children(at(tree, &["hosts"])) {
        let is_local = host.get("connect").is_some_and(|connect| connect.text() == Some("local"));
        for key in OF_SSH.into_iter().filter(|_| is_local) {
            let Some(entry) = host.entry(key) else { continue };
            problems.push(
                Problem::at(entry.key_span.clone(), format!("'{key}' says nothing of a local host"))
                    .label("only with `connect: ssh://...`")
                    .help(format!("remove '{key}', or say how host '{}' is reached", shown(name))),
            );
        }
        if !is_local {
            is_absolute(host.get("site"), "the site directory on another machine", problems);
        }
        not_zero(host.get("wait"), "the time that a run waits for a host", problems);
        is_absolute(host.get("state_on"), "a mount point", problems);
        let (_, base) = ground(tree, Some(name), directory);
        let kept =
            host.get("state").and_then(|state| Some((state, absolute(&base, Path::new(state.text()?)))));
        let moving =
            host.get("state_on").and_then(|on| Some((on, on.text().filter(|on| on.starts_with('/'))?)));
        if let (Some((state, path)), Some((view, on))) = (kept, moving)
            && !path.starts_with(on)
        {
            problems.push(
                Problem::at(
                    state.span(),
                    format!("the state directory of host '{}' does not move with it", shown(name)),
                )
                .label(format!("does not lie in {}", shown(on)))
                .related(view.span(), "what moves")
                .help("name a directory in that file system"),
            );
        }
    }
}

fn is_absolute(view: Option<View<'_>>, what: &str, problems: &mut Vec<Problem>) {
    if let Some((view, text)) = view.and_then(|view| Some((view, view.text()?)))
        && !text.is_empty()
        && !text.starts_with('/')
    {
        problems.push(
            Problem::at(view.span(), format!("{what} is named by an absolute path, not '{}'", shown(text)))
                .label("expected a path that begins with '/'"),
        );
    }
}
