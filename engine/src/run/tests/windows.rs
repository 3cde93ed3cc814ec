//! A window that is lost, and a backup that has no image yet.

use std::path::Path;

use jiff::Timestamp;
use resplit_operations::plan::Plan;
use resplit_steps::failure::Failure;

use super::plans::{begin, end, state};
use crate::{
    run::{journal::steps::StepEvent, set_back, state::RunState},
    testing::{DOCUMENTS, SITE, backup},
};

/// Two volumes, two hosts, tape, and a hook in the window.
fn whole() -> Plan {
    let site = SITE.replace(
        "libraries:",
        r#"  pictures:
    driver: directory
    primary: { host: fileserver, path: documents/pictures }
    pairs:
      - { copy_group: "VG03,vol01", secondary: { host: fileserver, path: mirrors/2 } }
      - { copy_group: "VG04,vol01", secondary: { host: fileserver, path: mirrors/3 } }
libraries:"#,
    );
    let operation = DOCUMENTS.replace("[documents]", "[documents, pictures]")
        + "backup_server: fileserver
usual_state: paired
tape: { library: vault, pool: documents, keep: 30d }
hooks: { before: [ { argv: [ok] } ], in_window: [ { argv: [ok] } ] }
";
    let site = site.replace("path: documents }", "path: files/documents }");
    let site = site.replace("path: documents/pictures", "path: files/pictures");
    backup(&site, &operation.replace("filesystem: documents", "filesystem: files"), Path::new("/site"))
}

fn node(state: &RunState, name: &str) -> petgraph::graph::NodeIndex {
    let found = state.order().iter().find(|node| state.step(**node).id.as_str() == name);
    *found.unwrap_or_else(|| panic!("no step {name} among {:?}", names(state, state.order())))
}

fn names(state: &RunState, nodes: &[petgraph::graph::NodeIndex]) -> Vec<String> {
    nodes.iter().map(|node| state.step(*node).id.to_string()).collect()
}

/// A run in which everything before a step is done and that step has begun.
fn interrupted(at: &str) -> RunState {
    let mut state = state(whole());
    let last = node(&state, at);
    let all = state.order().to_vec();
    for node in all {
        let before = state.between(&[node], last).len() > 1;
        if before {
            begin(&mut state, node);
            end(&mut state, node, false);
        } else if node == last {
            begin(&mut state, node);
        }
    }
    state.recount();
    state
}

fn is_waiting(state: &RunState, name: &str) -> bool {
    state.row_of(node(state, name)).is_waiting()
}

#[test]
fn a_lost_window_takes_back_everything_from_the_resyncs_on_for_every_pair() {
    for at in ["in-window-1", "split-documents", "split-pictures", "thaw"] {
        let mut state = interrupted(at);
        let back = set_back::lost_windows(&mut state).unwrap();
        let back = names(&state, &back);
        for name in ["resync-documents", "resync-pictures", "quiesce", at] {
            assert!(back.contains(&name.to_owned()), "{at}: {name} not in {back:?}");
        }
        for name in ["resync-documents", "resync-pictures", "quiesce", "split-documents", "split-pictures"] {
            assert!(is_waiting(&state, name), "{at}: {name}");
        }
        assert!(!is_waiting(&state, "before-1") && !is_waiting(&state, "purge-cache-documents"));
        assert_eq!(names(&state, &state.free()), ["resync-documents", "resync-pictures"], "{at}");
    }
}

#[test]
fn what_stands_outside_the_window_is_left_to_be_asked_about() {
    for at in [
        "before-1",
        "purge-cache-documents",
        "resync-documents",
        "record",
        "tape-backup",
        "resync-after-documents",
    ] {
        let mut state = interrupted(at);
        assert!(set_back::lost_windows(&mut state).unwrap().is_empty(), "{at}");
        assert!(state.row_of(node(&state, at)).is_started(), "{at}");
    }
}

#[test]
fn an_attempt_that_is_set_back_keeps_its_number() {
    let mut state = interrupted("split-documents");
    let split = node(&state, "split-documents");
    for _ in 2..=7 {
        let failure = Failure::temporary("busy");
        let (attempt, at) = (state.row_of(split).attempts, Timestamp::UNIX_EPOCH);
        state.apply(split, &StepEvent::Retried { attempt, at, failure }).unwrap();
        begin(&mut state, split);
    }
    let _ = set_back::lost_windows(&mut state).unwrap();
    assert_eq!(state.row_of(split).attempts, 7);
}

#[test]
fn a_backup_without_a_record_is_made_anew_from_the_purge_on() {
    for at in ["resync-pictures", "split-documents", "record"] {
        let mut state = interrupted(at);
        let failed = node(&state, at);
        end(&mut state, failed, true);
        let _ = set_back::resume(&mut state).unwrap();
        for name in ["purge-cache-documents", "purge-cache-pictures", "resync-documents", "resync-pictures"] {
            assert!(is_waiting(&state, name), "{at}: {name}");
        }
        assert!(!is_waiting(&state, "before-1"), "{at}: what went before stands");
        assert!(state.on_pairs().into_iter().all(|node| state.row_of(node).is_waiting()));
    }
}

#[test]
fn a_backup_with_a_record_goes_on_from_it() {
    let mut state = interrupted("tape-backup");
    let failed = node(&state, "tape-backup");
    end(&mut state, failed, true);
    let _ = set_back::resume(&mut state).unwrap();
    for name in ["mount", "tape-backup", "unmount", "confirm", "resync-after-documents"] {
        assert!(is_waiting(&state, name), "{name}");
    }
    for name in ["purge-cache-documents", "resync-documents", "split-pictures", "record"] {
        assert!(!is_waiting(&state, name), "{name}");
    }
}

#[test]
fn what_has_not_been_asked_about_is_not_made_anew() {
    let mut state = interrupted("resync-documents");
    let _ = set_back::resume(&mut state).unwrap();
    assert!(state.row_of(node(&state, "resync-documents")).is_started());
    assert!(!is_waiting(&state, "purge-cache-documents"));
}
