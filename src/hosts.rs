//! Which host this process is, and which hosts' engines a verb asks.

use resplit_operations::{
    ids::HostId,
    site::{Connect, Site},
};

use crate::exit::Stop;

/// What is known about where the process runs.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts {
    /// What `--host` or `RESPLIT_HOST` says.
    pub(crate) said: Option<String>,
    /// The machine's name.
    pub(crate) machine: String,
}

/// The hosts on this machine, in the order of their names.
pub(crate) fn local(site: &Site) -> Vec<HostId> {
    let local = site.hosts.iter().filter(|(_, host)| host.connect == Connect::Local);
    local.map(|(id, _)| id.clone()).collect()
}

/// The host that this process is: the one said, else the one with the machine's name, else the only local one.
pub(crate) fn this(site: &Site, at: &Whereabouts) -> Result<HostId, Stop> {
    if let Some(said) = &at.said {
        return named(site, said);
    }
    let local = local(site);
    let machine = at.machine.as_str();
    let short = machine.split('.').next().unwrap_or_default();
    if let Some(host) = [machine, short].iter().find_map(|name| local.iter().find(|h| h.as_str() == *name)) {
        return Ok(host.clone());
    }
    match local.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Stop::usage("no host of the site is on this machine")),
        several => Err(Stop::usage(format!(
            "this machine is '{machine}', which the site does not name, and {} of its hosts are local",
            several.len()
        ))
        .help(format!("say which is meant: {}", one_of(several)))),
    }
}

/// The hosts that a listing asks: the one said, else all local ones.
pub(crate) fn listed(site: &Site, at: &Whereabouts) -> Result<Vec<HostId>, Stop> {
    at.said.as_ref().map_or_else(|| Ok(local(site)), |said| Ok(vec![named(site, said)?]))
}

/// A local host by its name.
pub(crate) fn named(site: &Site, name: &str) -> Result<HostId, Stop> {
    let local = local(site);
    local.iter().find(|host| host.as_str() == name).cloned().ok_or_else(|| {
        let stop = Stop::usage(format!("the site has no local host '{name}'"));
        match nearest(name, local.iter().map(HostId::as_str)) {
            Some(near) => stop.help(format!("did you mean '{near}'?")),
            None => stop.help(format!("say {}", one_of(&local))),
        }
    })
}

fn one_of(hosts: &[HostId]) -> String {
    hosts.iter().map(|host| format!("--host {host}")).collect::<Vec<_>>().join(" or ")
}

/// The name that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(said: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (strsim::damerau_levenshtein(said, name), name));
    near.filter(|(distance, _)| *distance <= 1 + said.len() / 4).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use resplit_operations::site::Host;

    use super::*;

    fn site(names: &[&str]) -> Site {
        let host = |name: &&str| {
            (HostId::from(*name), Host { connect: Connect::Local, state: format!("state-{name}").into() })
        };
        let hosts = names.iter().map(host).collect();
        Site { hosts, volumes: BTreeMap::new(), libraries: BTreeMap::new() }
    }

    fn at(said: Option<&str>, machine: &str) -> Whereabouts {
        Whereabouts { said: said.map(str::to_owned), machine: machine.to_owned() }
    }

    #[test]
    fn the_host_said_comes_first_then_the_machine_then_the_only_one() {
        let two = site(&["backupserver", "fileserver"]);
        assert_eq!(this(&two, &at(Some("backupserver"), "fileserver")), Ok("backupserver".into()));
        assert_eq!(this(&two, &at(None, "fileserver")), Ok("fileserver".into()));
        assert_eq!(this(&two, &at(None, "fileserver.example.org")), Ok("fileserver".into()));
        assert_eq!(this(&site(&["here"]), &at(None, "elsewhere")), Ok("here".into()));
    }

    #[test]
    fn what_cannot_be_told_is_a_usage_error_that_names_the_choices() {
        let two = site(&["backupserver", "fileserver"]);
        let stop = this(&two, &at(None, "elsewhere")).unwrap_err();
        assert_eq!(stop.exit, crate::exit::Exit::Usage);
        assert_eq!(
            stop.help.as_deref(),
            Some("say which is meant: --host backupserver or --host fileserver")
        );
        assert!(stop.message.contains("'elsewhere'"));
    }

    #[test]
    fn a_host_that_is_not_there_is_told_with_the_one_probably_meant() {
        let two = site(&["backupserver", "fileserver"]);
        let stop = this(&two, &at(Some("fileservre"), "x")).unwrap_err();
        assert_eq!(stop.help.as_deref(), Some("did you mean 'fileserver'?"));
        let stop = listed(&two, &at(Some("nothing-like-it"), "x")).unwrap_err();
        assert_eq!(stop.help.as_deref(), Some("say --host backupserver or --host fileserver"));
    }

    #[test]
    fn listings_ask_all_local_hosts_unless_one_is_said() {
        let two = site(&["backupserver", "fileserver"]);
        assert_eq!(listed(&two, &at(None, "fileserver")).unwrap().len(), 2);
        assert_eq!(listed(&two, &at(Some("fileserver"), "x")), Ok(vec!["fileserver".into()]));
    }
}
