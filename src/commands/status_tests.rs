use jiff::tz::TimeZone;
use resplit_operations::{
    operation::{Missed, Overlap, QuiesceMode},
    plan::Purpose,
    record::{Lock, Origin, Standing, TapePlace},
};

use super::*;
use crate::output::View;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn record(id: u64, original: u64, started: &str) -> Record {
    let origin = Origin {
        original_id: BackupId(original),
        source_host: "fileserver".into(),
        operation: "documents".into(),
        run: "documents-1".into(),
        mode: QuiesceMode::Online,
        started: at(started),
        ended: at(started),
        images: Vec::new(),
    };
    Record {
        id: BackupId(id),
        origin,
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: TapeState::NotWanted,
        entered: at(started),
    }
}

fn on_tape(record: Record) -> Record {
    let place =
        TapePlace { library: "vault".into(), barcode: "VT0001".into(), dataset: 1, bytes: 1, expires: None };
    Record { medium: Medium::Tape(place), ..record }
}

#[test]
fn the_last_good_backup_is_the_newest_that_is_still_there_wherever_it_is() {
    let old = record(7, 7, "2026-11-18T02:00:00Z");
    let newer = record(8, 8, "2026-11-19T02:00:00Z");
    let stale = Standing::Stale { since: at("2026-11-19T03:00:00Z"), reason: "resync".into() };
    let gone = Record { standing: stale, ..record(9, 9, "2026-11-20T02:00:00Z") };
    let tape = on_tape(record(4, 8, "2026-11-19T02:00:00Z"));
    let last = last_backup([&tape, &old, &gone, &newer].into_iter()).unwrap();
    assert_eq!(last.original, RecordName { host: "fileserver".into(), id: BackupId(8) });
    assert!(last.disk);
    assert_eq!(last.tapes, BTreeSet::from(["VT0001".to_owned()]));
    assert_eq!(last_backup([&gone].into_iter()), None);
}

#[test]
fn operations_are_shown_that_are_declared_or_have_backups() {
    let lock = Some(Lock { run: None, since: at("2026-11-19T02:00:00Z") });
    let locked = Record { lock, tape: TapeState::Wanted, ..record(7, 7, "2026-11-20T02:00:00Z") };
    let catalogs = [("fileserver".into(), vec![locked])];
    let questions = BTreeMap::from([("tape-backup".into(), "Was it written?".into())]);
    let parked = RunSummary {
        run: "documents-2".into(),
        operation: "documents".into(),
        purpose: Purpose::Backup,
        status: RunStatus::Parked { questions },
        accepted: at("2026-11-20T11:00:00Z"),
        ended: None,
        steps: 3,
        plan: String::new(),
        result: Vec::new(),
    };
    let failure = resplit_steps::failure::Failure::permanent("the disk is full");
    let failed = RunSummary {
        run: "mail-1".into(),
        operation: "mail".into(),
        status: RunStatus::Failed { failure },
        ..parked.clone()
    };
    let mail = OperationId::from("mail");
    let schedule = Schedule {
        cron: "0 2 * * *".into(),
        timezone: Some("Europe/Berlin".into()),
        missed: Missed::default(),
        overlap: Overlap::default(),
    };
    let schedules = BTreeMap::from([(&mail, Some(&schedule))]);
    let rows = statuses(&schedules, &BTreeSet::new(), &catalogs, &[parked, failed]);
    let now = at("2026-11-20T12:00:00Z");
    let view = View { colour: false, error_colour: false, width: 80, zone: TimeZone::UTC, now };
    assert_eq!(
        render::status::listing(&rows, &view),
        "\
OPERATION  LAST BACKUP        AGE  ON    NOW                             NEXT RUN
documents  2026-11-20 02:00  10 h  disk  parked, locked, wanted on tape  not declared
mail       never                -  -     last run failed                 0 2 * * * Europe/Berlin (does not fire)

documents-2 is parked, with 1 question:
  tape-backup: Was it written?
  next: resplit answer documents-2 tape-backup done|redo|abort
mail-1 failed: the disk is full
  next: resplit resume mail-1
"
    );
}
