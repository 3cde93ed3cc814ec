//! The ledgers of the field, when the hosts are on different machines.

use std::fs;

use crate::bed::Bed;

#[test]
fn a_tape_round_trip_over_ssh_gives_the_ids_of_the_field() {
    let Some(bed) = Bed::new() else { return };
    let said = bed.succeed(&["run", "documents"]);
    assert!(said.contains("on tape: VT0001"), "{said}");
    assert_eq!(bed.ledger("source"), ["1/1 disk"]);
    assert_eq!(bed.ledger("backup"), ["1/1 disk", "2/1 tape"]);
    fs::write(bed.path("source", "documents/a.txt"), "spoiled").unwrap();
    bed.succeed(&["restore", "documents", "--from", "tape", "--yes"]);
    assert_eq!(fs::read_to_string(bed.path("source", "documents/a.txt")).unwrap(), "one");
    assert_eq!(bed.ledger("source"), ["2/1 disk"]);
    assert_eq!(bed.ledger("backup"), ["2/1 tape", "3/1 disk"]);
    let left = bed.json(&["leftovers"]);
    assert_eq!(left.as_array().map(Vec::len), Some(0), "{left}");
    // Each host keeps its own state, and the operator's machine nothing of the others.
    assert!(bed.path("backup", "state/log").is_dir() && bed.path("source", "state/log").is_dir());
    let runs = bed.json(&["runs"]);
    assert!(runs.as_array().unwrap().iter().all(|run| run["host"] == "source"), "{runs}");
}
