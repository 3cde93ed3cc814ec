//! Worlds made up: pairs, records, cartridges.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use resplit_operations::{
    bound::Binding,
    compile::{self, PairRequest, RestoreFrom, RestoreRequest},
    ids::{BackupId, CopyGroup, HostId, OperationId, RunId, VolumeId},
    operation::QuiesceMode,
    pair::{CopyReport, PairState, PairStatus},
    plan::{Plan, Purpose},
    record::{Image, Lock, Medium, Origin, Record, Standing, TapePlace, TapeState},
};
use resplit_steps::{drivers::media::Cartridge, failure::Failure};

use crate::{
    bind::{Known, decide, foreseen::rejections},
    protocol::{PairView, RunOptions, Selector, World},
    testing::definitions,
};

/// Two hosts, two volumes of three pairs each, a library at the backup server.
const SITE: &str = r#"
hosts:
  fileserver:   { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: files/documents }
    pairs:
      - { copy_group: "D0,v", secondary: { host: backupserver, path: mirrors/d0 } }
      - { copy_group: "D1,v", secondary: { host: backupserver, path: mirrors/d1 } }
      - { copy_group: "D2,v", secondary: { host: backupserver, path: mirrors/d2 } }
  pictures:
    driver: directory
    primary: { host: fileserver, path: files/pictures }
    pairs:
      - { copy_group: "P0,v", secondary: { host: backupserver, path: mirrors/p0 } }
      - { copy_group: "P1,v", secondary: { host: backupserver, path: mirrors/p1 } }
      - { copy_group: "P2,v", secondary: { host: backupserver, path: mirrors/p2 } }
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 4, drives: 1, cartridge_size: 1GiB, pools: [documents, other] }
"#;

const OPERATION: &str = "
protect: { filesystem: files, volumes: [documents, pictures] }
backup_server: backupserver
tape: { library: vault, pool: documents, keep: 30d }
";

/// A world, and what is asked of it.
pub(super) struct Made {
    pub plan: Plan,
    pub options: RunOptions,
    pub worlds: BTreeMap<HostId, World>,
    pub run: Option<RunId>,
    pub bound: u64,
}

/// What is restored.
pub(super) enum Wanted {
    Backup,
    Disk,
    Tape,
    FilesFromDisk,
    FilesFromTape,
    /// What is asked of the pairs of both volumes, of one generation.
    Pairs(Purpose, u32),
}

pub(super) fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A world of pairs that were never backed up.
pub(super) fn made(wanted: &Wanted) -> Made {
    let checked = definitions(SITE, OPERATION);
    let id = OperationId::from("documents");
    let operation = &checked.operations[&id];
    let directory = Path::new("/site");
    let restore = |from, to: Option<&str>| {
        let request = RestoreRequest { from, paths: Vec::new(), to: to.map(Into::into), volume: None };
        compile::restore(&checked.site, directory, &id, operation, &request).unwrap()
    };
    let plan = match wanted {
        Wanted::Backup => compile::backup(&checked.site, directory, &id, operation).unwrap(),
        Wanted::Disk => restore(RestoreFrom::Disk, None),
        Wanted::Tape => restore(RestoreFrom::Tape, None),
        Wanted::FilesFromDisk => restore(RestoreFrom::Disk, Some("/elsewhere")),
        Wanted::FilesFromTape => restore(RestoreFrom::Tape, Some("/elsewhere")),
        Wanted::Pairs(purpose, generation) => {
            let request = PairRequest { purpose: *purpose, pairs: both(*generation) };
            compile::pair(&checked.site, directory, &request).unwrap()
        }
    };
    let mut worlds = BTreeMap::new();
    let pairs = plan
        .site
        .volumes
        .keys()
        .flat_map(|volume| plan.pairs(volume))
        .map(|pair| PairView {
            pair,
            state: Ok(pair_state(PairStatus::Smpl, 0)),
            obstacle: None,
            difference: None,
            no_difference: None,
        })
        .collect();
    let _ = worlds.insert("fileserver".into(), World { pairs, ..World::default() });
    let cartridges = vec![cartridge("VT0001", Some("documents"), 0), cartridge("VT0002", None, 0)];
    let cartridges = [("vault".into(), Ok(cartridges))].into();
    let _ = worlds.insert("backupserver".into(), World { cartridges, ..World::default() });
    let pairs = match wanted {
        Wanted::Pairs(_, generation) => both(*generation),
        _ => BTreeMap::new(),
    };
    let options = RunOptions { pairs, ..RunOptions::default() };
    Made { plan, options, worlds, run: Some("documents-1".into()), bound: 1 << 20 }
}

fn both(generation: u32) -> BTreeMap<VolumeId, u32> {
    [("documents".into(), generation), ("pictures".into(), generation)].into()
}

fn pair_state(status: PairStatus, backed_up: u64) -> PairState {
    PairState { status, epoch: 1, backed_up, token: 0, last: None, percent: None }
}

pub(super) fn cartridge(barcode: &str, pool: Option<&str>, used: u64) -> Cartridge {
    Cartridge {
        barcode: barcode.into(),
        slot: 1,
        pool: pool.map(Into::into),
        capacity: 1 << 30,
        used,
        datasets: 0,
        unclosed: 0,
        unusable: None,
    }
}

/// A backup of a generation of both volumes, by run `documents-<original>`, as the file server first knew it.
pub(super) fn record(id: u64, original: u64, generation: u32) -> Record {
    let image = |volume: &str, name: char| Image {
        volume: volume.into(),
        copy_group: CopyGroup(format!("{name}{generation},v")),
        generation,
        epoch: 1,
        report: CopyReport::default(),
        source: None,
    };
    let seconds = i64::try_from(original).unwrap();
    Record {
        id: BackupId(id),
        origin: Origin {
            original_id: BackupId(original),
            source_host: "fileserver".into(),
            operation: "documents".into(),
            run: RunId(format!("documents-{original}")),
            mode: QuiesceMode::Online,
            started: moment(seconds),
            ended: moment(seconds),
            images: vec![image("documents", 'D'), image("pictures", 'P')],
        },
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: TapeState::NotWanted,
        entered: moment(seconds),
    }
}

/// The same on a cartridge.
pub(super) fn on_tape(record: Record) -> Record {
    let place =
        TapePlace { library: "vault".into(), barcode: "VT0001".into(), dataset: 1, bytes: 1, expires: None };
    Record { medium: Medium::Tape(place), ..record }
}

pub(super) fn locked(record: Record, run: Option<&str>) -> Record {
    Record { lock: Some(Lock { run: run.map(Into::into), since: moment(0) }), ..record }
}

pub(super) fn with_tape(record: Record, tape: TapeState) -> Record {
    Record { tape, ..record }
}

pub(super) fn stale(record: Record) -> Record {
    Record { standing: Standing::Stale { since: moment(0), reason: "it was".to_owned() }, ..record }
}

impl Made {
    /// Sets the status and the order of a generation's pairs.
    pub(super) fn pair(mut self, groups: &[&str], status: PairStatus, backed_up: u64) -> Self {
        for view in self.worlds.values_mut().flat_map(|world| &mut world.pairs) {
            if groups.contains(&view.pair.copy_group.as_str()) {
                view.state = Ok(pair_state(status, backed_up));
            }
        }
        self
    }

    /// Every generation backed up, the first longest ago.
    pub(super) fn used(self) -> Self {
        self.pair(&["D0,v", "P0,v"], PairStatus::Psus, 1).pair(&["D1,v", "P1,v"], PairStatus::Psus, 2).pair(
            &["D2,v", "P2,v"],
            PairStatus::Psus,
            3,
        )
    }

    /// Adds a record to a host's catalog.
    pub(super) fn with(mut self, host: &str, record: Record) -> Self {
        self.worlds.get_mut(&HostId::from(host)).unwrap().catalog.push(record);
        self
    }

    /// Asks for one backup.
    pub(super) fn asked(mut self, host: Option<&str>, id: u64) -> Self {
        self.options.backup = Some(Selector { host: host.map(Into::into), id: BackupId(id) });
        self
    }

    pub(super) fn decide(&self) -> Result<Binding, Failure> {
        decide(&Known {
            plan: &self.plan,
            options: &self.options,
            worlds: &self.worlds,
            run: self.run.as_ref(),
            tape_bound: Some(self.bound),
        })
    }

    /// The generation that both volumes are bound to.
    pub(super) fn generation(&self) -> u32 {
        let binding = self.decide().unwrap();
        let generations: Vec<_> = binding.pairs.values().map(|bound| bound.pair.generation).collect();
        assert_eq!(generations.len(), 2);
        assert_eq!(generations[0], generations[1], "one generation for all volumes of a backup");
        generations[0]
    }

    /// What pairs would reject, of what is bound.
    pub(super) fn rejections(&self) -> Vec<String> {
        let binding = self.decide().unwrap();
        let rejections = rejections(&self.plan, &binding.pairs);
        rejections.into_iter().map(|failure| failure.message).collect()
    }

    pub(super) fn refusal(&self) -> String {
        let failure = self.decide().unwrap_err();
        format!("{} ({})", failure.message, failure.help.unwrap_or_default())
    }
}
