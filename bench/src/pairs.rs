//! Pairs of directories against `cp` and `rsync`: interleaved, medians of five, durable at the end where the peer is not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use resplit_operations::pair::{CopyReport, PairRef, Tag};
use resplit_steps::{
    context::{SystemClock, Work},
    drivers::{
        directory::DirectoryPairs,
        pairs::{Asked, PairDriver},
    },
};

/// Of how many runs the median is taken.
const RUNS: usize = 5;
/// Directories, and files in each, of the tree that is resynced.
const DIRECTORIES: usize = 1_000;
const FILES: usize = 100;

/// Prints the rows for pairs; what it needs is made below `scratch` and removed again.
///
/// # Errors
///
/// A peer that cannot be run, or a file system that refuses.
pub(crate) fn run(scratch: &Path) -> io::Result<()> {
    let place = scratch.join("resplit-bench-pairs");
    let result = rows(&place);
    let _ = Command::new("umount").arg(place.join("reflinks")).stderr(Stdio::null()).status();
    let removed = fs::remove_dir_all(&place);
    result.and(removed)
}

fn rows(place: &Path) -> io::Result<()> {
    fs::create_dir_all(place)?;
    println!("{:<58} {:>9} {:>9} {:>7}", "pairs (medians of five, interleaved)", "resplit", "peer", "ratio");
    full_copy(place, "full copy, 20 000 x 8 KiB + 4 x 64 MiB: cp -a && sync -f", &[], true)?;
    let reflinks = place.join("reflinks");
    if let Err(reason) = mount_reflinks(place, &reflinks) {
        println!("full copy with reflinks: skipped: {reason}");
    } else {
        full_copy(&reflinks, "the same, XFS: cp -a --reflink=always", &["--reflink=always"], false)?;
        full_copy(&reflinks, "the same, XFS: ... && sync -f", &["--reflink=always"], true)?;
        execute(Command::new("umount").arg(&reflinks))?;
    }
    resync(place)
}

fn execute(command: &mut Command) -> io::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

fn mount_reflinks(place: &Path, at: &Path) -> io::Result<()> {
    let image = place.join("xfs");
    fs::File::create(&image)?.set_len(4 << 30)?;
    fs::create_dir_all(at)?;
    execute(Command::new("mkfs.xfs").arg("-q").arg(&image))?;
    execute(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at))
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

pub(crate) fn print(what: &str, mut ours: Vec<Duration>, mut peers: Vec<Duration>) {
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (ours, peers) = (median(&mut ours), median(&mut peers));
    println!("{what:<58} {ours:>7.3} s {peers:>7.3} s {:>6.2}x", peers / ours);
}

/// Files of pseudo-random content, so that nothing on the way can make them smaller.
fn write(path: &Path, bytes: usize, seed: u64) -> io::Result<()> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let content: Vec<u8> = (0..bytes.div_ceil(8))
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .take(bytes)
        .collect();
    fs::write(path, content)
}

fn pair(primary: &Path, secondary: PathBuf) -> PairRef {
    PairRef {
        apart: None,
        volume: "bench".into(),
        copy_group: "VG01,vol01".into(),
        generation: 0,
        primary: primary.to_owned(),
        secondary,
        device: None,
        array: None,
        qemu: None,
        lvm: None,
    }
}

fn resync_once(pair: &PairRef) -> io::Result<CopyReport> {
    let work = Work::silent();
    let asked = Asked { tag: Tag("bench".to_owned()), token: 1, work: &work };
    DirectoryPairs::new(Arc::new(SystemClock)).resync(pair, &asked).map_err(io::Error::other)
}

/// 20 000 small files and four large ones: some 400 MiB.
pub(crate) fn tree(primary: &Path) -> io::Result<()> {
    for directory in 0..200 {
        let path = primary.join(format!("directory {directory}"));
        fs::create_dir_all(&path)?;
        for file in 0..100 {
            write(&path.join(format!("file {file}")), 8 << 10, directory * 100 + file)?;
        }
    }
    for file in 0..4 {
        write(&primary.join(format!("large {file}")), 64 << 20, 1_000_000 + file)?;
    }
    Ok(())
}

fn full_copy(place: &Path, what: &str, options: &[&str], synced: bool) -> io::Result<()> {
    let primary = place.join("primary");
    if !primary.exists() {
        tree(&primary)?;
    }
    let (secondary, copy) = (place.join("secondary"), place.join("copy"));
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for round in 0..RUNS {
        let mut our_turn = || {
            sync(&primary)?;
            ours.push(timed(|| resync_once(&pair(&primary, secondary.clone())).map(drop))?);
            fs::remove_dir_all(&secondary)
        };
        let mut their_turn = || {
            sync(&primary)?;
            peers.push(timed(|| {
                execute(Command::new("cp").arg("-a").args(options).arg(&primary).arg(&copy))?;
                if synced { execute(Command::new("sync").arg("-f").arg(&copy)) } else { Ok(()) }
            })?);
            fs::remove_dir_all(&copy)
        };
        if round % 2 == 0 {
            our_turn()?;
            their_turn()?;
        } else {
            their_turn()?;
            our_turn()?;
        }
    }
    print(what, ours, peers);
    Ok(())
}

fn resync(place: &Path) -> io::Result<()> {
    let primary = place.join("many");
    for directory in 0..DIRECTORIES {
        let path = primary.join(format!("directory {directory}"));
        fs::create_dir_all(&path)?;
        for file in 0..FILES {
            fs::write(path.join(format!("file {file}")), format!("file {file} of directory {directory}\n"))?;
        }
    }
    let pair = pair(&primary, place.join("many secondary"));
    let copy = place.join("many copy");
    settle(&primary)?;
    let _ = resync_once(&pair)?;
    rsync(&primary, &copy)?;
    for (changed, what) in [(0, "none changed"), (1_000, "1 % changed")] {
        for cold in [false, true] {
            if cold && drop_caches().is_err() {
                println!("resync, {what}, cold: skipped: caches cannot be dropped");
                continue;
            }
            let (mut ours, mut peers) = (Vec::new(), Vec::new());
            for round in 0..RUNS {
                change(&primary, changed, round)?;
                let mut our_turn = || {
                    ready(&primary, cold)?;
                    ours.push(timed(|| resync_once(&pair).and_then(|report| expect(&report, changed)))?);
                    io::Result::Ok(())
                };
                let mut their_turn = || {
                    ready(&primary, cold)?;
                    peers.push(timed(|| rsync(&primary, &copy))?);
                    io::Result::Ok(())
                };
                if round % 2 == 0 {
                    our_turn()?;
                    their_turn()?;
                } else {
                    their_turn()?;
                    our_turn()?;
                }
            }
            let heat = if cold { "cold" } else { "warm" };
            print(&format!("resync of 100 000 files, {what}, {heat}: rsync -aHAX --delete"), ours, peers);
        }
    }
    Ok(())
}

/// Rewrites so many files, spread over all directories.
fn change(primary: &Path, files: usize, round: usize) -> io::Result<()> {
    for at in 0..files {
        let path = primary.join(format!("directory {}", at % DIRECTORIES));
        let file = path.join(format!("file {}", (at * 7 + round * 13) % FILES));
        fs::write(file, format!("changed in round {round}: {:?}\n", Instant::now()))?;
    }
    settle(primary)
}

fn expect(report: &CopyReport, changed: usize) -> io::Result<()> {
    if usize::try_from(report.changed).is_ok_and(|found| found == changed) && report.removed == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("{changed} files were changed and the resync reports {report:?}")))
}

/// Lets the clock that stamps files go on, so that what comes next is not in the same tick.
fn settle(place: &Path) -> io::Result<()> {
    sync(place)?;
    thread::sleep(Duration::from_millis(20));
    Ok(())
}

/// Writes back what waits on the file system of a place, and leaves the others alone.
fn sync(place: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(place)?)?)
}

fn ready(place: &Path, cold: bool) -> io::Result<()> {
    sync(place)?;
    if cold { drop_caches() } else { Ok(()) }
}

fn drop_caches() -> io::Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "3")
}

fn rsync(primary: &Path, copy: &Path) -> io::Result<()> {
    let mut from = primary.as_os_str().to_owned();
    from.push("/");
    execute(Command::new("rsync").args(["-aHAX", "--delete"]).arg(from).arg(copy))
}
