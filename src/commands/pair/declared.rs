//! The pairs that a site declares, and which of them an operator names.

use std::collections::BTreeMap;

use resplit_operations::{
    ids::{HostId, VolumeId},
    pair::PairRef,
    site::{PairDriverKind, Site},
};
use serde::Serialize;

use crate::{
    exit::{Exit, Stop},
    hosts::nearest,
    output,
    render::table::Table,
    session::Session,
};

/// A pair that is declared.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Declared {
    /// The primary's host.
    pub(crate) host: HostId,
    /// The secondary's host.
    pub(crate) secondary_host: HostId,
    /// What makes and splits it.
    #[serde(skip)]
    pub(crate) driver: PairDriverKind,
    /// The pair.
    #[serde(flatten)]
    pub(crate) pair: PairRef,
}

impl Declared {
    /// The group, without the device.
    pub(crate) fn group(&self) -> &str {
        self.pair.copy_group.as_str().split(',').next().unwrap_or_default()
    }
}

/// The pairs of a site, or of one volume.
pub(crate) fn declared(site: &Site, volume: Option<&VolumeId>) -> Result<Vec<Declared>, Stop> {
    if let Some(volume) = volume.filter(|volume| !site.volumes.contains_key(*volume)) {
        return Err(Stop::usage(format!("the site has no volume '{volume}'")));
    }
    let volumes = site.volumes.iter().filter(|(id, _)| volume.is_none_or(|wanted| wanted == *id));
    let pairs = volumes.flat_map(|(id, volume)| {
        site.pairs(id).into_iter().zip(&volume.pairs).map(move |(pair, declared)| Declared {
            host: volume.primary.host.clone(),
            secondary_host: declared.secondary.host.clone(),
            driver: volume.driver,
            pair,
        })
    });
    Ok(pairs.collect())
}

/// The pairs that are named: one by its copy group `GROUP,DEVICE`, or all of a group or a volume, or of those the ones
/// of a generation.
pub(super) fn named(all: &[Declared], said: &str, generation: Option<u32>) -> Result<Vec<Declared>, Stop> {
    let those = |is: &dyn Fn(&Declared) -> bool| -> Vec<Declared> {
        all.iter().filter(|one| is(one)).cloned().collect()
    };
    let exact = those(&|one| one.pair.copy_group.as_str() == said);
    let group = those(&|one| one.group() == said);
    let volume = those(&|one| one.pair.volume.as_str() == said);
    let found = match (exact.is_empty(), group.is_empty(), volume.is_empty()) {
        (false, ..) => exact,
        (_, false, false) if keys(&group) != keys(&volume) => {
            let text = format!("'{said}' is both a group and a volume");
            return Err(Stop::usage(text).help(format!("say which: {}", listed(&group, &volume))));
        }
        (_, false, _) => group,
        (_, _, false) => volume,
        _ => return Err(unknown(all, said)),
    };
    let matching: Vec<_> = found
        .iter()
        .filter(|one| generation.is_none_or(|wanted| wanted == one.pair.generation))
        .cloned()
        .collect();
    match generation {
        Some(wanted) if matching.is_empty() => {
            let text = format!("'{said}' has no generation {wanted}");
            Err(Stop::usage(text).help("`resplit pair list` lists them"))
        }
        _ => Ok(matching),
    }
}

/// The generation of each volume that is named: a run is about one pair of a volume.
pub(super) fn one_each(named: &[Declared], said: &str) -> Result<BTreeMap<VolumeId, u32>, Stop> {
    let mut pairs = BTreeMap::new();
    for one in named {
        if pairs.insert(one.pair.volume.clone(), one.pair.generation).is_some() {
            let text = format!("'{said}' has several pairs of volume '{}'", one.pair.volume);
            return Err(
                Stop::usage(text).help(format!("say --generation N, or which: {}", listed(named, &[])))
            );
        }
    }
    Ok(pairs)
}

fn keys(pairs: &[Declared]) -> Vec<&str> {
    pairs.iter().map(|one| one.pair.copy_group.as_str()).collect()
}

fn listed(some: &[Declared], others: &[Declared]) -> String {
    let mut names = keys(some);
    names.extend(keys(others));
    names.sort_unstable();
    names.dedup();
    names.join(" or ")
}

fn unknown(all: &[Declared], said: &str) -> Stop {
    let stop = Stop::usage(format!("the site has no pair, group or volume '{said}'"));
    let names =
        all.iter().flat_map(|one| [one.pair.copy_group.as_str(), one.group(), one.pair.volume.as_str()]);
    match nearest(said, names) {
        Some(near) => stop.help(format!("did you mean '{near}'?")),
        None => stop.help("`resplit pair list` lists them"),
    }
}

/// Lists the pairs that are declared.
pub(super) fn list(volume: Option<&VolumeId>, session: &Session) -> Result<Exit, Stop> {
    let mut pairs = declared(&session.site()?.resolved(), volume)?;
    // A whole driver file is nothing to list.
    for one in &mut pairs {
        one.pair.array = None;
    }
    if session.global.json {
        output::print_json(&pairs)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["VOLUME", ">GENERATION", "COPY-GROUP", "PRIMARY", "SECONDARY"]);
    for Declared { host, secondary_host, pair, .. } in pairs {
        table.row([
            pair.volume.to_string(),
            pair.generation.to_string(),
            pair.copy_group.to_string(),
            format!("{host}:{}", pair.primary.display()),
            format!("{secondary_host}:{}", pair.secondary.display()),
        ]);
    }
    output::print(&table.text())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(volume: &str, group: &str, generation: u32) -> Declared {
        Declared {
            host: "h".into(),
            secondary_host: "b".into(),
            driver: PairDriverKind::Directory,
            pair: PairRef {
                apart: None,
                qemu: None,
                lvm: None,
                volume: volume.into(),
                copy_group: group.into(),
                generation,
                primary: "/p".into(),
                secondary: "/s".into(),
                device: None,
                array: None,
            },
        }
    }

    #[test]
    fn pairs_are_named_by_copy_group_group_or_volume() {
        let all = [pair("a", "G,1", 0), pair("a", "H,1", 1), pair("b", "G,2", 0), pair("H", "X,x", 0)];
        let names = |said: &str, generation| {
            named(&all, said, generation).map(|found| keys(&found).join(" ")).map_err(|stop| stop.message)
        };
        assert_eq!(names("H,1", None).as_deref(), Ok("H,1"));
        assert_eq!(names("G", None).as_deref(), Ok("G,1 G,2"));
        assert_eq!(names("a", None).as_deref(), Ok("G,1 H,1"));
        assert_eq!(names("a", Some(1)).as_deref(), Ok("H,1"));
        assert_eq!(names("a", Some(2)).unwrap_err(), "'a' has no generation 2");
        assert_eq!(names("H", None).unwrap_err(), "'H' is both a group and a volume");
        assert_eq!(named(&all, "G,9", None).unwrap_err().help.as_deref(), Some("did you mean 'G,1'?"));
        assert!(one_each(&named(&all, "a", None).unwrap(), "a").unwrap_err().help.unwrap().contains("H,1"));
        let both = one_each(&named(&all, "G", None).unwrap(), "G").unwrap();
        assert_eq!(both, BTreeMap::from([("a".into(), 0), ("b".into(), 0)]));
    }
}
