//! Which hosts' engines a verb asks. A verb about an operation asks the host of its primaries instead.

use resplit_operations::{ids::HostId, site::Site};

use crate::exit::Stop;

/// The hosts of a site, in the order of their names.
pub(crate) fn all(site: &Site) -> Vec<HostId> {
    site.hosts.keys().cloned().collect()
}

/// Which host this machine is, if that is known: the one that `RESPLIT_HOST` names, else the one that the machine's name
/// tells.
pub(crate) fn of_machine(site: &Site) -> Option<HostId> {
    let said = std::env::var("RESPLIT_HOST").ok().map(HostId::from);
    said.filter(|said| site.hosts.contains_key(said)).or_else(|| {
        let name = rustix::system::uname();
        site.of_machine(&name.nodename().to_string_lossy()).cloned()
    })
}

/// The hosts that a listing asks: the one said, else all.
pub(crate) fn listed(site: &Site, said: Option<&str>) -> Result<Vec<HostId>, Stop> {
    said.map_or_else(|| Ok(all(site)), |said| Ok(vec![named(site, said)?]))
}

/// A host by its name.
pub(crate) fn named(site: &Site, name: &str) -> Result<HostId, Stop> {
    let all = all(site);
    all.iter().find(|host| host.as_str() == name).cloned().ok_or_else(|| {
        let stop = Stop::usage(format!("the site has no host '{name}'"));
        match nearest(name, all.iter().map(HostId::as_str)) {
            Some(near) => stop.help(format!("did you mean '{near}'?")),
            None => stop.help(format!("say {}", one_of(&all))),
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
        let host = |name: &&str| (HostId::from(*name), Host::local(format!("state-{name}")));
        let hosts = names.iter().map(host).collect();
        Site {
            hosts,
            volumes: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            libraries: BTreeMap::new(),
            transports: BTreeMap::new(),
        }
    }

    #[test]
    fn a_host_that_is_not_there_is_told_with_the_one_probably_meant() {
        let two = site(&["backupserver", "fileserver"]);
        let stop = listed(&two, Some("fileservre")).unwrap_err();
        assert_eq!(stop.exit, crate::exit::Exit::Usage);
        assert_eq!(stop.help.as_deref(), Some("did you mean 'fileserver'?"));
        let stop = listed(&two, Some("nothing-like-it")).unwrap_err();
        assert_eq!(stop.help.as_deref(), Some("say --host backupserver or --host fileserver"));
    }

    #[test]
    fn listings_ask_all_hosts_unless_one_is_said() {
        let two = site(&["backupserver", "fileserver"]);
        assert_eq!(listed(&two, None).unwrap().len(), 2);
        assert_eq!(listed(&two, Some("fileserver")), Ok(vec!["fileserver".into()]));
    }
}
