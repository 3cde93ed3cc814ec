//! Copies that are not what was written.

use std::fs;

use resplit_operations::pair::PairStatus;
use resplit_steps::failure::FailureClass;

use crate::support::{BLOCK, Pair};

#[test]
fn a_damaged_image_is_not_copied_over_the_primary() {
    let pair = Pair::new(30 * BLOCK);
    pair.write(0, &vec![6; usize::try_from(30 * BLOCK).unwrap()]);
    let _ = pair.resync().unwrap();
    let _ = pair.split().unwrap();
    // A bit of the disk turns, which changes no time of the file.
    let times = fs::metadata(pair.copy()).unwrap().modified().unwrap();
    crate::support::write(&pair.copy(), 17 * BLOCK + 5, b"!");
    fs::File::options().write(true).open(pair.copy()).unwrap().set_modified(times).unwrap();
    pair.write(17 * BLOCK, b"newer");
    let primary = fs::read(&pair.pair.primary).unwrap();
    let failure = pair.restore("1").unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains(&format!("byte {}", 17 * BLOCK)), "{failure}");
    assert!(failure.help.is_some());
    assert_eq!(pair.state().status, PairStatus::Rcpy);
    // That block of the primary is as it was.
    let at = usize::try_from(17 * BLOCK).unwrap()..usize::try_from(18 * BLOCK).unwrap();
    assert!(fs::read(&pair.pair.primary).unwrap()[at.clone()] == primary[at]);
}
