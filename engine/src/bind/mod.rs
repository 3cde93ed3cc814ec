//! Binding: what a plan means in the present state of the world. The world is gathered first; the decision is pure.

use std::{collections::BTreeMap, sync::Arc};

use resplit_operations::{
    bound::{Binding, BoundPair, Eviction},
    ids::{CopyGroup, HostId, RunId, VolumeId},
    pair::PairState,
    plan::{Plan, Purpose},
    record::{Medium, Record, TapeState},
};
use resplit_steps::failure::Failure;

use crate::{
    engine::Engine,
    protocol::{RunOptions, World},
    world,
};

mod accepted;
mod cartridge;
mod drift;
mod foreseen;
mod generation;
mod neighbours;
mod pairs;
mod source;

pub(crate) use foreseen::after;

/// Everything that is decided from.
pub(crate) struct Known<'a> {
    pub plan: &'a Plan,
    pub options: &'a RunOptions,
    pub worlds: &'a BTreeMap<HostId, World>,
    /// The run that is bound; its own interlocks do not hinder it.
    pub run: Option<&'a RunId>,
    /// An upper bound of the dataset to be written.
    pub tape_bound: Option<u64>,
}

/// Gathers the world and binds a plan to it.
pub(crate) async fn bind(
    engine: &Arc<Engine>,
    plan: &Plan,
    options: &RunOptions,
    run: Option<&RunId>,
) -> Result<Binding, Failure> {
    let worlds = world::gather(engine, plan).await?;
    let tape_bound = world::tape_bound(engine, plan, &worlds).await?;
    // A pair may remember a higher token than a store that was lost: the lease of this run must be above it.
    let seen = worlds
        .values()
        .flat_map(|w| &w.pairs)
        .filter_map(|view| view.state.as_ref().ok())
        .map(|s| s.token)
        .max();
    if let Some(seen) = seen {
        engine.leases.outrun(&engine.store, seen)?;
    }
    let records = worlds.values().flat_map(|world| &world.catalog);
    let own = records.filter(|record| record.origin.source_host == engine.host);
    if let Some(seen) = own.map(|record| record.origin.original_id).max() {
        engine.outrun(seen);
    }
    let known = Known { plan, options, worlds: &worlds, run, tape_bound };
    let binding = decide(&known)?;
    if let Some(refused) = refusals(&known, &binding).into_iter().next() {
        return Err(refused);
    }
    if let Some(accepted) = &options.accepted {
        accepted::check(accepted, &binding)?;
    }
    Ok(binding)
}

/// Why the chosen pairs, or those around them, do not admit what the plan asks. Pure.
pub(crate) fn refusals(known: &Known<'_>, binding: &Binding) -> Vec<Failure> {
    let mut failures = foreseen::rejections(known.plan, &binding.pairs);
    failures.extend(neighbours::refusals(known, &binding.pairs));
    let views = known.worlds.values().flat_map(|world| &world.pairs);
    let chosen = |group: &CopyGroup| binding.pairs.values().any(|bound| bound.pair.copy_group == *group);
    failures
        .extend(views.filter(|view| chosen(&view.pair.copy_group)).filter_map(|view| view.obstacle.clone()));
    failures
}

/// Binds a plan to the world. Pure. Whether the pairs admit what the plan asks of them is for [`refusals`].
pub(crate) fn decide(known: &Known<'_>) -> Result<Binding, Failure> {
    let mut binding = Binding { force: known.options.force, ..Binding::default() };
    match known.plan.purpose {
        Purpose::Backup => {
            generation::choose(known, &mut binding)?;
            binding.cartridge = cartridge::choose(known)?;
        }
        Purpose::RestoreFromDisk | Purpose::FilesFromDisk => source::disk(known, &mut binding)?,
        Purpose::RestoreFromTape => {
            source::tape(known, &mut binding)?;
            generation::choose_for_tape(known, &mut binding)?;
        }
        Purpose::FilesFromTape => source::tape(known, &mut binding)?,
        Purpose::PairCreate
        | Purpose::PairResync
        | Purpose::PairSplit
        | Purpose::PairRestore
        | Purpose::PairDelete => pairs::named(known, &mut binding)?,
    }
    let in_place = matches!(known.plan.purpose, Purpose::RestoreFromDisk | Purpose::RestoreFromTape);
    if let Some(source) = binding.source.as_ref().filter(|_| in_place) {
        let record = source.record.clone();
        drift::check(known, &record, &mut binding)?;
    }
    let overwrites = [
        Purpose::Backup,
        Purpose::RestoreFromTape,
        Purpose::PairCreate,
        Purpose::PairResync,
        Purpose::PairDelete,
    ];
    if overwrites.contains(&known.plan.purpose) {
        binding.evictions = evictions(known, &binding);
    }
    Ok(binding)
}

/// Which pairs of the volumes are kept from being overwritten or restored, and since when.
pub(crate) fn kept(known: &Known<'_>) -> Vec<String> {
    let pairs = known.plan.site.volumes.keys().flat_map(|volume| known.plan.pairs(volume));
    let told = pairs.filter_map(|pair| {
        let (record, kept) = known.kept_by(&pair.copy_group)?;
        let since = match &record.lock {
            Some(lock) => lock.since,
            None => record.entered,
        };
        Some(format!("{}, since {}", kept.message, since.strftime("%F %H:%M UTC")))
    });
    told.collect()
}

impl Known<'_> {
    /// All records of all hosts, with their host.
    fn records(&self) -> impl Iterator<Item = (&HostId, &Record)> {
        self.worlds.iter().flat_map(|(host, world)| world.catalog.iter().map(move |record| (host, record)))
    }

    /// What is said of a pair, by whoever was asked.
    fn state(&self, group: &CopyGroup) -> Result<&PairState, Failure> {
        let mut views = self.worlds.values().flat_map(|world| &world.pairs);
        match views.find(|view| view.pair.copy_group == *group) {
            Some(view) => view.state.as_ref().map_err(Clone::clone),
            None => Err(Failure::permanent(format!("nobody was asked about pair {group}"))),
        }
    }

    /// Why a pair must not be overwritten or restored now, if so.
    fn kept(&self, group: &CopyGroup) -> Option<Failure> {
        self.kept_by(group).map(|(_, kept)| kept)
    }

    /// The record that keeps a pair, and why.
    fn kept_by(&self, group: &CopyGroup) -> Option<(&Record, Failure)> {
        for (host, record) in self.records().filter(|(_, record)| record.is_on(group)) {
            let id = record.id;
            if let Some(lock) =
                record.lock.as_ref().filter(|lock| lock.run.is_none() || lock.run.as_ref() != self.run)
            {
                let by = lock.run.as_ref().map_or("an operator".to_owned(), |run| format!("run {run}"));
                let text = format!("{group} is locked with backup {id} of {host} by {by}");
                let help = format!("resplit catalog unlock {host}:{id}");
                return Some((record, Failure::refused(text).with_help(help)));
            }
            let pending = record.is_current() && record.tape == TapeState::Wanted && !self.is_settled(record);
            if pending && Some(&record.origin.run) != self.run {
                let help = format!(
                    "resplit resume {}; or give it up: resplit catalog waive {host}:{id}",
                    record.origin.run
                );
                let text = format!(
                    "{group} holds backup {id} of {host}, which is wanted on tape and is not there yet"
                );
                return Some((record, Failure::refused(text).with_help(help)));
            }
        }
        None
    }

    /// Whether some host knows that a backup is on tape, or need not be: each has a record of its own, and an operator
    /// waives one of them.
    fn is_settled(&self, record: &Record) -> bool {
        self.records().any(|(_, other)| {
            matches!(other.medium, Medium::Disk)
                && other.origin.source_host == record.origin.source_host
                && other.origin.original_id == record.origin.original_id
                && matches!(other.tape, TapeState::Waived | TapeState::Done { .. })
        })
    }

    /// A pair of a volume, bound.
    fn bound(&self, volume: &VolumeId, generation: u32, reason: &str) -> Result<BoundPair, Failure> {
        let missing = || Failure::refused(format!("volume '{volume}' has no generation {generation}"));
        let pairs = self.plan.pairs(volume);
        let index = usize::try_from(generation).unwrap_or(usize::MAX);
        let pair = pairs.get(index).cloned().ok_or_else(missing)?;
        let declared =
            self.plan.site.volumes.get(volume).and_then(|v| v.pairs.get(index)).ok_or_else(missing)?;
        Ok(BoundPair {
            status: self.state(&pair.copy_group)?.status,
            secondary_host: declared.secondary.host.clone(),
            of: u32::try_from(pairs.len()).unwrap_or(u32::MAX),
            reason: reason.to_owned(),
            pair,
        })
    }
}

/// The current records that go because their images are overwritten. A backup that several hosts know is told once, as
/// the coordinator knows it if it does.
fn evictions(known: &Known<'_>, binding: &Binding) -> Vec<Eviction> {
    let hit = |record: &Record| binding.pairs.values().any(|bound| record.is_on(&bound.pair.copy_group));
    let mut going: Vec<_> =
        known.records().filter(|(_, record)| record.is_current() && hit(record)).collect();
    going.sort_by_key(|(host, record)| (**host != known.plan.coordinator, record.id));
    let mut told = std::collections::BTreeSet::new();
    going.retain(|(_, record)| told.insert((record.origin.source_host.clone(), record.origin.original_id)));
    going
        .into_iter()
        .map(|(host, record)| Eviction {
            host: host.clone(),
            id: record.id,
            original_id: record.origin.original_id,
            started: record.origin.started,
            on_tape: match &record.tape {
                TapeState::Done { barcode } => Some(barcode.clone()),
                _ => None,
            },
        })
        .collect()
}

#[cfg(test)]
mod tests;
