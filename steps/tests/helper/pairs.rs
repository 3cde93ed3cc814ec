//! A verb of a pair, in a process that kills itself at one of its reports, or is killed.

use std::{
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use resplit_operations::pair::{CopyReport, PairRef, Tag};
use resplit_steps::{
    context::{SystemClock, Work},
    drivers::{
        btrfs::BtrfsPairs,
        directory::DirectoryPairs,
        image::ImagePairs,
        lvm::LvmPairs,
        pairs::{Asked, PairDriver},
        qemu::QemuPairs,
    },
};

use crate::loopback::Loopback;

/// Runs a verb; at its report number `kill_at`, from 1, the process is gone.
pub(crate) fn run(kind: &str, pair: &PairRef, verb: &str, tag: &str, kill_at: u32, at: &Path) -> ExitCode {
    let clock = Arc::new(SystemClock);
    let driver: Box<dyn PairDriver> = match kind {
        "directory" => Box::new(DirectoryPairs::new(clock)),
        "streamed" => Loopback::new().both(&pair.primary.with_file_name("told")),
        "btrfs" => Box::new(BtrfsPairs::new(clock)),
        "image" => Box::new(ImagePairs::new(clock)),
        "lvm" => Box::new(LvmPairs::new(clock)),
        "qemu" => Box::new(QemuPairs::new(clock)),
        _ => return ExitCode::from(2),
    };
    let reports = AtomicU32::new(0);
    let work = Work::new(move |_| {
        if reports.fetch_add(1, Ordering::Relaxed) + 1 == kill_at {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        }
    });
    let asked = Asked { tag: Tag(tag.to_owned()), token: 1, work: &work };
    let done = match verb {
        "resync" => driver.resync(pair, &asked).map(drop),
        "split" => driver.split(pair, 1, &asked).map(drop),
        "restore" => driver.restore(pair, &asked).map(drop),
        "overwrite" => driver
            .begin_overwrite(pair, at, &asked)
            .and_then(|_| driver.end_overwrite(pair, &CopyReport::default(), &asked)),
        _ => return ExitCode::from(2),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
