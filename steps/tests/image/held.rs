//! Volumes that are in use.

use std::fs;

use resplit_operations::pair::PairStatus;
use resplit_steps::drivers::pairs::{Content, PairDriver};

use crate::{
    disks::{Disk, Loop, Mounted, format},
    support::{Pair, refused},
};

/// A pair whose primary holds an ext4; not where the machine cannot mount.
fn pair() -> Option<Pair> {
    if let Err(reason) = Disk::new("ext4", 16) {
        println!("skipped: {reason}");
        return None;
    }
    let pair = Pair::new(24 << 20);
    format(&pair.pair.primary, "ext4").unwrap();
    Some(pair)
}

#[test]
fn nothing_is_restored_beneath_what_is_mounted_or_held() {
    let Some(pair) = pair() else { return };
    let place = pair.directory.path().join("mounted");
    let _ = pair.resync().unwrap();
    let _ = pair.split().unwrap();
    let before = (pair.state(), fs::read(&pair.pair.primary).unwrap());
    let mounted = Mounted::new(&pair.pair.primary, &place).unwrap();
    assert_eq!(pair.driver.content(&pair.pair.primary).unwrap(), Content::Tree(place.clone()));
    let said = refused(pair.restore("1"));
    assert!(said.contains(&format!("mounted at {}", place.display())), "{said}");
    drop(mounted);
    let device = Loop::new(&pair.pair.primary).unwrap();
    let said = refused(pair.restore("2"));
    assert!(said.contains(&format!("losetup -d {}", device.0.display())), "{said}");
    drop(device);
    assert_eq!(pair.driver.content(&pair.pair.primary).unwrap(), Content::Volume(24 << 20));
    assert_eq!(pair.state(), before.0);
    let _ = pair.restore("3").unwrap();
    assert!(fs::read(&pair.pair.primary).unwrap() == before.1);
}

#[test]
fn a_mounted_copy_is_neither_resynced_nor_split_nor_overwritten() {
    let Some(pair) = pair() else { return };
    let _ = pair.resync().unwrap();
    let before = pair.state();
    let mounted = Mounted::new(&pair.copy(), &pair.directory.path().join("copy")).unwrap();
    for said in [
        refused(pair.resync()),
        refused(pair.split()),
        refused(pair.driver.begin_overwrite(
            &pair.pair,
            &pair.directory.path().join("run/volume"),
            &pair.asked("overwrite"),
        )),
    ] {
        assert!(said.contains("mounted at") && said.contains("umount"), "{said}");
    }
    assert_eq!(pair.state(), before);
    drop(mounted);
    // It was mounted to be written to: the pass reads both sides, and makes them equal.
    let _ = pair.split().unwrap();
    pair.assert_equal();
    assert_eq!(pair.state().status, PairStatus::Psus);
}

#[test]
fn a_busy_device_is_refused() {
    let Some(mut pair) = pair() else { return };
    let file = pair.directory.path().join("device");
    fs::File::create(&file).unwrap().set_len(24 << 20).unwrap();
    let (copy, primary) = (Loop::new(&file).unwrap(), Loop::new(&pair.pair.primary).unwrap());
    pair.pair.primary.clone_from(&primary.0);
    pair.pair.device = Some(copy.0.clone());
    let _ = pair.resync().unwrap();
    let _ = pair.split().unwrap();
    let mounted = Mounted::new(&primary.0, &pair.directory.path().join("mounted")).unwrap();
    assert!(refused(pair.restore("1")).contains("mounted at"));
    // Its content is read past what is cached of the device.
    fs::write(pair.directory.path().join("mounted/new"), vec![5; 300_000]).unwrap();
    rustix::fs::sync();
    let report = pair.resync().unwrap();
    assert!(report.copied >= 300_000, "{report:?}");
    let differs = pair.driver.purge_cache(&pair.pair).unwrap();
    assert!(differs.contains("forgotten"), "{differs}");
    drop(mounted);
    let _ = pair.driver.resync(&pair.pair, &pair.asked("again")).unwrap();
    assert!(fs::read(&pair.pair.primary).unwrap() == fs::read(&copy.0).unwrap());
}
