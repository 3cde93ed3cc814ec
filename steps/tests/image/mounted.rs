//! Images made readable as trees, and images that are none.

use std::{fs, path::PathBuf};

use resplit_operations::pair::PairStatus;
use resplit_steps::drivers::{mounts, pairs::PairDriver};

use crate::{
    disks::{Disk, Mounted, format, output},
    support::{Pair, refused},
};

fn at(pair: &Pair) -> PathBuf {
    pair.directory.path().join("run/volume")
}

fn close(pair: &Pair) {
    let _ = mounts::close(&pair.directory.path().join("run")).unwrap();
}

#[test]
fn an_image_split_while_it_was_written_to_is_replayed_and_the_next_pass_reads_both_sides() {
    for kind in ["ext4", "xfs"] {
        if let Err(reason) = Disk::new(kind, 300) {
            return println!("skipped: {kind}: {reason}");
        }
        let pair = Pair::new(300 << 20);
        format(&pair.pair.primary, kind).unwrap();
        let place = pair.directory.path().join("mounted");
        let mounted = Mounted::new(&pair.pair.primary, &place).unwrap();
        fs::write(place.join("first"), "first").unwrap();
        let _ = pair.resync().unwrap();
        fs::write(place.join("second"), "second").unwrap();
        // Flushed, and not held still: what is new is in the journal.
        rustix::fs::syncfs(fs::File::open(&place).unwrap()).unwrap();
        let _ = pair.split().unwrap();
        let split = fs::read(pair.copy()).unwrap();
        let tree = pair.driver.open_image(&pair.pair, &at(&pair)).unwrap();
        assert_eq!(fs::read(tree.join("second")).unwrap(), b"second");
        assert!(fs::write(tree.join("third"), "third").is_err(), "it is mounted read-only");
        close(&pair);
        let replayed = fs::read(pair.copy()).unwrap();
        assert!(split != replayed, "{kind}: the journal was replayed");
        // Opened again, nothing changes any more.
        let _ = pair.driver.open_image(&pair.pair, &at(&pair)).unwrap();
        close(&pair);
        assert!(fs::read(pair.copy()).unwrap() == replayed);
        drop(mounted);
        let _ = pair.resync().unwrap();
        pair.assert_equal();
    }
}

#[test]
fn an_image_at_rest_is_mounted_without_changing_a_bit_of_it() {
    for kind in ["ext4", "btrfs"] {
        if let Err(reason) = Disk::new(kind, 128) {
            return println!("skipped: {kind}: {reason}");
        }
        let pair = Pair::new(128 << 20);
        format(&pair.pair.primary, kind).unwrap();
        let place = pair.directory.path().join("mounted");
        let mounted = Mounted::new(&pair.pair.primary, &place).unwrap();
        fs::write(place.join("first"), "first").unwrap();
        let _ = pair.resync().unwrap();
        let _ = output(&["fsfreeze", "--freeze", place.to_str().unwrap()]).unwrap();
        let split = pair.split();
        let _ = output(&["fsfreeze", "--unfreeze", place.to_str().unwrap()]).unwrap();
        assert_eq!(split.unwrap().fuzzy_count, 0);
        let image = fs::read(pair.copy()).unwrap();
        let tree = pair.driver.open_image(&pair.pair, &at(&pair)).unwrap();
        assert_eq!(fs::read(tree.join("first")).unwrap(), b"first");
        close(&pair);
        assert!(fs::read(pair.copy()).unwrap() == image, "{kind}");
        drop(mounted);
        // By the hash map alone: no block is written that did not change.
        assert!(pair.resync().unwrap().copied < 16 << 20);
        pair.assert_equal();
    }
}

#[test]
fn an_image_without_a_file_system_is_refused_in_words() {
    let pair = Pair::new(4 << 20);
    pair.write(100_000, b"a database's own format");
    let never = pair.driver.begin_overwrite(&pair.pair, &at(&pair), &pair.asked("overwrite"));
    assert!(refused(never).contains("make a file system on the primary"));
    let _ = pair.resync().unwrap();
    let _ = pair.split().unwrap();
    let said = refused(pair.driver.open_image(&pair.pair, &at(&pair)));
    assert!(said.contains("no file system") && said.contains("only trees can be put on tape yet"), "{said}");
    let before = pair.state();
    let said = refused(pair.driver.begin_overwrite(&pair.pair, &at(&pair), &pair.asked("overwrite")));
    assert!(said.contains("make a file system on the primary"), "{said}");
    assert_eq!(pair.state(), before);
    assert_eq!(pair.state().status, PairStatus::Psus);
    // It is kept and restored all the same.
    pair.write(100_000, b"something else, since then");
    let _ = pair.restore("1").unwrap();
    pair.assert_equal();
}
