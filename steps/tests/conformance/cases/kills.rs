//! Verbs whose process is killed: at moments that are chosen, and at such that are not.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use resplit_operations::pair::{CopyReport, PairStatus, PairVerb};
use resplit_steps::{context::Work, failure::FailureClass};

use crate::bed::{Bed, Maker, Mounts, asked, assert_same, refused, settle};

/// When a verb is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// By itself, at its first or a later report.
    Report(u32),
    /// From outside, as soon as the book says that it began.
    Begun,
    /// After a part of the time that it takes, in twelfths.
    After(u32),
}

const MOMENTS: [Moment; 9] = [
    Moment::Report(1),
    Moment::Begun,
    Moment::Report(2),
    Moment::After(2),
    Moment::After(5),
    Moment::Begun,
    Moment::After(8),
    Moment::After(10),
    Moment::After(12),
];

/// Starts a verb in a process of its own.
fn start(bed: &dyn Bed, verb: &str, tag: &str, kill_at: u32, at: &Mounts) -> Child {
    Command::new(env!("CARGO_BIN_EXE_steps-test-helper"))
        .args(["pair", bed.kind(), &serde_json::to_string(bed.pair()).unwrap(), verb, tag])
        .arg(kill_at.to_string())
        .arg(at.volume())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a verb be killed, and says whether it had not ended.
fn kill(bed: &dyn Bed, verb: &str, tag: &str, moment: Moment, took: Duration, at: &Mounts) -> bool {
    let before = bed.status().last;
    let report = if let Moment::Report(number) = moment { number } else { 0 };
    let mut child = start(bed, verb, tag, report, at);
    match moment {
        Moment::Report(_) => {}
        Moment::Begun => {
            let began = Instant::now();
            while bed.status().last == before && child.try_wait().unwrap().is_none() {
                assert!(began.elapsed() < Duration::from_secs(120), "{verb} does not begin");
                thread::yield_now();
            }
            let _ = child.kill();
        }
        Moment::After(twelfths) => {
            thread::sleep(took.mul_f64(f64::from(twelfths) / 12.0));
            let _ = child.kill();
        }
    }
    let _ = child.wait().unwrap();
    let last = bed.status().last;
    last.as_ref().is_some_and(|last| last.tag.0 == tag && last.ended.is_none())
}

/// The letter that the primary is of in a round.
fn letter(round: usize) -> u8 {
    b'b' + u8::try_from(round % 24).unwrap()
}

/// Counts what was hit: a case in which no verb was says nothing.
fn hit(bed: &dyn Bed, interrupted: usize) {
    let kills = MOMENTS.len().min(bed.kills());
    assert!(interrupted >= 2, "only {interrupted} of {kills} kills hit the verb");
}

pub(crate) fn resync(maker: &dyn Maker) {
    let bed = maker.make("killed");
    let (mut interrupted, mut took, at) = (0, Duration::from_millis(100), Mounts::new());
    for (round, moment) in MOMENTS.into_iter().take(bed.kills()).enumerate() {
        bed.fill(letter(round));
        settle(&bed.tree());
        let (tag, before) = (format!("{round}/resync"), bed.status());
        let was_hit = kill(&*bed, "resync", &tag, moment, took, &at);
        interrupted += usize::from(was_hit);
        let state = bed.status();
        if was_hit {
            assert_eq!((state.status, state.epoch), (PairStatus::Copy, before.epoch + 1), "{moment:?}");
            let _ = refused(bed.driver().open_image(bed.pair(), &at.volume()));
            let _ = refused(bed.driver().split(bed.pair(), 1, &asked("another/split", &Work::silent())));
        }
        let began = Instant::now();
        let _ = bed.resync(&tag).unwrap();
        took = began.elapsed();
        bed.is(PairStatus::Pair);
        assert!(bed.driver().remnants(bed.pair()).unwrap().is_empty());
        if round % 3 == 0 {
            let _ = bed.split(1, &format!("{round}/split")).unwrap();
            assert_same(&bed.primary(), &bed.image());
        }
    }
    hit(&*bed, interrupted);
}

pub(crate) fn split(maker: &dyn Maker) {
    let bed = maker.make("killed");
    let (mut interrupted, mut took, at) = (0, Duration::from_millis(60), Mounts::new());
    for (round, moment) in MOMENTS.into_iter().take(bed.kills()).enumerate() {
        bed.fill(b'a');
        let _ = bed.resync(&format!("{round}/resync")).unwrap();
        bed.fill(letter(round));
        settle(&bed.tree());
        let (tag, before) = (format!("{round}/split"), bed.status());
        let was_hit = bed.held(|| kill(&*bed, "split", &tag, moment, took, &at));
        interrupted += usize::from(was_hit);
        let state = bed.status();
        assert_eq!((state.epoch, state.token), (before.epoch, 1));
        match state.status {
            PairStatus::Copy => assert!(was_hit),
            PairStatus::Pair => assert_eq!(state, before, "the split had not begun"),
            PairStatus::Psus => assert!(state.last.is_some_and(|last| last.report.is_some())),
            other => panic!("{other} after a killed split"),
        }
        let began = Instant::now();
        let _ = bed.split(1, &tag).unwrap();
        took = began.elapsed();
        bed.is(PairStatus::Psus);
        assert_same(&bed.primary(), &bed.image());
    }
    hit(&*bed, interrupted);
}

pub(crate) fn restore(maker: &dyn Maker) {
    let bed = maker.make("killed");
    bed.fill(b'a');
    let _ = bed.resync("resync").unwrap();
    let _ = bed.split(1, "split").unwrap();
    let image = bed.image();
    let (mut interrupted, mut took, at) = (0, Duration::from_millis(60), Mounts::new());
    for (round, moment) in MOMENTS.into_iter().take(bed.kills()).enumerate() {
        bed.fill(letter(round));
        settle(&bed.tree());
        let tag = format!("{round}/restore");
        bed.unused(|| {
            let was_hit = kill(&*bed, "restore", &tag, moment, took, &at);
            interrupted += usize::from(was_hit);
            if was_hit {
                bed.is(PairStatus::Rcpy);
                let _ = refused(bed.driver().resync(bed.pair(), &asked("x/resync", &Work::silent())));
            } else {
                bed.is(PairStatus::Psus);
            }
            let began = Instant::now();
            let _ = bed.driver().restore(bed.pair(), &asked(&tag, &Work::silent())).unwrap();
            took = began.elapsed();
        });
        bed.is(PairStatus::Psus);
        assert_same(&image, &bed.primary());
    }
    assert_same(&image, &bed.image());
    hit(&*bed, interrupted);
}

/// Begins once more. A process that was just being started may hold the pair for a moment longer than who was killed.
fn begin_again(bed: &dyn Bed, tag: &str, at: &Mounts) -> PathBuf {
    let (began, work) = (Instant::now(), Work::silent());
    loop {
        match bed.driver().begin_overwrite(bed.pair(), &at.volume(), &asked(tag, &work)) {
            Ok(place) => return place,
            Err(failure) if failure.class == FailureClass::Temporary => {
                assert!(began.elapsed() < Duration::from_secs(60), "{failure}");
                thread::sleep(Duration::from_millis(5));
            }
            Err(failure) => panic!("{failure}"),
        }
    }
}

pub(crate) fn overwrite(maker: &dyn Maker) {
    let bed = maker.make("killed");
    bed.fill(b'a');
    let _ = bed.resync("resync").unwrap();
    let mut began = 0;
    for (round, moment) in
        [Moment::Begun, Moment::After(3), Moment::After(12), Moment::Begun].into_iter().enumerate()
    {
        let (tag, at, work) = (format!("{round}/overwrite"), Mounts::new(), Work::silent());
        began += usize::from(kill(&*bed, "overwrite", &tag, moment, Duration::from_millis(60), &at));
        let status = bed.status();
        if status.last.as_ref().is_some_and(|last| last.verb == PairVerb::Overwrite && last.ended.is_none()) {
            assert_eq!(status.status, PairStatus::Copy);
            let _ = refused(bed.driver().open_image(bed.pair(), &at.volume()));
        }
        // Whoever finds the engine dead closes what it had mounted.
        if round % 2 == 1 && at.volume().exists() {
            at.close();
        }
        let place = begin_again(&*bed, &tag, &at);
        std::fs::write(place.join("whole"), tag.as_bytes()).unwrap();
        let report = CopyReport { entries: 1, ..CopyReport::default() };
        bed.driver().end_overwrite(bed.pair(), &report, &asked(&tag, &work)).unwrap();
        at.close();
        bed.is(PairStatus::Psus);
        let image = bed.image();
        assert_eq!(image.into_values().collect::<Vec<_>>(), [tag.into_bytes()]);
    }
    assert!(began >= 1, "no kill hit the overwriting");
}
