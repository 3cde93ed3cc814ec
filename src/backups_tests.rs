use resplit_operations::{
    ids::BackupId,
    operation::QuiesceMode,
    record::{Standing, TapePlace, TapeState},
};

use super::*;

fn record(id: u64, original: u64, day: u8) -> Record {
    let started: jiff::Timestamp = format!("2026-11-{day}T02:00:00Z").parse().unwrap();
    let origin = Origin {
        original_id: BackupId(original),
        source_host: "fileserver".into(),
        operation: "documents".into(),
        run: "documents-1".into(),
        mode: QuiesceMode::Online,
        started,
        ended: started,
        images: Vec::new(),
    };
    Record {
        id: BackupId(id),
        origin,
        medium: Medium::Disk,
        standing: Standing::Current,
        lock: None,
        tape: TapeState::NotWanted,
        entered: started,
    }
}

fn stale(record: Record) -> Record {
    let since = record.entered;
    Record { standing: Standing::Stale { since, reason: "resync".into() }, ..record }
}

fn on_tape(record: Record) -> Record {
    let place =
        TapePlace { library: "vault".into(), barcode: "VT0001".into(), dataset: 1, bytes: 1, expires: None };
    Record { medium: Medium::Tape(place), ..record }
}

/// Backup 7 is on tape alone, 8 on disk and on tape; the backup server's IDs differ from the file server's.
fn catalogs() -> Vec<(HostId, Vec<Record>)> {
    let backupserver =
        vec![stale(record(1, 7, 18)), on_tape(record(2, 7, 18)), record(3, 8, 19), on_tape(record(4, 8, 19))];
    let fileserver = vec![stale(record(7, 7, 18)), record(8, 8, 19)];
    vec![("backupserver".into(), backupserver), ("fileserver".into(), fileserver)]
}

fn chosen(
    catalogs: &[(HostId, Vec<Record>)],
    backup: Option<&str>,
    from: Option<RestoreFrom>,
) -> Result<(String, RestoreFrom), Stop> {
    let (operation, coordinator) = ("documents".into(), "fileserver".into());
    let name: Option<BackupName> = backup.map(|text| text.parse().unwrap());
    let asked = Asked { operation: &operation, coordinator: &coordinator, backup: name.as_ref(), from };
    choose(catalogs, asked).map(|c| (format!("{}:{}", c.selector.host.unwrap(), c.selector.id.0), c.from))
}

#[test]
fn the_newest_backup_comes_from_disk_where_it_is_still_there() {
    let found = chosen(&catalogs(), None, None);
    assert_eq!(found, Ok(("fileserver:8".to_owned(), RestoreFrom::Disk)));
    let found = chosen(&catalogs(), None, Some(RestoreFrom::Tape));
    assert_eq!(found, Ok(("backupserver:4".to_owned(), RestoreFrom::Tape)));
}

#[test]
fn a_backup_whose_image_was_overwritten_comes_from_tape() {
    for name in ["7", "fileserver:7", "backupserver:1", "backupserver:2"] {
        let found = chosen(&catalogs(), Some(name), None);
        assert_eq!(found, Ok(("backupserver:2".to_owned(), RestoreFrom::Tape)), "{name}");
    }
    let stop = chosen(&catalogs(), Some("7"), Some(RestoreFrom::Disk)).unwrap_err();
    assert_eq!((stop.exit, stop.help.as_deref()), (Exit::Operator, Some("it is on tape: --from tape")));
}

#[test]
fn a_dataset_that_was_named_is_read_though_the_image_is_there() {
    let found = chosen(&catalogs(), Some("backupserver:4"), None);
    assert_eq!(found, Ok(("backupserver:4".to_owned(), RestoreFrom::Tape)));
}

#[test]
fn what_is_not_there_is_told() {
    let stop = chosen(&[("fileserver".into(), vec![stale(record(7, 7, 18))])], Some("7"), None).unwrap_err();
    assert_eq!(stop.message, "backup fileserver:0000000007 is no longer there: its image was overwritten");
    let stop = chosen(&[], None, Some(RestoreFrom::Tape)).unwrap_err();
    assert_eq!(stop.message, "there is no backup of 'documents' on tape to restore");
    let mut other = record(9, 9, 20);
    other.origin.operation = "mail".into();
    let stop = chosen(&[("fileserver".into(), vec![other])], Some("9"), None).unwrap_err();
    assert_eq!(stop.message, "backup fileserver:0000000009 is of operation 'mail', not of 'documents'");
}
