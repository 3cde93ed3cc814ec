//! What trips those who drive an array's command line, each as the simulator has it.

mod common;

use common::{Sim, words};

#[test]
fn codes_below_128_are_answers_and_not_errors() {
    let sim = Sim::new("shadow-image");
    assert_eq!(sim.code("pairvolchk -g VG01 -IM0 -s"), 11);
    sim.done("paircreate -g VG01 -vl -IM0");
    assert_eq!(sim.code("pairvolchk -g VG01 -IM0"), 2);
    assert_eq!(sim.code("pairvolchk -g VG01 -IM1"), 3);
    assert_eq!(sim.code("pairvolchk -g VG01 -IM0 -s"), 23);
    assert_eq!(sim.code("pairvolchk -g VG01 -IM1 -ss"), 33);
    assert_eq!(sim.code("pairevtwait -g VG01 -IM0 -nowait"), 3);
    sim.done("pairsplit -g VG01 -IM0");
    assert_eq!(sim.code("pairevtwait -g VG01 -IM0 -nowait"), 4);
    let remote = Sim::new("universal-replicator");
    remote.done("paircreate -g VG01 -vl -f async -IH0");
    assert_eq!(remote.code("pairvolchk -g VG01 -IH0 -s"), 43);
}

#[test]
fn exit_code_0_can_mean_that_nothing_happened() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.write(b"new");
    sim.done("pairresync -g VG01 -IM0");
    assert!(!sim.secondary().starts_with(b"new"), "it was PAIR already");
    sim.done("pairsplit -g VG01 -IM0");
    assert!(sim.secondary().starts_with(b"new"), "what was written before a split reaches the secondary");
    sim.write(b"newer");
    sim.done("pairsplit -g VG01 -IM0");
    assert!(!sim.secondary().starts_with(b"newer"));
    sim.array("status VG01 vol01 PSUE");
    sim.done("pairsplit -g VG01 -IM0");
    assert_eq!(sim.statuses(), ["PSUE", "PSUE"]);
}

#[test]
fn a_refusal_has_two_names_and_says_where_to_look() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.done("pairsplit -g VG01 -IM0");
    let said = sim.fails("paircreate -g VG01 -vl -IM0", 221);
    assert!(
        said.starts_with("paircreate: [EX_CMDRJE] An order to the control/command device was rejected\n")
    );
    assert!(said.contains("SSB=") && said.contains("Refer to the command log("), "{said}");
    sim.array("edition refusal_is_io_error true");
    sim.fails("paircreate -g VG01 -vl -IM0", 237);
}

#[test]
fn a_pair_that_was_taken_over_shows_only_with_fc_and_is_only_swapped() {
    let sim = Sim::new("true-copy");
    sim.done("paircreate -g VG01 -vl -f never -IH0");
    sim.array("status VG01 vol01 SSWS");
    assert!(!sim.done("pairdisplay -g VG01 -IH0").contains("SSWS"));
    assert!(sim.done("pairdisplay -g VG01 -IH0 -fc").contains("SSWS"));
    sim.fails("pairresync -g VG01 -IH0", 221);
    sim.done("pairresync -g VG01 -IH0 -swaps");
    assert_eq!(sim.code("pairvolchk -g VG01 -IH0"), 3, "the roles are exchanged");
}

#[test]
fn a_quick_split_is_psus_before_its_secondary_is() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.array("speed by-hand");
    sim.array("advance VG01 vol01 90");
    sim.done("pairsplit -g VG01 -fq quick -IM0");
    assert_eq!(sim.statuses(), ["PSUS", "COPY"]);
    sim.done("pairevtwait -g VG01 -s psus -t 0 -IM0");
    sim.fails("pairevtwait -g VG01 -ss ssus -t 0 -IM0", 233);
    sim.fails("pairresync -g VG01 -restore -IM0", 221);
    sim.array("advance VG01 vol01");
    sim.done("pairevtwait -g VG01 -s psus -ss ssus -t 0 -IM0");
    sim.done("pairresync -g VG01 -restore -IM0");
}

#[test]
fn all_copied_is_not_paired_and_0_per_cent_of_a_journal_is_good() {
    let sim = Sim::new("shadow-image");
    sim.array("speed by-hand");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.array("advance VG01 vol01 100");
    assert!(words(&sim.done("pairdisplay -g VG01 -fcx -CLI -IM0"), 1).contains(&"100".to_owned()));
    sim.fails("pairevtwait -g VG01 -s pair -t 0 -IM0", 233);
    sim.array("advance VG01 vol01");
    sim.done("pairevtwait -g VG01 -s pair -ss pair -t 0 -IM0");
    let remote = Sim::new("universal-replicator");
    remote.done("paircreate -g VG01 -vl -f async -IH0");
    let row = words(&remote.done("pairdisplay -g VG01 -fcx -CLI -IH0"), 1);
    assert_eq!(row[8..12], ["P-VOL", "PAIR", "ASYNC", "0"]);
}

#[test]
fn asked_for_the_other_kind_of_copies_a_pair_is_a_simplex_volume() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    assert!(sim.done("pairdisplay -g VG01 -I0").contains("SMPL"));
    assert_eq!(sim.code("pairvolchk -g VG01 -I0 -s"), 11);
    assert!(!sim.done("pairdisplay -g VG01 -I0 -FMRCF").contains("SMPL"));
    sim.fails("pairsplit -g VG01 -I0", 228);
}

#[test]
fn the_header_of_local_copies_has_fewer_words_than_its_rows_and_comes_again() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.array("edition header_every 1");
    let out = sim.done("pairdisplay -g VG01 -fcx -CLI -IM0");
    assert_eq!(out.matches("LU-M").count(), 2, "{out}");
    assert_eq!((words(&out, 0).len(), words(&out, 1).len()), (13, 14));
    assert_eq!(words(&out, 1)[9..11], ["P-VOL", "PAIR"]);
    assert!(!out.contains("Fence"));
    sim.array("edition without_hyphen true");
    assert!(sim.done("pairdisplay -g VG01 -IM0").contains(".PVOL PAIR,"));
}

#[test]
fn half_a_group_that_is_split_is_paired_to_ss() {
    let sim = Sim::new("shadow-image");
    sim.add("VG01", "vol02", "shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.done("pairsplit -g VG01 -d vol01 -IM0");
    assert_eq!(sim.code("pairvolchk -g VG01 -ss -IM0"), 23);
    assert_eq!(sim.code("pairvolchk -g VG01 -s -IM0"), 24);
    sim.array("edition old_volchk true");
    assert_eq!(sim.code("pairvolchk -g VG01 -ss -IM0"), 24);
    sim.fails("pairevtwait -g VG01 -nowait -IM0", 236);
    // Half of a group may refuse: the other half is done.
    sim.array("status VG01 vol02 SMPL");
    sim.fails("pairresync -g VG01 -IM0", 236);
    assert_eq!(sim.code("pairvolchk -g VG01 -d vol01 -s -IM0"), 23);
}

#[test]
fn waiting_is_counted_in_seconds_and_ends_at_a_suspension() {
    let sim = Sim::new("shadow-image");
    sim.array("speed by-hand");
    sim.done("paircreate -g VG01 -vl -IM0");
    let began = std::time::Instant::now();
    sim.fails("pairevtwait -g VG01 -s pair -t 1 1 -IM0", 233);
    assert!(began.elapsed().as_millis() >= 1000);
    sim.array("break VG01 vol01");
    sim.array("advance VG01 vol01");
    sim.fails("pairevtwait -g VG01 -s pair -t 9999 -IM0", 234);
}

#[test]
fn of_several_kinds_of_split_the_last_counts() {
    let sim = Sim::new("true-copy");
    sim.done("paircreate -g VG01 -vl -f never -IH0");
    sim.done("pairsplit -g VG01 -S -rw -IH0");
    assert!(sim.done("pairdisplay -g VG01 -fc -IH0").lines().nth(1).unwrap().ends_with('W'));
    sim.done("pairsplit -g VG01 -rw -S -IH0");
    assert_eq!(sim.code("pairvolchk -g VG01 -s -IH0"), 11);
}

#[test]
fn a_device_without_a_group_is_of_the_first_group_that_has_it() {
    let sim = Sim::new("shadow-image");
    sim.add_of("VG02", "vol01", "shadow-image", &sim.path("VG01-vol01.p"));
    let device = sim.path("VG01-vol01.p").display().to_string();
    sim.done(&format!("paircreate -d {device} -vl -IM0"));
    assert_eq!(sim.code("pairvolchk -g VG01 -s -IM0"), 23);
    assert_eq!(sim.code("pairvolchk -g VG02 -s -IM0"), 11);
    assert_eq!(sim.code("pairvolchk -d 64568 0x400 -s -IM0"), 23);
}

#[test]
fn a_remote_side_that_is_down_is_not_waited_for_with_l() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.done("horcmshutdown.sh 1");
    sim.fails("pairdisplay -g VG01 -IM0", 242);
    sim.array("edition remote_hangs true");
    assert_eq!(sim.done("pairdisplay -g VG01 -l -IM0").lines().count(), 2);
    let mut hangs = sim.command("pairdisplay -g VG01 -IM0").spawn().unwrap();
    assert_eq!(sim.code("pairvolchk -g VG01 -s -IM0"), 23, "others are not held up by it");
    assert!(hangs.try_wait().unwrap().is_none());
    hangs.kill().unwrap();
    let _ = hangs.wait().unwrap();
}

#[test]
fn a_start_of_what_runs_ends_with_1_and_starts_nothing_after_it() {
    let sim = Sim::new("shadow-image");
    sim.done("horcmshutdown.sh 0 1");
    sim.fails("pairdisplay -g VG01 -IM0", 251);
    sim.done("horcmstart.sh 0");
    assert_eq!(sim.code("horcmstart.sh 0 1"), 1);
    assert!(sim.fails("raidqry -l -I1", 251).contains("Can't be attached to HORC manager"));
    sim.done("horcmstart.sh 1");
    assert!(sim.done("raidqry -l -I1").contains("64568"));
    assert_eq!(sim.code("horcmstart.sh 7"), 3);
}

#[test]
fn a_snapshot_group_may_not_split_and_a_dissolved_snapshot_is_gone() {
    let sim = Sim::new("thin-image");
    sim.write(b"kept");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.array("inject pairsplit EX_EWSTOT");
    sim.fails("pairsplit -g VG01 -IM0", 233);
    sim.done("pairsplit -g VG01 -IM0");
    assert!(sim.secondary().starts_with(b"kept"));
    sim.fails("pairsplit -g VG01 -E -IM0", 221);
    sim.done("pairsplit -g VG01 -S -IM0");
    assert!(sim.secondary().iter().all(|byte| *byte == 0));
}
