//! Gives up, once an operator agrees, what a damaged store has lost, so that no backup ID and no fencing token that may
//! have been given in the lost part is given again, and no record describes an image that is no longer there.
//!
//! The largest number that is seen anywhere counts: in what can be trusted, in damaged records that can still be read,
//! in the records of other hosts, on cartridges, beside libraries, and in the pairs. What was given and left no trace is
//! left out by going on a million later: more than a host gives in a year and a half at one a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
};

use jiff::Timestamp;
use resplit_operations::{
    ids::{BackupId, CopyGroup, HostId},
    pair::PairState,
    record::{CatalogChange, Medium, Record},
    site::Site,
};
use resplit_steps::{drivers::media::LibraryRef, failure::Failure};
use serde::Deserialize;

use crate::{
    catalog,
    engine::Engine,
    failures::{conflict, defect},
    leases, obligations,
    protocol::{Refusal, Repair, RepairRequest, StepStatus},
    rows::{self, StepRow},
    run::load,
    service::Reply,
    store::{Batch, Damage, StoreError},
};

/// How far beyond the largest number that was seen the next one is.
const MARGIN: u64 = 1_000_000;

/// What the world remembers of numbers that this host gave.
#[derive(Default)]
struct World {
    backup: u64,
    token: u64,
    pairs: BTreeMap<CopyGroup, PairState>,
    unseen: Vec<Failure>,
}

/// Says what a repair would give up; repairs, if that was confirmed, and has the engine end: the next one works again.
pub(crate) async fn repair(engine: &Arc<Engine>, request: RepairRequest) -> Reply<Repair> {
    let Some(damage) = engine.store.damage() else {
        return Err(conflict("nothing is damaged", "resplit status"));
    };
    let others = others(engine, &request.site).await;
    let (asked, site) = (Arc::clone(engine), request.site);
    let looked = tokio::task::spawn_blocking(move || look(&asked, &site, others, &damage)).await;
    let (mut repair, batch) = looked.unwrap_or_else(|error| Err(defect(&error))).map_err(Refusal::from)?;
    let Some(confirmed) = request.confirmed else { return Ok(repair) };
    if confirmed != repair.damage {
        return Err(conflict("the damage is not the one that was shown", "resplit repair"));
    }
    let moment = engine.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let asked = Arc::clone(engine);
    let done = tokio::task::spawn_blocking(move || asked.store.repair(&batch, &moment)).await;
    repair.set_aside = Some(done.map_err(|error| Refusal::from(defect(&error)))??);
    tracing::warn!("repaired: {}", repair.damage.lost());
    engine.stop.notify_one();
    Ok(repair)
}

/// The records of the other hosts, or why they cannot be told.
async fn others(engine: &Arc<Engine>, site: &Site) -> Vec<Result<Vec<Record>, Failure>> {
    let mut others = Vec::new();
    for host in site.hosts.keys().filter(|host| **host != engine.host) {
        let asked = match engine.peers.client(site, host).await {
            Ok(client) => client.catalog().await.map_err(crate::failures::of_client),
            Err(failure) => Err(failure),
        };
        others.push(asked);
    }
    others
}

/// Looks at everything, and says what would be written. Asks drivers, so it may block.
fn look(
    engine: &Engine,
    site: &Site,
    others: Vec<Result<Vec<Record>, Failure>>,
    damage: &Damage,
) -> Result<(Repair, Batch), Failure> {
    let mut world = World::default();
    for records in others {
        match records {
            Ok(records) => records.iter().for_each(|record| world.originals(&engine.host, record)),
            Err(failure) => world.unseen.push(failure),
        }
    }
    world.libraries(engine, site);
    world.pairs(engine, site);
    let records = engine.catalog()?;
    for record in records.iter() {
        world.backup = world.backup.max(record.id.0);
        world.originals(&engine.host, record);
    }
    let next = |seen: u64, most: u64| {
        // Where a million is more than is left, half of what is left.
        let margin = MARGIN.min(most.saturating_sub(seen) / 2).max(1);
        let next = seen.saturating_add(margin);
        if next > most { Err(Failure::refused(format!("no number above {seen} is left"))) } else { Ok(next) }
    };
    // What is kept is the next number, which may have been given.
    let counter = |known: u64, key: &str, seen: u64| {
        let sure = known.max(seen);
        // What was read from damage is believed within reason: numbers are not to be used up by a flipped bit.
        let read = engine.store.counter_seen(key);
        if read < sure.saturating_add(1000 * MARGIN) { sure.max(read) } else { sure }
    };
    let backup = counter(catalog::next_id(&engine.store)?, catalog::NEXT_ID, world.backup);
    let token = counter(leases::next_token(&engine.store)?, leases::NEXT_TOKEN, world.token);
    let (next_backup, next_token) = (next(backup, BackupId::MAX)?, next(token, u64::MAX)?);

    let stale = world.overwritten(&records);
    let mut batch = Batch::default();
    let mut kept = records.to_vec();
    for (id, change) in stale.iter().map(|id| (*id, "its image was overwritten in what is lost of the state"))
    {
        let change = CatalogChange::MarkStale { id, reason: change.to_owned() };
        catalog::apply(&mut kept, &change, engine.clock.now());
    }
    catalog::put_difference(&mut batch, &records, &kept)?;
    catalog::put_next_id(&mut batch, next_backup)?;
    leases::put_next_token(&mut batch, next_token)?;
    let rows = load::rows(&engine.store)?;
    let repair = Repair {
        damage: damage.clone(),
        newest: newest(engine, &records)?,
        records: records.len(),
        stale,
        open_runs: rows.into_iter().filter(|row| !row.status.is_over()).map(|row| row.run).collect(),
        next_backup: BackupId(next_backup),
        next_token,
        unseen: world.unseen,
        set_aside: None,
    };
    Ok((repair, batch))
}

impl World {
    /// What a record says of the ID that this host gave first.
    fn originals(&mut self, host: &HostId, record: &Record) {
        if record.origin.source_host == *host {
            self.backup = self.backup.max(record.origin.original_id.0);
        }
    }

    /// What lies on the cartridges of this host's libraries, and beside them.
    fn libraries(&mut self, engine: &Engine, site: &Site) {
        for (id, library) in site.libraries.iter().filter(|(_, library)| library.host == engine.host) {
            // One that was never used is not made by looking.
            if !library.path.is_dir() {
                continue;
            }
            let path = library.path.join(format!("catalog-{}.json", engine.host));
            if let Some(file) = fs::read(&path).ok().and_then(|b| serde_json::from_slice::<Beside>(&b).ok()) {
                for record in &file.records {
                    self.backup = self.backup.max(record.id.0);
                    self.originals(&engine.host, record);
                }
            }
            let (reference, driver) = (LibraryRef { id, library }, engine.drivers.media(library));
            let cartridges = driver.inventory(&reference).unwrap_or_else(|failure| {
                self.unseen.push(failure);
                Vec::new()
            });
            for cartridge in cartridges.iter().filter(|cartridge| cartridge.datasets > 0) {
                match driver.datasets(&reference, &cartridge.barcode) {
                    Ok(datasets) => {
                        for dataset in datasets {
                            // It was written here, under an ID of this host.
                            self.backup = self.backup.max(dataset.record.id.0);
                            self.originals(&engine.host, &dataset.record);
                        }
                    }
                    Err(failure) => self.unseen.push(failure),
                }
            }
        }
    }

    /// What the pairs remember that have their primary or secondary here.
    fn pairs(&mut self, engine: &Engine, site: &Site) {
        for (id, volume) in &site.volumes {
            for (pair, declared) in site.pairs(id).into_iter().zip(&volume.pairs) {
                if ![&volume.primary.host, &declared.secondary.host].contains(&&engine.host) {
                    continue;
                }
                match engine.drivers.pairs(volume.driver).and_then(|driver| driver.status(&pair)) {
                    Ok(state) => {
                        self.token = self.token.max(state.token);
                        let _ = self.pairs.insert(pair.copy_group, state);
                    }
                    Err(failure) => self.unseen.push(failure),
                }
            }
        }
    }

    /// Records of images that are not there any more: the epoch of a pair counts up before its image is touched.
    fn overwritten(&self, records: &[Record]) -> Vec<BackupId> {
        let gone = |record: &&Record| {
            let other = |image: &resplit_operations::record::Image| {
                self.pairs.get(&image.copy_group).is_some_and(|state| state.epoch != image.epoch)
            };
            matches!(record.medium, Medium::Disk)
                && record.is_current()
                && record.origin.images.iter().any(other)
        };
        records.iter().filter(gone).map(|record| record.id).collect()
    }
}

/// The catalog as it lies beside a library.
#[derive(Deserialize)]
struct Beside {
    records: Vec<Record>,
}

/// When the newest thing happened that the store knows of.
fn newest(engine: &Engine, records: &[Record]) -> Result<Option<Timestamp>, StoreError> {
    let mut moments: BTreeSet<Timestamp> = records.iter().map(|record| record.entered).collect();
    for row in load::rows(&engine.store)? {
        let _ = moments.insert(row.ended.unwrap_or(row.accepted));
    }
    for row in rows::scan::<StepRow>(&engine.store, "")? {
        moments.extend(match row.status() {
            StepStatus::Started { at, .. }
            | StepStatus::Retrying { at, .. }
            | StepStatus::Done { at, .. }
            | StepStatus::Failed { at, .. }
            | StepStatus::Parked { at, .. } => Some(at),
            StepStatus::Waiting | StepStatus::Skipped { .. } => None,
        });
    }
    moments.extend(obligations::standing(&engine.store, None)?.into_iter().filter_map(|duty| duty.since));
    Ok(moments.pop_last())
}
