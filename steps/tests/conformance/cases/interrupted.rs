//! Verbs that are cancelled, met by another, or run out of room.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use resplit_operations::pair::PairStatus;
use resplit_steps::{
    context::{Progress, Work},
    failure::FailureClass,
};

use crate::bed::{Bed, Maker, Mounts, asked, assert_same, refused, settle};

/// Work that is cancelled from within, at its first report after the verb began.
fn cancelling(bed: &dyn Bed, begun: PairStatus) -> Work {
    let own: Arc<OnceLock<Work>> = Arc::default();
    let (seen, driver, pair) = (own.clone(), bed.driver(), bed.pair().clone());
    let work = Work::new(move |_: Progress| {
        if driver.status(&pair).unwrap().status == begun {
            seen.get().unwrap().cancel();
        }
    });
    let _ = own.set(work.clone());
    work
}

pub(crate) fn cancelled(maker: &dyn Maker) {
    let bed = maker.make("cancelled");
    bed.fill(b'a');
    settle(&bed.tree());
    let pair = bed.pair();
    let before = Work::silent();
    before.cancel();
    let failure = bed.driver().resync(pair, &asked("1/resync", &before)).unwrap_err();
    assert_eq!(failure.class, FailureClass::Cancelled);
    bed.is(PairStatus::Smpl);
    let stopped = |result: Result<_, resplit_steps::failure::Failure>, status| {
        let failure = result.map(drop).unwrap_err();
        assert_eq!(failure.class, FailureClass::Cancelled, "{failure}");
        let state = bed.status();
        assert_eq!(state.status, status);
        assert_eq!(state.last.unwrap().ended, None);
    };
    stopped(bed.resync_at("1/resync", &cancelling(&*bed, PairStatus::Copy)), PairStatus::Copy);
    let _ = bed.resync("1/resync").unwrap();
    bed.fill(b'b');
    settle(&bed.tree());
    let split = |work: &Work| bed.held(|| bed.driver().split(pair, 1, &asked("1/split", work)));
    stopped(split(&cancelling(&*bed, PairStatus::Copy)), PairStatus::Copy);
    let _ = refused(bed.driver().open_image(pair, &Mounts::new().volume()));
    let _ = split(&Work::silent()).unwrap();
    let image = bed.image();
    assert_same(&image, &bed.primary());
    bed.fill(b'c');
    settle(&bed.tree());
    bed.unused(|| {
        stopped(
            bed.driver().restore(pair, &asked("1/restore", &cancelling(&*bed, PairStatus::Rcpy))),
            PairStatus::Rcpy,
        );
        let _ = refused(bed.driver().resync(pair, &asked("2/resync", &Work::silent())));
        let _ = bed.driver().restore(pair, &asked("1/restore", &Work::silent())).unwrap();
    });
    assert_same(&image, &bed.primary());
    assert_same(&image, &bed.image());
}

pub(crate) fn two_at_once(maker: &dyn Maker) {
    let bed = maker.make("two");
    bed.fill(b'a');
    settle(&bed.tree());
    // The first verb waits within its first report until the second has been refused.
    let (reported, wait) = mpsc::channel();
    let (go_on, waits) = mpsc::sync_channel::<()>(0);
    let (waits, once) = (Mutex::new(waits), AtomicBool::new(false));
    let work = Work::new(move |_| {
        if !once.swap(true, Ordering::Relaxed) {
            reported.send(()).unwrap();
            let _ = waits.lock().unwrap().recv_timeout(Duration::from_secs(60));
        }
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| bed.driver().resync(bed.pair(), &asked("first/resync", &work)));
        wait.recv_timeout(Duration::from_secs(60)).unwrap();
        let failure = bed.driver().resync(bed.pair(), &asked("second/resync", &Work::silent())).unwrap_err();
        assert_eq!(failure.class, FailureClass::Temporary);
        assert!(failure.message.contains("first/resync"), "{failure}");
        go_on.send(()).unwrap();
        let _ = first.join().unwrap().unwrap();
    });
    let _ = bed.resync("second/resync").unwrap();
    let _ = bed.split(1, "second/split").unwrap();
    assert_same(&bed.primary(), &bed.image());
}

pub(crate) fn full(maker: &dyn Maker) {
    let bed = maker.full("full");
    for file in 0..24 {
        let noise: Vec<u8> =
            (0..1 << 15_u32).flat_map(|n: u32| (n.wrapping_mul(0x9E37_79B9) ^ file).to_le_bytes()).collect();
        (0..8).for_each(|part| bed.write(&format!("{file}/{part}"), &noise));
    }
    let failure = bed.resync("1/resync").unwrap_err();
    assert!(failure.help.is_some() || failure.class == FailureClass::Temporary, "{failure}");
    let status = bed.status();
    match failure.class {
        FailureClass::Refused => assert_eq!(status.status, PairStatus::Smpl, "{failure}"),
        FailureClass::Temporary => assert_eq!(status.status, PairStatus::Psue, "{failure}"),
        other => panic!("{other:?}: {failure}"),
    }
    let _ = refused(bed.driver().split(bed.pair(), 1, &asked("1/split", &Work::silent())));
}
