use std::collections::BTreeMap;

use jiff::Timestamp;
use resplit_operations::{
    action::{Quiesce, RecordStep, ResyncStep, Retry, VolumeStep},
    bound::{Binding, BoundPair},
    operation::On,
    pair::{PairRef, PairStatus},
    plan::{PlanData, PlanStep},
    site::{Host, Location, Pair, PairDriverKind, Secondary, Site, Volume},
    units::Period,
};
use resplit_steps::contract::Preview;

use super::*;
use resplit_engine::protocol::PreviewRow;

fn view(width: usize) -> View {
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    View { colour: false, error_colour: false, width, zone: TimeZone::UTC, now }
}

fn site() -> Site {
    let host = |name: &str| (name.into(), Host::local(format!("/s/{name}")));
    let at = |host: &str, path: &str| Location { host: host.into(), path: path.into() };
    let pair = |group: &str, path: &str| Pair {
        pace: None,
        copy_group: group.into(),
        secondary: Secondary { host: "backupserver".into(), path: path.into(), device: None, reach: None },
        settings: BTreeMap::new(),
    };
    let volume = Volume {
        driver: PairDriverKind::Directory,
        primary: at("fileserver", "/srv/documents"),
        qemu: None,
        lvm: None,
        behind: None,
        of: None,
        pairs: vec![pair("VG01,vol01", "/m/0"), pair("VG02,vol01", "/m/1")],
        settings: BTreeMap::new(),
        declared: None,
    };
    Site {
        neighbours: BTreeMap::new(),
        transports: [].into(),
        hosts: BTreeMap::from([host("backupserver"), host("fileserver")]),
        volumes: BTreeMap::from([("documents".into(), volume)]),
        libraries: BTreeMap::new(),
    }
}

fn plan() -> Plan {
    let volume = || VolumeStep { volume: "documents".into() };
    let quiesce = Quiesce {
        filesystem: "/srv/documents".into(),
        mode: QuiesceMode::Online,
        window: Period::seconds(10),
    };
    let record =
        RecordStep { volumes: vec!["documents".into()], mode: QuiesceMode::Online, tape_wanted: false };
    let actions = [
        ("purge-cache", "backupserver", Action::PurgeCache(volume())),
        ("resync", "fileserver", Action::Resync(ResyncStep { volume: "documents".into(), pace: None })),
        ("quiesce", "fileserver", Action::Quiesce(quiesce)),
        ("split", "fileserver", Action::Split(volume())),
        (
            "thaw",
            "fileserver",
            Action::Thaw(resplit_operations::action::Thaw { filesystem: "/srv/documents".into() }),
        ),
        ("record", "fileserver", Action::Record(record)),
    ];
    let mut steps: Vec<PlanStep> = Vec::new();
    for (id, host, action) in actions {
        let needs = steps.last().map(|step| step.id.clone()).into_iter().collect();
        steps.push(PlanStep {
            id: id.into(),
            host: host.into(),
            action,
            needs,
            on: On::default(),
            retry: Retry::default(),
            timeout: None,
            finally: None,
        });
    }
    let (operation, coordinator) = ("documents".into(), "fileserver".into());
    Plan::new(PlanData { operation, purpose: Purpose::Backup, coordinator, site: site(), steps }).unwrap()
}

fn preview(plan: &Plan) -> PlanPreview {
    let preview_of = |id: &str| {
        let (what, now, then) = match id {
            "purge-cache" => ("VG02,vol01", "PSUS", ""),
            "resync" => ("VG02,vol01", "PSUS", "PAIR"),
            "split" => ("VG02,vol01", "PAIR", "PSUS"),
            "quiesce" => ("documents (online)", "", ""),
            "record" => ("backup 0000000009", "", ""),
            _ => ("", "", ""),
        };
        Preview { what: what.into(), now: now.into(), then: then.into(), notes: Vec::new() }
    };
    let last = BTreeMap::from([("purge-cache", 1_000), ("resync", 130_000), ("split", 1_000)]);
    let row = |step: &&PlanStep| PreviewRow {
        step: step.id.clone(),
        kind: step.action.kind().to_owned(),
        host: step.host.clone(),
        in_window: step.id.as_str() == "split",
        preview: preview_of(step.id.as_str()),
        last_ms: last.get(step.id.as_str()).copied(),
    };
    let pair = plan.pairs(&"documents".into()).remove(1);
    let bound = BoundPair {
        pair: PairRef { ..pair },
        secondary_host: "backupserver".into(),
        status: PairStatus::Psus,
        reason: "least recently backed up, not locked".into(),
        of: 2,
    };
    let eviction = Eviction {
        host: "fileserver".into(),
        id: resplit_operations::ids::BackupId(7),
        original_id: resplit_operations::ids::BackupId(7),
        started: "2026-11-18T02:00:00Z".parse::<Timestamp>().unwrap(),
        on_tape: Some("VT0003".into()),
    };
    let pairs = BTreeMap::from([("documents".into(), bound)]);
    let binding = Binding { pairs, evictions: vec![eviction], ..Binding::default() };
    let rows = plan.steps().iter().map(row).collect();
    PlanPreview { binding, rows, ..PlanPreview::default() }
}

#[test]
fn the_table_fits_80_columns() {
    let plan = plan();
    assert_eq!(
        table(&plan, &preview(&plan), &view(80)),
        "\
documents: 6 steps on 2 hosts; generation 1 of 2 (least recently backed up, not
  locked)

  step         host          what                now     then  last time
  purge-cache  backupserver  VG02,vol01          PSUS          1 s
  resync       fileserver    VG02,vol01          PSUS -> PAIR  2 min 10 s
               evicts backup fileserver:0000000007 of 2026-11-18 02:00, which is
                 on tape VT0003
  quiesce  |   fileserver    documents (online)
  split    |   fileserver    VG02,vol01          PAIR -> PSUS  1 s
               window at most 10 s
  thaw     |   fileserver
  record       fileserver    backup 0000000009
"
    );
}

#[test]
fn a_wide_terminal_has_the_budget_beside_the_split() {
    let plan = plan();
    let text = table(&plan, &preview(&plan), &view(120));
    let split = text.lines().find(|line| line.contains("  split")).unwrap();
    assert_eq!(
        split,
        "  split    |   fileserver    VG02,vol01          PAIR -> PSUS  1 s         window at most 10 s"
    );
}

#[test]
fn long_names_are_shortened_in_the_middle_and_control_characters_escaped() {
    let plan = plan();
    let mut preview = preview(&plan);
    preview.rows[5].preview.what = "/srv/a/very/long/path/to/the/documents\x1b[2J".into();
    preview.rows[0].host = "a-host-with-a-name-that-is-rather-long.example.org".into();
    preview.waits = vec![HeldNow {
        what: "volume documents".to_owned(),
        run: "documents-20261120T110000Z".into(),
        coordinator: "fileserver".into(),
        since: "2026-11-20T11:00:00Z".parse().unwrap(),
    }];
    let text = table(&plan, &preview, &view(80));
    assert!(text.lines().all(|line| width(line) <= 80), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert!(text.contains('…'), "{text}");
    assert!(text.contains("waits: volume documents, held by run"), "{text}");
}

#[test]
fn an_eviction_that_a_step_tells_of_is_told_once() {
    let plan = plan();
    let mut preview = preview(&plan);
    preview.rows[1].preview.notes = vec!["evicts backup 0000000007, which is on tape VT0003".into()];
    assert_eq!(table(&plan, &preview, &view(80)).matches("0000000007").count(), 1);
}

#[test]
fn refusals_come_with_their_help() {
    let refused = [Failure::refused("every pair is locked").with_help("resplit catalog unlock ID")];
    let text = refusals(&refused, &view(80));
    assert_eq!(text, "refused: every pair is locked\nhelp: resplit catalog unlock ID");
}
