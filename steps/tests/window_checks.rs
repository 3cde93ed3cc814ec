//! What is refused before anything is frozen.
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::{fs, path::Path, process::Command};

use common::{Disk, helper};
use resplit_operations::{action::Quiesce, operation::QuiesceMode, units::Period};
use resplit_steps::{
    drivers::{quiesce::WindowKeeper, window::Windows},
    failure::FailureClass,
};

mod common;

fn quiesce(filesystem: &Path, mode: QuiesceMode) -> Quiesce {
    Quiesce { filesystem: filesystem.to_owned(), mode, window: Period::seconds(5) }
}

/// Neither checked nor opened: refused, for this reason.
fn refused(path: &Path, reason: &str) {
    let windows = Windows::new(helper(), Vec::new());
    let freeze = quiesce(path, QuiesceMode::Freeze);
    for failure in [windows.check(&freeze, &[]).unwrap_err(), windows.open(&"r".into(), &freeze).unwrap_err()]
    {
        assert_eq!(failure.class, FailureClass::Refused, "{failure}");
        assert!(failure.message.contains(reason), "{failure}");
        assert!(failure.help.is_some());
    }
}

#[test]
fn only_the_mount_point_of_a_whole_file_system_is_frozen() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let below = disk.root().join("below");
    fs::create_dir(&below).unwrap();
    refused(&below, "no mount point");
    refused(&disk.root().join("missing"), "cannot open");
    refused(Path::new("/"), "root file system");
    refused(Path::new("/proc"), "proc cannot be frozen");
    refused(Path::new("/dev/shm"), "tmpfs cannot be frozen");

    let bound = tempfile::tempdir().unwrap();
    let mount = |from: &Path| {
        assert!(Command::new("mount").arg("--bind").arg(from).arg(bound.path()).status().unwrap().success());
    };
    let unmount =
        || assert!(Command::new("umount").arg("--lazy").arg(bound.path()).status().unwrap().success());
    mount(&below);
    refused(bound.path(), "only /below of its file system");
    unmount();
    // A directory of the root file system that is a mount point all the same.
    let harmless = tempfile::tempdir().unwrap();
    mount(harmless.path());
    refused(bound.path(), "root file system");
    unmount();
}

#[test]
fn what_resplit_needs_meanwhile_is_not_frozen() {
    let Some(disk) = Disk::new("ext4", 64) else { return };
    let freeze = quiesce(&disk.root(), QuiesceMode::Freeze);
    let windows = Windows::new(helper(), Vec::new());
    windows.check(&freeze, &["/var/lib/somewhere/not/made/yet".into()]).unwrap();

    let state = disk.root().join("state/not/made/yet");
    let failure = windows.check(&freeze, std::slice::from_ref(&state)).unwrap_err();
    assert_eq!(failure.class, FailureClass::Refused);
    assert!(failure.message.contains(state.to_str().unwrap()), "{failure}");

    let program = disk.root().join("resplit");
    let _ = fs::copy("/bin/true", &program).unwrap();
    let failure = Windows::new(program.clone(), Vec::new()).check(&freeze, &[]).unwrap_err();
    assert!(failure.message.contains(program.to_str().unwrap()), "{failure}");

    // A file system whose device is a file on the one to be frozen.
    let (image, inner) = (disk.root().join("image"), tempfile::tempdir().unwrap());
    fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
    assert!(Command::new("mkfs.ext4").arg("-q").arg(&image).status().unwrap().success());
    let mounted =
        Command::new("mount").args(["-o", "loop"]).arg(&image).arg(inner.path()).status().unwrap().success();
    assert!(mounted);
    let failure = windows.check(&freeze, &[inner.path().join("state")]);
    assert!(Command::new("umount").arg(inner.path()).status().unwrap().success());
    assert_eq!(failure.unwrap_err().class, FailureClass::Refused);
}

#[test]
fn online_flushes_a_directory_and_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let windows = Windows::new("/not/there".into(), Vec::new());
    let online = quiesce(directory.path(), QuiesceMode::Online);
    windows.check(&online, &[directory.path().to_owned()]).unwrap();
    windows.open(&"r".into(), &online).unwrap();
    assert!(windows.is_open(&"r".into()));
    fs::write(directory.path().join("written"), "inside the window").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let window = windows.close(&"r".into()).unwrap();
    assert!(window.length_ms >= 20 && window.budget_ms == 5_000, "{window:?}");
    assert!(!windows.is_open(&"r".into()));

    let missing = quiesce(&directory.path().join("missing"), QuiesceMode::Online);
    for path in [missing, quiesce(&directory.path().join("written"), QuiesceMode::Online)] {
        assert_eq!(windows.check(&path, &[]).unwrap_err().class, FailureClass::Refused);
    }
    let cold = windows.open(&"r".into(), &quiesce(directory.path(), QuiesceMode::Cold)).unwrap_err();
    assert_eq!(cold.class, FailureClass::Permanent);
    assert!(!windows.thaw(&directory.path().join("missing")).unwrap());
    assert!(!windows.thaw(directory.path()).unwrap(), "no mount point");
}

#[test]
fn without_the_right_to_freeze_the_reason_is_said() {
    let Some(disk) = Disk::new("ext4", 32) else { return };
    let engine = Command::new("setpriv")
        .args(["--bounding-set", "-sys_admin"])
        .arg(helper())
        .args(["hold-window", disk.root().to_str().unwrap(), "1000"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&engine.stdout);
    assert!(said.contains("CAP_SYS_ADMIN"), "{said}");
}
