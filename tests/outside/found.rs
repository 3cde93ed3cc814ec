//! What is held still, mounted, or half written although no store knows of it: found by looking, and undone.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    freeze::frozen_site,
    frozen_kills::{LONG, freeze_for_good},
    image::Volume,
    leftovers::lose_the_coordinator,
    lost_state::of_kind,
    mounted::run,
    site::{DOCUMENTS, Site, TWO_PAIRS},
};

/// Whether something can be written there, now or in a moment.
fn is_writable(directory: &Path) -> bool {
    let mut touch = Command::new("touch").arg(directory.join("touched")).spawn().unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {
        if touch.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // It ends when somebody thaws.
    drop(std::thread::spawn(move || touch.wait()));
    false
}

#[test]
fn what_a_watchdog_froze_is_known_and_thawed_although_watchdog_engine_and_store_are_gone() {
    let (site, Some(mounted)) = frozen_site(LONG) else { return };
    freeze_for_good(&site, &mounted);
    for state in ["state", "state-backup"] {
        fs::remove_dir_all(site.path(state)).unwrap();
    }
    assert!(!is_writable(mounted.path()), "it is not frozen");
    let left = site.json(&["leftovers"]);
    let [freeze] = of_kind(&left, "freeze")[..] else { panic!("{left}") };
    assert!(freeze["what"].as_str().unwrap().contains("by a watchdog, process"), "{freeze}");
    assert!(!freeze["since"].is_null(), "{freeze}");
    assert_eq!((&freeze["releasable"], &freeze["next"]), (&true.into(), &"resplit leftovers release".into()));
    assert!(!is_writable(mounted.path()), "looking thaws nothing");
    site.succeed(&["leftovers", "release", "--yes"]);
    assert!(is_writable(mounted.path()), "it is still frozen");
    assert_eq!(of_kind(&site.json(&["leftovers"]), "freeze").len(), 0);

    // What somebody else freezes afterwards is theirs: what was noted went with the thaw.
    run(Command::new("fsfreeze").arg("-f").arg(mounted.path()));
    let left = site.json(&["leftovers"]);
    let [freeze] = of_kind(&left, "freeze")[..] else { panic!("{left}") };
    assert_eq!(freeze["releasable"], false, "{freeze}");
    run(Command::new("fsfreeze").arg("-u").arg(mounted.path()));
}

/// What is mounted below a directory.
fn mounts(below: &Path) -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = all.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| Path::new(point).starts_with(below)).map(str::to_owned).collect()
}

/// The loop devices over files of a site.
fn loops(site: &Site) -> Vec<String> {
    let root = site.path("").canonicalize().unwrap();
    let devices = fs::read_dir("/sys/block").unwrap();
    let files =
        devices.filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("loop/backing_file")).ok());
    files.filter(|file| Path::new(file.trim()).starts_with(root.join("mirrors"))).collect()
}

/// Kills the engines while an image of theirs is mounted for the tape.
fn interrupt_while_mounted(volume: &Volume) -> std::path::PathBuf {
    let noise = (0..10u32 << 20).flat_map(|i| (i.wrapping_mul(2_654_435_761) ^ (i << 7)).to_le_bytes());
    fs::write(volume.tree().join("noise"), noise.collect::<Vec<u8>>()).unwrap();
    let site = &volume.site;
    let places = || ["state", "state-backup"].map(|state| site.path(state).join("mounts"));
    for _ in 0..5 {
        let run = site.spawn(&["run", "disk"]);
        let began = Instant::now();
        while !places().iter().any(|place| !mounts(place).is_empty()) {
            assert!(began.elapsed() < Duration::from_secs(60), "no image is mounted");
            std::thread::yield_now();
        }
        site.kill_engines();
        let _ = run.wait_with_output().unwrap();
        if let Some(place) = places().into_iter().find(|place| !mounts(place).is_empty()) {
            return place;
        }
        // It was unmounted just then.
        site.settle();
    }
    panic!("no engine could be killed while an image was mounted");
}

#[test]
fn images_that_are_mounted_without_a_store_are_found_and_unmounted() {
    let Some(volume) = Volume::new() else { return };
    let site = &volume.site;
    let place = interrupt_while_mounted(&volume);
    for state in ["state", "state-backup"] {
        for name in ["log", "checkpoints", "view", "meta"] {
            let _ = fs::remove_dir_all(site.path(state).join(name));
        }
    }
    let (held, devices) = (mounts(&place), loops(site));
    assert!(!held.is_empty() && !devices.is_empty(), "{held:?} {devices:?}");
    let left = site.json(&["leftovers"]);
    let [found] = of_kind(&left, "mount")[..] else { panic!("{left}") };
    assert!(found["what"].as_str().unwrap().contains("1 images are mounted in"), "{found}");
    assert_eq!((&found["standing"], &found["releasable"]), (&"unknown".into(), &true.into()), "{found}");
    assert!(found["run"].as_str().unwrap().starts_with("disk-"), "{found}");
    assert_eq!(mounts(&place), held, "looking unmounts nothing");
    site.succeed(&["leftovers", "release", "--yes"]);
    assert_eq!((mounts(&place), loops(site)), (Vec::new(), Vec::<String>::new()));
    assert_eq!(of_kind(&site.json(&["leftovers"]), "mount").len(), 0);
}

#[test]
fn a_dataset_that_was_never_closed_is_found_without_any_store() {
    let site = Site::new(TWO_PAIRS, &[("documents", DOCUMENTS)]);
    lose_the_coordinator(&site);
    fs::remove_dir_all(site.path("state-backup")).unwrap();
    let left = site.json(&["leftovers"]);
    let [dataset] = of_kind(&left, "unclosed_dataset")[..] else { panic!("{left}") };
    assert!(dataset["what"].as_str().unwrap().contains("of one that was never closed"), "{dataset}");
    assert!(dataset["next"].as_str().unwrap().contains("nothing has to be done"), "{dataset}");
    // And so it is: the next one takes its place.
    site.succeed(&["run", "documents"]);
    assert_eq!(of_kind(&site.json(&["leftovers"]), "unclosed_dataset").len(), 0);
}
