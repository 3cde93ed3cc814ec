//! The commands as a whole: their life, their errors, callers at once, letters as in field logs.

mod common;

use std::{thread, time::Duration};

use common::Sim;

#[test]
fn rows_are_laid_out_as_in_field_logs() {
    let sim = Sim::new("shadow-image");
    sim.done("paircreate -g VG01 -vl -IM0");
    sim.done("pairsplit -g VG01 -IM0");
    let out = sim.done("pairdisplay -g VG01 -fcx -IM0");
    assert_eq!(
        out,
        "Group   PairVol(L/R) (Port#,TID, LU-M) ,Seq#,LDEV#.P/S,Status,   % ,P-LDEV# M\n\
         VG01    vol01(L) (CL1-A-1, 0,   0-0 )64568   400.P-VOL PSUS,  100     401 W\n\
         VG01    vol01(R) (CL1-A-1, 0,   0-0 )64568   401.S-VOL SSUS,  100     400 -\n"
    );
}

#[test]
fn what_is_not_understood_has_a_code_of_its_own() {
    let sim = Sim::new("shadow-image");
    for (line, code) in [
        ("pairdisplay -g VG01 -bogus -IM0", 252),
        ("pairdisplay -IM0", 254),
        ("pairdisplay -g", 254),
        ("pairdisplay -g VG09 -IM0", 239),
        ("pairdisplay -g VG01 -d vol09 -IM0", 246),
        ("pairdisplay -g VG01 -IM5", 251),
        ("paircreate -g VG01 -IM0", 254),
        ("paircreate -g VG01 -vl -IH0", 254),
        ("paircreate -g VG01 -vl -c 16 -IM0", 253),
        ("pairresync -g VG01 -restore -swaps -IM0", 253),
        ("pairresync -g VG01 -swaps -IM0", 253),
        ("pairevtwait -g VG01 -s pair -IM0", 254),
        ("pairevtwait -g VG01 -s paired -t 1 -IM0", 253),
        ("raidscan -IM0", 254),
    ] {
        sim.fails(line, code);
    }
    assert!(sim.done("raidscan -p CL1-A -IM0").contains("SMPL"));
    assert!(sim.done("raidqry -h").contains("Ver&Rev"));
    assert!(sim.array("codes").contains("EX_EWSTOT"));
}

#[test]
fn copies_go_by_time_and_pace() {
    let sim = Sim::new("shadow-image");
    sim.array("speed 1");
    sim.done("paircreate -g VG01 -vl -c 1 -IM0");
    assert_eq!(sim.statuses(), ["COPY", "COPY"]);
    sim.array("speed 1000000");
    thread::sleep(Duration::from_millis(5));
    sim.done("pairevtwait -g VG01 -s pair -t 60 -IM0");
}

#[test]
fn callers_at_once_lose_nothing() {
    let sim = Sim::new("shadow-image");
    for number in 2..10 {
        sim.add("VG01", &format!("vol{number:02}"), "shadow-image");
    }
    let line = |number: usize| format!("paircreate -g VG01 -d vol{number:02} -vl -IM0");
    let all: Vec<_> = (1..10).map(|number| sim.command(&line(number)).spawn().unwrap()).collect();
    for child in all {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    sim.done("pairevtwait -g VG01 -s pair -ss pair -t 0 -IM0");
}

#[test]
fn older_editions_refuse_what_newer_ones_let_pass() {
    let sim = Sim::new("true-copy");
    sim.done("paircreate -g VG01 -vl -f never -IH0");
    sim.array("status VG01 vol01 PSUE");
    sim.done("pairsplit -g VG01 -IH0");
    sim.array("edition older true");
    sim.fails("pairsplit -g VG01 -IH0", 221);
}

#[test]
fn an_injected_error_comes_with_or_without_its_effect() {
    let sim = Sim::new("shadow-image");
    sim.array("inject paircreate EX_COMERR");
    sim.fails("paircreate -g VG01 -vl -IM0", 255);
    assert_eq!(sim.code("pairvolchk -g VG01 -s -IM0"), 11);
    sim.array("inject paircreate EX_COMERR done");
    sim.fails("paircreate -g VG01 -vl -IM0", 255);
    assert_eq!(sim.code("pairvolchk -g VG01 -s -IM0"), 23);
}
