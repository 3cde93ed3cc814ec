//! Windows on real file systems: whatever is killed, nothing stays frozen.
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is test code")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use common::{Disk, helper, kill, processes, until};
use resplit_operations::{action::Quiesce, ids::RunId, operation::QuiesceMode, units::Period};
use resplit_steps::{
    drivers::{quiesce::WindowKeeper, window::Windows},
    failure::FailureClass,
};

mod common;

fn quiesce(filesystem: &Path, mode: QuiesceMode, window: u64) -> Quiesce {
    Quiesce { filesystem: filesystem.to_owned(), mode, window: Period(window) }
}

fn freeze(disk: &Disk, window: u64) -> Quiesce {
    quiesce(&disk.root(), QuiesceMode::Freeze, window)
}

fn windows() -> Windows {
    Windows::new(helper(), Vec::new())
}

fn run() -> RunId {
    "documents@1".into()
}

fn watchdogs(disk: &Disk) -> Vec<u32> {
    processes(&["watchdog", disk.root().to_str().unwrap()])
}

#[test]
fn a_writer_waits_inside_the_window_and_goes_on_after_it() {
    for (kind, size) in [("ext4", 32), ("xfs", 320), ("btrfs", 128)] {
        let Some(disk) = Disk::new(kind, size) else { continue };
        let file = disk.root().join("written");
        let mut writer = Command::new("sh")
            .args(["-c", "while :; do echo x >> \"$0\"; sleep 0.002; done"])
            .arg(&file)
            .spawn()
            .unwrap();
        let length = || fs::metadata(&file).map_or(0, |status| status.len());
        assert!(until(Duration::from_secs(5), || length() > 0));

        let windows = windows();
        windows.check(&freeze(&disk, 10_000), &[]).unwrap();
        windows.open(&run(), &freeze(&disk, 10_000)).unwrap();
        assert!(windows.is_open(&run()));
        let held = length();
        sleep(Duration::from_millis(300));
        assert_eq!(length(), held, "{kind}: written to while frozen");
        let again = windows.open(&run(), &freeze(&disk, 10_000)).unwrap_err();
        assert!(again.message.contains("open already"), "{again}");
        let window = windows.close(&run()).unwrap();
        assert!((300..5_000).contains(&window.length_ms), "{window:?}");
        assert_eq!(window.budget_ms, 10_000);
        assert!(!windows.is_open(&run()));
        assert!(until(Duration::from_secs(1), || length() > held), "{kind}: not thawed");
        assert!(until(Duration::from_secs(2), || watchdogs(&disk).is_empty()), "{kind}: a watchdog stays");
        writer.kill().unwrap();
        let _ = writer.wait().unwrap();
    }
}

#[test]
fn an_engine_killed_inside_the_window_leaves_nothing_frozen() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let mut engine = Command::new(helper())
        .args(["hold-window", disk.root().to_str().unwrap(), "60000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let _ = BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    assert_eq!(watchdogs(&disk).len(), 1);
    kill(engine.id());
    let took = disk.write();
    assert!(took < Duration::from_secs(1), "writable again only after {took:?}");
    println!("writable {} ms after the engine was killed", took.as_millis());
    let _ = engine.wait().unwrap();
    assert!(until(Duration::from_secs(2), || watchdogs(&disk).is_empty()));
    assert!(!windows().thaw(&disk.root()).unwrap(), "nothing left to thaw");
}

#[test]
fn a_watchdog_killed_inside_the_window_leaves_nothing_frozen() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    windows.open(&run(), &freeze(&disk, 60_000)).unwrap();
    let [watchdog] = watchdogs(&disk)[..] else { panic!("one watchdog") };
    kill(watchdog);
    assert!(disk.write() < Duration::from_secs(1));
    assert!(!windows.is_open(&run()));
    let failure = windows.close(&run()).unwrap_err();
    assert!(failure.message.contains("died in the window"), "{failure}");
    assert!(!windows.is_open(&run()));
}

#[test]
fn a_watchdog_that_is_asked_to_end_thaws_first() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    windows.open(&run(), &freeze(&disk, 60_000)).unwrap();
    let [watchdog] = watchdogs(&disk)[..] else { panic!("one watchdog") };
    assert!(Command::new("kill").arg(watchdog.to_string()).status().unwrap().success());
    assert!(disk.write() < Duration::from_secs(1));
    let failure = windows.close(&run()).unwrap_err();
    assert!(failure.message.contains("asked to end"), "{failure}");
}

#[test]
fn when_the_budget_ends_the_window_ends() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    let began = Instant::now();
    windows.open(&run(), &freeze(&disk, 400)).unwrap();
    let _ = disk.write();
    let writable = began.elapsed();
    assert!((350..3_000).contains(&writable.as_millis()), "writable after {writable:?}");
    assert!(until(Duration::from_secs(1), || !windows.is_open(&run())));
    let failure = windows.close(&run()).unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("over its budget of 400 ms"), "{failure}");
    assert!(windows.close(&run()).unwrap_err().message.contains("no window open"));
}

#[test]
fn what_somebody_else_froze_stays_frozen() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    assert!(disk.fsfreeze("-f").status.success());
    let windows = windows();
    let failure = windows.open(&run(), &freeze(&disk, 5_000)).unwrap_err();
    assert_eq!(failure.class, FailureClass::Temporary);
    assert!(failure.message.contains("frozen already"), "{failure}");
    assert!(!windows.is_open(&run()));
    sleep(Duration::from_millis(200));
    assert!(windows.is_frozen(&disk.root()).unwrap() && windows.is_frozen(&disk.root()).unwrap());
    assert!(windows.thaw(&disk.root()).unwrap(), "it was still frozen");
    assert!(!windows.is_frozen(&disk.root()).unwrap() && !windows.is_frozen(Path::new("/nowhere")).unwrap());
    assert!(!windows.thaw(&disk.root()).unwrap());
}

#[test]
fn a_window_that_somebody_else_ended_is_no_window() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    windows.open(&run(), &freeze(&disk, 5_000)).unwrap();
    assert!(disk.fsfreeze("-u").status.success());
    let failure = windows.close(&run()).unwrap_err();
    assert!(failure.message.contains("thawed by somebody else"), "{failure}");
}

#[test]
fn what_a_dead_engine_and_a_dead_watchdog_left_frozen_is_thawed_by_its_obligation() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let mut engine = Command::new(helper())
        .args(["hold-window", disk.root().to_str().unwrap(), "60000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let _ = BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ours: Vec<_> =
        windows().watchdogs().unwrap().into_iter().filter(|found| found.filesystem == disk.root()).collect();
    assert!(ours.len() == 1 && !ours[0].is_orphan, "{ours:?}");
    let [watchdog] = watchdogs(&disk)[..] else { panic!("one watchdog: {line}") };
    // Both at once, as a control group is killed: neither can notice the other's end.
    let stopped = Command::new("kill").args(["-STOP", &watchdog.to_string()]).status().unwrap();
    assert!(stopped.success());
    kill(engine.id());
    let _ = engine.wait().unwrap();
    kill(watchdog);
    assert!(until(Duration::from_secs(2), || watchdogs(&disk).is_empty()));
    assert!(windows().thaw(&disk.root()).unwrap());
    assert!(disk.write() < Duration::from_secs(1));
}

#[test]
fn without_a_watchdog_nothing_is_frozen() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    for program in ["/not/there", "/bin/false"] {
        let windows = Windows::new(program.into(), Vec::new());
        let failure = windows.open(&run(), &freeze(&disk, 5_000)).unwrap_err();
        assert_eq!(failure.class, FailureClass::Refused, "{failure}");
        assert!(failure.message.contains("nothing was frozen"), "{failure}");
        assert!(!windows.thaw(&disk.root()).unwrap());
    }
}

#[test]
fn a_window_that_is_dropped_is_thawed() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    windows.open(&run(), &freeze(&disk, 60_000)).unwrap();
    drop(windows);
    assert!(disk.write() < Duration::from_secs(1));
}

#[test]
fn a_watchdog_that_hangs_keeps_nothing_frozen() {
    for close_early in [true, false] {
        let Some(disk) = Disk::new("ext4", 32) else { return };
        let windows = windows();
        let budget = if close_early { 60_000 } else { 300 };
        windows.open(&run(), &freeze(&disk, budget)).unwrap();
        let [watchdog] = watchdogs(&disk)[..] else { panic!("one watchdog") };
        let signal = |name: &str| {
            assert!(Command::new("kill").args([name, &watchdog.to_string()]).status().unwrap().success());
        };
        signal("-STOP");
        if !close_early {
            let took = disk.write();
            assert!(took < Duration::from_secs(3), "writable again only after {took:?}");
        }
        let failure = windows.close(&run()).unwrap_err();
        assert!(failure.message.contains("fell silent"), "{failure}");
        assert!(disk.write() < Duration::from_secs(1));
        signal("-CONT");
        assert!(until(Duration::from_secs(2), || watchdogs(&disk).is_empty()));
    }
}

#[test]
fn a_closed_window_is_short_and_holds_on_to_nothing() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    let mut figures: Vec<(u64, Duration)> = (0..21)
        .map(|_| {
            let began = Instant::now();
            windows.open(&run(), &freeze(&disk, 5_000)).unwrap();
            let length = windows.close(&run()).unwrap().length_ms;
            (length, began.elapsed())
        })
        .collect();
    figures.sort();
    let (length, whole) = figures[figures.len() / 2];
    println!("an empty window: {length} ms frozen; {whole:?} with flush and watchdog");
    assert!(length < 1_000, "{figures:?}");
    let unmounted = Command::new("umount").arg(disk.root()).output().unwrap();
    assert!(unmounted.status.success(), "{unmounted:?}");
}

#[test]
fn an_engine_killed_at_any_moment_leaves_nothing_frozen() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let mut slowest = Duration::ZERO;
    for number in 0..40 {
        let mut engine = Command::new(helper())
            .args(["hold-window", disk.root().to_str().unwrap(), "60000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_micros(number * 400));
        // Every other time its watchdog is killed first, if it has one by now.
        if number % 2 == 1
            && let [watchdog] = watchdogs(&disk)[..]
        {
            kill(watchdog);
            // The engine reaps it once it has thawed. Were it killed before that, both would be dead, and only the
            // obligation could thaw what the watchdog was still freezing.
            let process = Path::new("/proc").join(watchdog.to_string());
            assert!(until(Duration::from_secs(5), || !process.exists()), "{number}");
            slowest = slowest.max(disk.write());
        }
        kill(engine.id());
        let _ = engine.wait().unwrap();
        // What the engine had asked for before it died may still freeze, for a moment.
        assert!(until(Duration::from_secs(2), || watchdogs(&disk).is_empty()), "{number}");
        slowest = slowest.max(disk.write());
    }
    println!("writable after at most {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn engine_and_watchdog_killed_at_any_moment_leave_what_the_obligation_thaws() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let mut thawed = 0;
    for number in 0..40 {
        let mut engine = Command::new(helper())
            .args(["hold-window", disk.root().to_str().unwrap(), "60000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_micros(number * 400));
        let watchdogs = watchdogs(&disk);
        for pid in watchdogs.into_iter().chain([engine.id()]) {
            kill(pid);
        }
        let _ = engine.wait().unwrap();
        thawed += u32::from(windows().thaw(&disk.root()).unwrap());
        let took = disk.write();
        assert!(took < Duration::from_secs(1), "{number}: {took:?}");
    }
    println!("{thawed} of 40 had been left frozen");
    assert!(thawed > 0);
}

#[test]
fn a_window_of_ones_own_is_thawed_without_delay() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let windows = windows();
    windows.open(&run(), &freeze(&disk, 60_000)).unwrap();
    let began = Instant::now();
    assert!(windows.thaw(&disk.root()).unwrap());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(windows.close(&run()).unwrap_err().message.contains("thawed by somebody else"));
}
