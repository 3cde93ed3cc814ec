//! What goes wrong: refusals, timeouts, broken copies, interruptions. Each leaves the truth, and asked again it goes on.

use std::{thread, time::Duration};

use resplit_operations::pair::PairStatus;
use resplit_steps::{
    context::Work,
    drivers::pairs::{Asked, PairDriver},
    failure::{Failure, FailureClass},
};

use crate::support::{Bed, shipped};

fn resync(bed: &Bed, tag: &str) -> Result<(), Failure> {
    bed.driver.resync(&bed.pair, &bed.asked(tag)).map(drop)
}

fn split(bed: &Bed, tag: &str) -> Result<(), Failure> {
    bed.driver.split(&bed.pair, 1, &bed.asked(tag)).map(drop)
}

/// A pair that is split.
fn split_bed(copy_type: &str, file: &str) -> Bed {
    let bed = Bed::with(copy_type, "", file);
    resync(&bed, "run/resync/1").unwrap();
    split(&bed, "run/split/1").unwrap();
    bed
}

#[test]
fn a_refusal_shows_what_the_array_said_and_leaves_what_is_true() {
    let bed = split_bed("shadow-image", &shipped());
    for (refusal, code) in [("EX_CMDRJE", "221"), ("EX_CMDIOE", "237")] {
        bed.array(&["inject", "pairresync", refusal]);
        let failure = resync(&bed, "later/resync/1").unwrap_err();
        assert_eq!(failure.class, FailureClass::Permanent);
        assert!(failure.message.contains(refusal) && failure.message.contains(code), "{failure}");
        assert_eq!(bed.status().status, PairStatus::Psus);
    }
    resync(&bed, "later/resync/2").unwrap();
    bed.array(&["inject", "pairsplit", "EX_CMDRJE"]);
    split(&bed, "later/split/1").unwrap_err();
    assert_eq!(bed.status().status, PairStatus::Pair);
    split(&bed, "later/split/2").unwrap();
}

#[test]
fn what_is_done_although_its_command_failed_is_done() {
    let bed = split_bed("shadow-image", &shipped());
    bed.array(&["inject", "pairresync", "EX_COMERR", "done"]);
    resync(&bed, "later/resync/1").unwrap();
    bed.array(&["inject", "pairsplit", "EX_COMERR", "done"]);
    split(&bed, "later/split/1").unwrap();
    assert_eq!(bed.status().status, PairStatus::Psus);
}

#[test]
fn a_copy_that_breaks_is_not_waited_for() {
    let bed = split_bed("shadow-image", &shipped());
    bed.array(&["break", "VG01", "vol01"]);
    let failure = resync(&bed, "later/resync/1").unwrap_err();
    assert!(failure.message.contains("PSUE"), "{failure}");
    assert_eq!(bed.status().status, PairStatus::Psue);
    split(&bed, "later/split/1").unwrap_err();
    resync(&bed, "later/resync/2").unwrap();
    assert_eq!(bed.status().status, PairStatus::Pair);
}

#[test]
fn a_copy_that_takes_too_long_goes_on_in_the_array() {
    let bed = split_bed("shadow-image", &shipped().replace("limit: 60s", "limit: 300ms"));
    bed.array(&["speed", "by-hand"]);
    let failure = resync(&bed, "later/resync/1").unwrap_err();
    assert_eq!(failure.class, FailureClass::Temporary);
    assert!(failure.message.contains("still COPY after 300ms"), "{failure}");
    assert_eq!(bed.status().status, PairStatus::Copy);
    bed.array(&["advance", "VG01", "vol01"]);
    let given = bed.given("pairresync");
    resync(&bed, "later/resync/2").unwrap();
    assert_eq!(bed.given("pairresync"), given, "the array was not asked again");
}

#[test]
fn a_verb_without_effect_is_found_out() {
    let file = shipped().replace("effect: 30s", "effect: 200ms");
    let nothing = "run: [[\"true\"]]\n    # Copies";
    let verb = "run: [[\"{{programs}}/pairresync\", \"{{ask}}\", -g, \"{{group}}\", -d, \"{{device}}\", -c, \"{{pace}}\"]]\n    # Copies";
    assert!(file.contains(verb));
    let bed = split_bed("shadow-image", &file);
    let idle = Bed::with("shadow-image", "", &file.replace(verb, nothing));
    resync(&idle, "run/resync/1").unwrap();
    split(&idle, "run/split/1").unwrap();
    let failure = resync(&idle, "later/resync/1").unwrap_err();
    assert!(failure.message.contains("had no effect"), "{failure}");
    resync(&bed, "later/resync/1").unwrap();
}

#[test]
fn output_that_nobody_knows_is_shown_and_not_guessed() {
    let file = shipped().replace("    PSUS/SSUS/-: PSUS\n", "    PSUS/PSUS/-: PSUS\n");
    let bed = Bed::with("shadow-image", "", &file);
    resync(&bed, "run/resync/1").unwrap();
    let failure = split(&bed, "run/split/1").unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains("'PSUS/SSUS/-'") && failure.message.contains("S-VOL SSUS"), "{failure}");
}

#[test]
fn what_was_interrupted_is_gone_on_with() {
    let mut bed = split_bed("shadow-image", &shipped());
    bed.array(&["speed", "by-hand"]);
    let interrupt = |bed: &Bed, verb: &(dyn Fn(&Asked<'_>) -> Result<(), Failure> + Sync), command: &str| {
        let work = Work::silent();
        let asked = Asked { tag: bed.asked("later/verb/1").tag, token: 0, work: &work };
        let given = bed.given(command);
        thread::scope(|scope| {
            let verb = scope.spawn(|| verb(&asked));
            while bed.given(command) == given {
                thread::sleep(Duration::from_millis(5));
            }
            work.cancel();
            assert_eq!(verb.join().unwrap().unwrap_err().class, FailureClass::Cancelled);
        });
    };
    interrupt(&bed, &|asked| bed.driver.resync(&bed.pair, asked).map(drop), "pairresync");
    assert_eq!((bed.status().status, bed.status().epoch), (PairStatus::Copy, 2));
    bed.array(&["advance", "VG01", "vol01"]);
    assert_eq!(bed.status().status, PairStatus::Copy, "its verb has not ended");
    bed.restarted();
    resync(&bed, "later/verb/1").unwrap();
    split(&bed, "later/split/1").unwrap();

    let restore = |asked: &Asked<'_>| bed.driver.restore(&bed.pair, asked).map(drop);
    interrupt(&bed, &restore, "pairresync");
    assert_eq!(bed.status().status, PairStatus::Rcpy);
    bed.array(&["advance", "VG01", "vol01"]);
    assert_eq!(bed.status().status, PairStatus::Rcpy, "the pair is not split again yet");
    assert!(resync(&bed, "other/resync/1").unwrap_err().message.contains("only whole copy"));
    let given = bed.given("pairresync");
    bed.restarted();
    bed.driver.restore(&bed.pair, &bed.asked("later/verb/2")).unwrap();
    assert_eq!((bed.status().status, bed.given("pairresync")), (PairStatus::Psus, given));
}
