//! What is left when a verb is killed or cancelled, and that calling it again completes it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use resplit_operations::pair::PairStatus;
use resplit_steps::{
    context::{Progress, Work},
    failure::FailureClass,
};

use super::support::{Bed, FileSystem, run};

const ROOT: &str = "RESPLIT_TEST_ROOT";
const VERB: &str = "RESPLIT_TEST_VERB";
/// Files that are always of one letter, so that half a file is seen.
const FILES: usize = 1_500;

#[test]
#[ignore = "the process that the other tests of this file start and kill"]
fn child() {
    let bed = existing(Path::new(&env::var_os(ROOT).unwrap()));
    call(&bed, &env::var(VERB).unwrap()).unwrap();
}

fn existing(root: &Path) -> Bed {
    Bed::across(root, root)
}

fn call(bed: &Bed, verb: &str) -> Result<(), resplit_steps::failure::Failure> {
    let asked = bed.asked(&format!("run/{verb}"));
    match verb {
        "resync" => bed.driver.resync(&bed.pair, &asked).map(drop),
        "split" => bed.driver.split(&bed.pair, 1, &asked).map(drop),
        "restore" => bed.driver.restore(&bed.pair, &asked).map(drop),
        other => panic!("{other} is no verb"),
    }
}

fn start(root: &Path, verb: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--ignored"])
        .env(ROOT, root)
        .env(VERB, verb)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Writes every third file anew with another letter, some of them with another length.
fn change(bed: &Bed, round: usize) {
    let letter = b'a' + u8::try_from(round % 26).unwrap();
    for file in (round % 3..FILES).step_by(3) {
        let content = vec![letter; 3_000 + (file * 37 + round * 11) % 5_000];
        let _ = bed.write(&format!("{}/{}", file % 30, file), content);
    }
    let gone = bed.primary().join(format!("{}", round % 30));
    fs::remove_dir_all(&gone).unwrap();
}

/// Every file under its own name is whole, whatever happened.
fn assert_whole(root: &Path) {
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else if !entry.file_name().to_string_lossy().starts_with(".resplit-") {
                let content = fs::read(entry.path()).unwrap();
                assert!(
                    content.len() >= 3_000 && content.iter().all(|byte| *byte == content[0]),
                    "{entry:?}"
                );
            }
        }
    }
}

fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let listed = run(&["find", root.to_str().unwrap(), "-type", "f"]);
    listed.lines().map(|path| (path.into(), fs::read(path).unwrap())).collect()
}

/// Delays spread over the time that a verb takes, so that each of its parts is hit.
fn delay(round: usize, whole: Duration) -> Duration {
    whole.mul_f64(f64::from(u32::try_from(round * 7 % 20).unwrap()) / 18.0)
}

#[test]
fn a_killed_resync_or_split_is_completed_by_the_next() {
    for file_system in [FileSystem::new("xfs", 400).ok(), Some(FileSystem::here())].into_iter().flatten() {
        let bed = Bed::new(&file_system, "killed");
        let root = file_system.root.join("killed");
        (0..FILES).for_each(|file| drop(bed.write(&format!("{}/{}", file % 30, file), vec![b'z'; 4_000])));
        call(&bed, "resync").unwrap();
        let mut took = Duration::from_millis(300);
        let mut interrupted = 0;
        for round in 0..20 {
            let verb = if round % 2 == 0 { "resync" } else { "split" };
            change(&bed, round);
            let before = bed.driver.status(&bed.pair).unwrap();
            let mut child = start(&root, verb);
            thread::sleep(delay(round, took));
            child.kill().unwrap();
            let _ = child.wait().unwrap();
            let status = bed.driver.status(&bed.pair).unwrap();
            let last = status.last.clone().unwrap();
            match status.status {
                PairStatus::Copy => {
                    interrupted += 1;
                    assert_eq!(last.ended, None);
                    assert_eq!(last.tag.0, format!("run/{verb}"));
                    assert_eq!(status.epoch, before.epoch + u64::from(verb == "resync"));
                }
                PairStatus::Pair if verb == "resync" => {}
                PairStatus::Pair => assert_eq!(status, before, "the split had not begun"),
                PairStatus::Psus => assert!(verb == "split" && last.report.is_some()),
                other => panic!("{other} after a killed {verb}"),
            }
            assert_whole(&bed.data());
            if status.status == PairStatus::Copy {
                let left = run(&["find", bed.data().to_str().unwrap(), "-name", ".resplit-*"]);
                let mut named = bed.driver.remnants(&bed.pair).unwrap();
                named.retain(|path| path.starts_with(bed.data()));
                named.sort();
                let mut left: Vec<PathBuf> = left.lines().map(PathBuf::from).collect();
                left.sort();
                assert_eq!(named, left);
            }
            let begun = Instant::now();
            call(&bed, verb).unwrap();
            took = begun.elapsed().max(Duration::from_millis(30));
            assert_eq!(bed.driver.remnants(&bed.pair).unwrap(), Vec::<PathBuf>::new());
            bed.assert_equal();
            if verb == "split" {
                assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Psus);
                call(&bed, "resync").unwrap();
            }
        }
        println!("{}: {interrupted} of 20 kills hit the pass", file_system.name);
        assert!(interrupted > 0);
    }
}

#[test]
fn a_killed_restore_is_completed_by_the_next_and_spares_the_image() {
    let file_system = FileSystem::here();
    let bed = Bed::new(&file_system, "killed");
    let root = file_system.root.join("killed");
    (0..FILES).for_each(|file| drop(bed.write(&format!("{}/{}", file % 30, file), vec![b'z'; 4_000])));
    call(&bed, "resync").unwrap();
    call(&bed, "split").unwrap();
    let image = contents(&bed.data());
    let mut interrupted = 0;
    for round in 0..12 {
        change(&bed, round);
        let mut child = start(&root, "restore");
        thread::sleep(delay(round, Duration::from_millis(150)));
        child.kill().unwrap();
        let _ = child.wait().unwrap();
        let status = bed.driver.status(&bed.pair).unwrap();
        if status.status == PairStatus::Rcpy {
            interrupted += 1;
            let failure = bed.driver.resync(&bed.pair, &bed.asked("other/resync")).unwrap_err();
            assert_eq!(failure.class, FailureClass::Refused, "a half-restored primary overwrites nothing");
        }
        assert_whole(bed.primary());
        assert_eq!(contents(&bed.data()), image);
        let _ = bed.driver.restore(&bed.pair, &bed.asked(&format!("again {round}/restore"))).unwrap();
        bed.assert_equal();
        assert_eq!(contents(&bed.data()), image);
        assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Psus);
    }
    println!("{interrupted} of 12 kills hit the pass");
    assert!(interrupted > 0);
    call(&bed, "resync").unwrap();
    bed.assert_equal();
}

#[test]
fn cancelled_work_says_so_and_is_completed_by_the_next() {
    let file_system = FileSystem::here();
    let mut bed = Bed::new(&file_system, "cancelled");
    (0..40).for_each(|file| drop(bed.write(&file.to_string(), vec![b'c'; 1 << 20])));
    bed.work.cancel();
    assert_eq!(call(&bed, "resync").unwrap_err().class, FailureClass::Cancelled);
    assert_eq!(bed.driver.status(&bed.pair).unwrap().status, PairStatus::Smpl, "nothing had begun");

    // From within the copying: once bytes were reported.
    let own: Arc<OnceLock<Work>> = Arc::default();
    let seen = own.clone();
    let work = Work::new(move |progress: Progress| {
        if progress.bytes > 0
            && let Some(work) = seen.get()
        {
            work.cancel();
        }
    });
    let _ = own.set(work.clone());
    bed.work = work;
    (0..40).for_each(|file| drop(bed.write(&file.to_string(), vec![b'd'; 16 << 20])));
    let failure = call(&bed, "resync").unwrap_err();
    assert_eq!(failure.class, FailureClass::Cancelled);
    let status = bed.driver.status(&bed.pair).unwrap();
    assert_eq!((status.status, status.epoch), (PairStatus::Copy, 1));
    assert!(bed.driver.open_image(&bed.pair, Path::new("/")).is_err());
    bed.work = Work::silent();
    call(&bed, "resync").unwrap();
    bed.assert_equal();
}
