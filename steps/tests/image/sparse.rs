//! What is a hole stays one, and what did not change is not written.

use std::fs::File;

use rustix::fs::{FallocateFlags, fallocate};

use crate::support::{BLOCK, Pair, allocated};

#[test]
fn a_sparse_image_stays_sparse_and_only_blocks_that_differ_are_written() {
    let size = 300 * BLOCK + 17;
    let pair = Pair::new(size);
    pair.write(5 * BLOCK + 3, b"data");
    pair.write(size - 1, b"x");
    let report = pair.resync().unwrap();
    assert_eq!((report.entries, report.bytes, report.changed), (301, size, 2));
    assert_eq!(report.copied, BLOCK + 17);
    pair.assert_equal();
    assert!(allocated(&pair.copy()) <= 4 * BLOCK, "{}", allocated(&pair.copy()));

    let report = pair.resync().unwrap();
    assert_eq!((report.changed, report.copied), (0, 0));
    pair.write(7 * BLOCK, &vec![1; usize::try_from(100 * BLOCK).unwrap()]);
    let report = pair.resync().unwrap();
    assert_eq!((report.changed, report.copied), (100, 100 * BLOCK));
    assert!(allocated(&pair.copy()) >= 100 * BLOCK);
    pair.assert_equal();

    // Zeros that are written, and holes that are made, take no room in the copy.
    pair.write(7 * BLOCK, &vec![0; usize::try_from(50 * BLOCK).unwrap()]);
    let primary = File::options().write(true).open(&pair.pair.primary).unwrap();
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(&primary, punch, 57 * BLOCK, 50 * BLOCK).unwrap();
    let report = pair.split().unwrap();
    assert_eq!((report.changed, report.copied), (100, 0));
    assert!(allocated(&pair.copy()) <= 4 * BLOCK, "{}", allocated(&pair.copy()));
    pair.assert_equal();
}

#[test]
fn a_copy_that_somebody_else_wrote_to_or_removed_is_read_again() {
    let pair = Pair::new(20 * BLOCK);
    pair.write(0, &vec![9; usize::try_from(10 * BLOCK).unwrap()]);
    let _ = pair.resync().unwrap();
    crate::support::write(&pair.copy(), 3 * BLOCK, b"by an operator");
    let report = pair.resync().unwrap();
    assert_eq!((report.changed, report.copied), (1, 4096));
    pair.assert_equal();
    std::fs::remove_file(pair.copy()).unwrap();
    let report = pair.resync().unwrap();
    assert_eq!(report.changed, 10);
    pair.assert_equal();
    // And so is one whose hash map is damaged, or gone.
    let map = pair.pair.secondary.join("blocks");
    crate::support::write(&map, 70, b"damage");
    crate::support::write(&pair.copy(), 4 * BLOCK, b"by an operator");
    assert_eq!(pair.resync().unwrap().changed, 1);
    std::fs::remove_file(&map).unwrap();
    assert_eq!(pair.resync().unwrap().changed, 0);
    assert!(map.exists());
    pair.assert_equal();
}

#[test]
fn of_a_block_that_differs_only_what_differs_is_written() {
    let pair = Pair::new(100 * BLOCK + 5_000);
    pair.write(0, &vec![9; usize::try_from(100 * BLOCK + 5_000).unwrap()]);
    let _ = pair.resync().unwrap();
    // Within one piece, over a border of two, and in the last one, which is shorter.
    pair.write(3 * BLOCK + 100, b"one");
    pair.write(7 * BLOCK + 8_190, b"three");
    pair.write(100 * BLOCK + 4_999, b"!");
    let report = pair.resync().unwrap();
    assert_eq!((report.changed, report.copied), (3, 4096 + 8192 + 904));
    pair.assert_equal();
    // And back, where both sides are read.
    let _ = pair.split().unwrap();
    pair.write(3 * BLOCK + 100, b"two");
    let report = pair.restore("1").unwrap();
    assert_eq!((report.changed, report.copied), (1, 4096));
    pair.assert_equal();
    // Where a pass found most of a stretch to differ, it does not look at what is there.
    for block in 0..60 {
        pair.write(block * BLOCK, b"all");
    }
    let report = pair.resync().unwrap();
    assert_eq!((report.changed, report.copied), (60, 60 * BLOCK));
    pair.assert_equal();
}
