//! What trips those who drive an array's command line, as the driver meets it. Exit codes that are no errors, exit code 0
//! without an effect, the two names of a refusal: see `troubles`; starting what runs: see `instances`.

use std::{thread, time::Duration};

use resplit_operations::{driver::SHIPPED, pair::PairStatus};
use resplit_steps::{drivers::pairs::PairDriver, failure::FailureClass};

use crate::support::{Bed, shipped};

#[test]
fn a_quick_split_has_an_image_only_once_the_secondary_is_split() {
    let bed = Bed::with("shadow-image", "", &shipped().replace("LC_ALL: C", "HORCC_SPLT: QUICK, LC_ALL: C"));
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.array(&["speed", "by-hand"]);
    bed.array(&["advance", "VG01", "vol01", "90"]);
    thread::scope(|scope| {
        let split = scope.spawn(|| bed.driver.split(&bed.pair, 1, &bed.asked("run/split/1")));
        while bed.given("pairsplit") == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        // PSUS on the primary, COPY on the secondary.
        assert_eq!(bed.status().status, PairStatus::Copy);
        assert!(!split.is_finished());
        bed.array(&["advance", "VG01", "vol01"]);
        split.join().unwrap().unwrap();
    });
    assert_eq!(bed.status().status, PairStatus::Psus);
}

#[test]
fn a_status_decides_and_not_a_percentage() {
    let bed = Bed::new("shadow-image");
    bed.array(&["speed", "by-hand"]);
    thread::scope(|scope| {
        let resync = scope.spawn(|| bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")));
        while bed.given("paircreate") == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        bed.array(&["advance", "VG01", "vol01", "100"]);
        let seen = bed.given("pairdisplay");
        while bed.given("pairdisplay") < seen + 3 {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!resync.is_finished(), "100 % copied is not PAIR");
        bed.array(&["advance", "VG01", "vol01"]);
        resync.join().unwrap().unwrap();
    });
    // A journal that is 0 % full is a pair that is well.
    let journal = Bed::new("universal-replicator");
    journal.command("paircreate", &["-IH0", "-g", "VG01", "-vl", "-f", "async"]);
    journal.driver.resync(&journal.pair, &journal.asked("run/resync/1")).unwrap();
    assert_eq!(journal.status().status, PairStatus::Pair);
}

#[test]
fn a_simplex_volume_may_be_a_pair_of_another_kind() {
    let bed = Bed::with("shadow-image", "copy_type: true-copy,", &shipped());
    bed.command("paircreate", &["-IM0", "-g", "VG01", "-vl"]);
    assert_eq!(bed.status().status, PairStatus::Smpl);
    let failure = bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("copy_type: true-copy"), "{failure}");
    assert!(failure.help.unwrap().contains("another kind of copies"));
}

#[test]
fn rows_are_read_in_every_edition() {
    let bed = Bed::new("shadow-image");
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    for (key, value) in [("header_every", "1"), ("without_hyphen", "true")] {
        bed.array(&["edition", key, value]);
        assert_eq!(bed.status().status, PairStatus::Pair, "{key}");
    }
}

#[test]
fn a_pair_of_a_group_that_is_half_split_is_asked_about_alone() {
    let bed = Bed::new("shadow-image");
    for side in ["p", "s"] {
        std::fs::write(bed.path(&format!("other.{side}")), vec![0; 4096]).unwrap();
    }
    let volume = |side| bed.path(&format!("other.{side}")).display().to_string();
    bed.array(&["add", "VG01", "vol02", "shadow-image", &volume("p"), &volume("s")]);
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.command("paircreate", &["-IM0", "-g", "VG01", "-d", "vol02", "-vl"]);
    bed.driver.split(&bed.pair, 1, &bed.asked("run/split/1")).unwrap();
    assert_eq!(bed.status().status, PairStatus::Psus);
    let all: serde_json::Value = serde_json::from_str(&bed.array(&["show"])).unwrap();
    assert_eq!(all["pairs"][1]["status"], "PAIR", "the other was left alone");
}

#[test]
fn a_pair_that_was_taken_over_is_left_to_an_operator() {
    let bed = Bed::new("true-copy");
    bed.command("paircreate", &["-IH0", "-g", "VG01", "-vl", "-f", "never"]);
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.array(&["status", "VG01", "vol01", "SSWS"]);
    let failure = bed.driver.status(&bed.pair).unwrap_err();
    assert!(failure.class == FailureClass::Refused && failure.message.contains("-swaps"), "{failure}");
    assert!(bed.driver.resync(&bed.pair, &bed.asked("later/resync/1")).is_err());
    assert_eq!(bed.given("pairresync"), 0);
    assert!(bed.driver.restore(&bed.pair, &bed.asked("later/restore/1")).is_err(), "never remotely");
}

#[test]
fn a_remote_side_that_never_answers_is_given_up() {
    let bed = Bed::with("shadow-image", "", &shipped().replace("timeout: 5m", "timeout: 300ms"));
    bed.array(&["inject", "pairdisplay", "HANG"]);
    let failure = bed.driver.status(&bed.pair).unwrap_err();
    assert_eq!(failure.class, FailureClass::Temporary);
    assert!(failure.message.contains("took longer than 300 ms"), "{failure}");
}

#[test]
fn a_snapshot_that_cannot_be_split_now_may_be_split_later() {
    let bed = Bed::new("thin-image");
    bed.driver.resync(&bed.pair, &bed.asked("run/resync/1")).unwrap();
    bed.array(&["inject", "pairsplit", "EX_EWSTOT"]);
    let failure = bed.driver.split(&bed.pair, 1, &bed.asked("run/split/1")).unwrap_err();
    assert_eq!((failure.class, bed.status().status), (FailureClass::Temporary, PairStatus::Pair));
    bed.driver.split(&bed.pair, 1, &bed.asked("run/split/2")).unwrap();
}

#[test]
fn the_shipped_file_uses_nothing_that_asks_back_or_means_something_else() {
    let (_, text) = SHIPPED[0];
    let commands: Vec<&str> = text.lines().filter(|line| line.contains("{{programs}}/pair")).collect();
    assert_eq!(commands.len(), 6);
    for line in commands {
        // A device without a group would be of the first group that has it; a group alone would be all of it.
        assert!(line.contains("-g, \"{{group}}\", -d, \"{{device}}\"") && line.contains("{{ask}}"), "{line}");
    }
    // A wait in another unit, a takeover whose error is a success, a login that asks, more than one kind of split.
    for not in ["pairsyncwait", "horctakeover", "raidcom", "-S,", "-rw"] {
        assert!(!text.contains(not), "{not}");
    }
}
