//! A writer or reader that is killed at any moment leaves what can be gone on with.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use resplit_steps::drivers::media::MediaDriver;

use crate::{
    support::{DRIVER, Vault, assert_same, noise},
    trees::make_small,
};

const VAULT: &str = "RESPLIT_TEST_VAULT";
const SOURCE: &str = "RESPLIT_TEST_SOURCE";
const TAG: &str = "RESPLIT_TEST_TAG";

/// Not a test of its own: what the tests below start in another process, to kill it.
#[test]
#[ignore = "started by other tests"]
fn child() {
    let Some(path) = env::var_os(VAULT) else { return };
    let mut vault = Vault::new(1, 256 << 20);
    vault.library.path = PathBuf::from(path);
    let source = PathBuf::from(env::var_os(SOURCE).unwrap());
    match env::var(TAG) {
        Ok(tag) => drop(vault.write("VT0001", &tag, &source).unwrap()),
        Err(_) => drop(vault.read("VT0001", 1, &source, true).unwrap()),
    }
}

fn start(vault: &Vault, source: &Path, tag: Option<&str>) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "crashes::child", "--ignored", "--nocapture"]);
    command.env(VAULT, &vault.library.path).env(SOURCE, source);
    if let Some(tag) = tag {
        command.env(TAG, tag);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How long it takes undisturbed, to kill it at moments spread over all of that.
fn undisturbed(vault: &Vault, source: &Path, tag: Option<&str>) -> Duration {
    let begun = Instant::now();
    assert!(start(vault, source, tag).wait().unwrap().success());
    begun.elapsed()
}

#[test]
fn a_killed_writer_leaves_the_datasets_as_they_were() {
    const ROUNDS: u32 = 24;
    let vault = Vault::new(1, 1 << 30);
    let (first, large) = (vault.path("first"), vault.path("large"));
    make_small(&first);
    fs::create_dir(&large).unwrap();
    for number in 0..12 {
        fs::write(large.join(number.to_string()), noise(number, 1 << 20)).unwrap();
    }
    vault.write("VT0001", "run/first", &first).unwrap();
    let time = undisturbed(&vault, &large, Some("run/whole"));
    let mut expected = vault.datasets("VT0001");
    assert_eq!(expected.len(), 2);
    let mut cut = 0;
    for round in 0..ROUNDS {
        let tag = format!("run/{round}");
        let mut writer = start(&vault, &large, Some(&tag));
        thread::sleep(time * round / ROUNDS);
        writer.kill().unwrap();
        writer.wait().unwrap();
        if round % 3 == 1 {
            fs::remove_file(vault.library.path.join("VT0001.contents")).unwrap();
        }
        let datasets = vault.datasets("VT0001");
        // Either it was closed, or it does not exist.
        let closed = datasets.len() > expected.len();
        cut += u32::from(!closed && fs::metadata(vault.cartridge("VT0001")).unwrap().len() > end(&expected));
        assert_eq!(datasets[..expected.len()], expected);
        assert!(datasets.len() <= expected.len() + 1);
        assert!(!closed || datasets.last().unwrap().tag.0 == tag);
        expected = datasets;
        assert_eq!(DRIVER.inventory(&vault.at()).unwrap()[0].unusable, None);
        if round % 4 == 3 {
            expected.push(vault.write("VT0001", "run/next", &first).unwrap());
            assert_eq!(vault.datasets("VT0001"), expected);
            assert_eq!(fs::metadata(vault.cartridge("VT0001")).unwrap().len(), end(&expected));
        }
    }
    assert!(cut >= 3, "only {cut} writers were killed between the beginning and the end of a dataset");
    for (number, dataset) in (1..).zip(&expected) {
        let to = vault.path(&format!("to-{number}"));
        vault.read("VT0001", number, &to, true).unwrap();
        let from_small = dataset.tag.0 == "run/first" || dataset.tag.0 == "run/next";
        assert_same(if from_small { &first } else { &large }, &to);
    }
}

fn end(datasets: &[resplit_steps::drivers::media::Dataset]) -> u64 {
    datasets.last().map_or(0, |last| last.offset + last.bytes)
}

#[test]
fn a_killed_reader_is_completed_by_the_next() {
    let vault = Vault::in_memory(256 << 20);
    let (source, to) = (vault.path("source"), vault.path("to"));
    make_small(&source);
    for number in 0..2000 {
        fs::write(source.join(format!("a/b/{number}")), noise(number, 700)).unwrap();
    }
    vault.write("VT0001", "run/1", &source).unwrap();
    let time = undisturbed(&vault, &to, None);
    let mut partial = 0;
    for round in 0..8 {
        let mut reader = start(&vault, &to, None);
        thread::sleep(time * round / 8);
        reader.kill().unwrap();
        reader.wait().unwrap();
        partial += u32::from(fs::read_dir(to.join("a/b")).map_or(0, Iterator::count) < 2001);
        vault.read("VT0001", 1, &to, true).unwrap();
        assert_same(&source, &to);
    }
    assert!(partial > 0, "no reader was killed in the middle");
}
