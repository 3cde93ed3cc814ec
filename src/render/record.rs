//! Records of a catalog: in a listing, and in full.

use resplit_operations::{
    ids::HostId,
    operation::QuiesceMode,
    record::{Medium, Record, Standing, TapeState},
};

use super::{
    table::Table,
    text::{add, plain},
    units::{between, count, duration, minute, second, size},
};
use crate::output::View;

/// A line for each record. HOST is the host whose catalog has it.
pub(crate) fn listing<'a>(records: impl Iterator<Item = (&'a HostId, &'a Record)>, view: &View) -> String {
    let mut table = Table::new(&[
        "BACKUP-ID",
        "ORIGINAL-ID",
        "HOST",
        "OPERATION",
        "MODE",
        "START",
        "MEDIUM",
        "STATE",
        "LOCK",
        "TAPE",
    ]);
    for (host, record) in records {
        table.row([
            record.id.to_string(),
            record.origin.original_id.to_string(),
            host.to_string(),
            record.origin.operation.to_string(),
            mode(record.origin.mode).to_owned(),
            minute(record.origin.started, &view.zone),
            medium(record),
            standing(record).to_owned(),
            if record.lock.is_some() { "locked".to_owned() } else { String::new() },
            tape(record),
        ]);
    }
    table.text()
}

/// The words for how an application was held still.
pub(crate) const fn mode(mode: QuiesceMode) -> &'static str {
    match mode {
        QuiesceMode::Online => "online",
        QuiesceMode::Freeze => "freeze",
        QuiesceMode::Cold => "cold",
    }
}

const fn standing(record: &Record) -> &'static str {
    match record.standing {
        Standing::Current => "current",
        Standing::Stale { .. } => "stale",
    }
}

fn medium(record: &Record) -> String {
    match &record.medium {
        Medium::Disk => "disk".to_owned(),
        Medium::Tape(_) => "tape".to_owned(),
    }
}

/// The cartridge, or whether there is to be one.
fn tape(record: &Record) -> String {
    match (&record.medium, &record.tape) {
        (Medium::Tape(place), _) => format!("{} #{}", place.barcode, place.dataset),
        (_, TapeState::NotWanted) => String::new(),
        (_, TapeState::Wanted) => "wanted".to_owned(),
        (_, TapeState::Done { barcode }) => barcode.to_string(),
        (_, TapeState::Waived) => "waived".to_owned(),
    }
}

/// All that is known of a record.
pub(crate) fn detail(host: &HostId, record: &Record, view: &View) -> String {
    let origin = &record.origin;
    let mut text = format!("backup {host}:{} of {}\n", record.id, origin.operation);
    let mut field =
        |name: &str, value: String| add(&mut text, format_args!("  {name:<13}{}\n", plain(&value)));
    field("original", format!("{}:{}", origin.source_host, origin.original_id));
    field("run", origin.run.to_string());
    field("mode", mode(origin.mode).to_owned());
    let took = duration(between(origin.started, origin.ended));
    field("started", second(origin.started, &view.zone));
    field("ended", format!("{}, after {took}", second(origin.ended, &view.zone)));
    match &record.medium {
        Medium::Disk => field("medium", "disk".to_owned()),
        Medium::Tape(place) => {
            let dataset = format!("dataset {} of {} in {}", place.dataset, place.barcode, place.library);
            field("medium", format!("tape: {dataset}, {}", size(place.bytes)));
            let kept = place.expires.map(|until| format!("until {}", minute(until, &view.zone)));
            field("kept", kept.unwrap_or_else(|| "forever".to_owned()));
        }
    }
    match &record.standing {
        Standing::Current => field("state", "current".to_owned()),
        Standing::Stale { since, reason } => {
            field("state", format!("stale since {}: {reason}", second(*since, &view.zone)));
        }
    }
    if let Some(lock) = &record.lock {
        let who = lock.run.as_ref().map_or("an operator".to_owned(), |run| format!("run {run}"));
        field("locked", format!("by {who} since {}", second(lock.since, &view.zone)));
    }
    let wanted = match &record.tape {
        TapeState::NotWanted => None,
        TapeState::Wanted => Some("wanted, and not there yet: its pairs are interlocked".to_owned()),
        TapeState::Done { barcode } => Some(format!("on {barcode}")),
        TapeState::Waived => Some("waived by an operator".to_owned()),
    };
    if let Some(wanted) = wanted.filter(|_| matches!(record.medium, Medium::Disk)) {
        field("tape", wanted);
    }
    field("entered", second(record.entered, &view.zone));
    for image in &origin.images {
        let report = &image.report;
        let pair = format!("{}, generation {}", image.copy_group, image.generation);
        let holds = format!("{} entries, {}", report.entries, size(report.bytes));
        field("image", format!("{} on {pair}: {holds}", image.volume));
        if report.fuzzy_count > 0 {
            let changed = count(usize::try_from(report.fuzzy_count).unwrap_or(usize::MAX), "file");
            field("fuzzy", format!("{changed} changed while they were copied:"));
            for file in &report.fuzzy {
                field("", file.clone());
            }
        }
    }
    text
}

/// A record of a test.
#[cfg(test)]
pub(crate) use tests::record as example;

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use resplit_operations::{
        ids::BackupId,
        pair::CopyReport,
        record::{Image, Lock, Origin, TapePlace},
    };

    use super::*;

    pub(crate) fn record() -> Record {
        let report = CopyReport { entries: 24, bytes: 1_258_291, ..CopyReport::default() };
        let image = Image {
            source: None,
            volume: "documents".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            epoch: 3,
            report: CopyReport { fuzzy: vec!["a\nb".into()], fuzzy_count: 1, ..report },
        };
        let origin = Origin {
            original_id: BackupId(7),
            source_host: "fileserver".into(),
            operation: "documents".into(),
            run: "documents-1".into(),
            mode: QuiesceMode::Online,
            started: "2026-11-20T02:00:00Z".parse().unwrap(),
            ended: "2026-11-20T02:00:04Z".parse().unwrap(),
            images: vec![image],
        };
        let since = "2026-11-20T02:01:00Z".parse().unwrap();
        Record {
            id: BackupId(9),
            origin,
            medium: Medium::Disk,
            standing: Standing::Current,
            lock: Some(Lock { run: None, since }),
            tape: TapeState::Wanted,
            entered: since,
        }
    }

    fn view() -> View {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        View { colour: false, error_colour: false, width: 80, zone: TimeZone::UTC, now }
    }

    #[test]
    fn a_listing_has_a_line_for_each_record() {
        let host = "backupserver".into();
        let disk = record();
        let place = TapePlace {
            library: "vault".into(),
            barcode: "VT0001".into(),
            dataset: 2,
            bytes: 1,
            expires: None,
        };
        let tape = Record { id: BackupId(10), medium: Medium::Tape(place), lock: None, ..record() };
        assert_eq!(
            listing([(&host, &disk), (&host, &tape)].into_iter(), &view()),
            "\
BACKUP-ID   ORIGINAL-ID  HOST          OPERATION  MODE    START             MEDIUM  STATE    LOCK    TAPE
0000000009  0000000007   backupserver  documents  online  2026-11-20 02:00  disk    current  locked  wanted
0000000010  0000000007   backupserver  documents  online  2026-11-20 02:00  tape    current  -       VT0001 #2
"
        );
    }

    #[test]
    fn a_record_in_full_names_its_images_and_what_is_fuzzy() {
        let text = detail(&"fileserver".into(), &record(), &view());
        assert!(text.starts_with(
            "backup fileserver:0000000009 of documents\n  original     fileserver:0000000007\n"
        ));
        assert!(text.contains("  ended        2026-11-20 02:00:04, after 4 s\n"), "{text}");
        assert!(
            text.contains("  image        documents on VG01,vol01, generation 0: 24 entries, 1.2 MiB\n"),
            "{text}"
        );
        assert!(
            text.contains("  fuzzy        1 file changed while they were copied:\n               a\\nb\n"),
            "{text}"
        );
        assert!(text.contains("  locked       by an operator since 2026-11-20 02:01:00\n"), "{text}");
    }
}
