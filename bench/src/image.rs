//! Pairs of image files against `rsync --inplace` and `cp --sparse=always`: interleaved, medians of five; ours is durable
//! and read back, the peer's only where it says so.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use resplit_operations::pair::{CopyReport, PairRef, Tag};
use resplit_steps::{
    context::{SystemClock, Work},
    drivers::{
        image::ImagePairs,
        pairs::{Asked, PairDriver},
    },
};

/// Of how many runs the median is taken.
const RUNS: usize = 5;
/// Bytes of the image.
const SIZE: u64 = 1 << 30;

/// Prints the rows for images; what it needs is made below `scratch` and removed again.
///
/// # Errors
///
/// A peer that cannot be run, or a file system that refuses.
pub(crate) fn run(scratch: &Path) -> io::Result<()> {
    println!(
        "{:<66} {:>9} {:>9} {:>7}",
        "images of 1 GiB (medians of five, interleaved)", "resplit", "peer", "ratio"
    );
    let bed = Bed { place: scratch.to_owned() };
    let mut noise = Noise(7);
    let image = File::create(bed.primary())?;
    for piece in 0..SIZE >> 20 {
        image.write_all_at(&noise.bytes(1 << 20), piece << 20)?;
    }
    image.sync_all()?;
    bed.first("first copy: cp --sparse=always", false)?;
    bed.first("first copy: cp --sparse=always && sync -f", true)?;
    let _ = bed.resync()?;
    bed.rsync()?;
    for (pieces, bytes, what) in
        [(0, 0, "none"), (160, 64 << 10, "1 % in 64 KiB"), (2_560, 4 << 10, "1 % in 4 KiB")]
    {
        for cold in [false, true] {
            if cold && drop_caches().is_err() {
                println!("resync, {what} changed, cold: skipped: caches cannot be dropped");
                continue;
            }
            let heat = if cold { "cold" } else { "warm" };
            bed.again(
                &format!("resync, {what} changed, {heat}: rsync --inplace --no-whole-file"),
                cold,
                || {
                    for _ in 0..pieces {
                        let at = noise.next() % (SIZE / bytes) * bytes;
                        image.write_all_at(&noise.bytes(usize::try_from(bytes).unwrap_or(0)), at)?;
                    }
                    // As somebody who looked at it: rsync looks at the times.
                    image.set_modified(std::time::SystemTime::now())?;
                    image.sync_all()
                },
            )?;
        }
    }
    Ok(())
}

struct Bed {
    place: PathBuf,
}

impl Bed {
    fn primary(&self) -> PathBuf {
        self.place.join("primary")
    }

    fn copy(&self) -> PathBuf {
        self.place.join("copy")
    }

    fn pair(&self) -> PairRef {
        PairRef {
            apart: None,
            qemu: None,
            lvm: None,
            array: None,
            volume: "bench".into(),
            copy_group: "VG01,vol01".into(),
            generation: 0,
            primary: self.primary(),
            secondary: self.place.join("secondary"),
            device: None,
        }
    }

    fn resync(&self) -> io::Result<CopyReport> {
        let work = Work::silent();
        let asked = Asked { tag: Tag("bench".to_owned()), token: 1, work: &work };
        ImagePairs::new(Arc::new(SystemClock)).resync(&self.pair(), &asked).map_err(io::Error::other)
    }

    fn rsync(&self) -> io::Result<()> {
        let options = ["--inplace", "--no-whole-file", "--times"];
        execute(Command::new("rsync").args(options).arg(self.primary()).arg(self.copy()))
    }

    fn first(&self, what: &str, synced: bool) -> io::Result<()> {
        let ours = || {
            let took = timed(|| self.resync().map(drop))?;
            fs::remove_dir_all(self.pair().secondary)?;
            io::Result::Ok(took)
        };
        let theirs = || {
            let took = timed(|| {
                execute(Command::new("cp").arg("--sparse=always").arg(self.primary()).arg(self.copy()))?;
                if synced { execute(Command::new("sync").arg("-f").arg(self.copy())) } else { Ok(()) }
            })?;
            fs::remove_file(self.copy())?;
            Ok(took)
        };
        interleaved(what, || self.settle(false), ours, theirs)
    }

    fn again(&self, what: &str, cold: bool, mut change: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..RUNS {
            change()?;
            let mut our_turn = || {
                self.settle(cold)?;
                ours.push(timed(|| self.resync().map(drop))?);
                io::Result::Ok(())
            };
            let mut their_turn = || {
                self.settle(cold)?;
                theirs.push(timed(|| self.rsync())?);
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
        print(what, ours, theirs);
        Ok(())
    }

    fn settle(&self, cold: bool) -> io::Result<()> {
        rustix::fs::syncfs(File::open(&self.place)?)?;
        if cold { drop_caches() } else { Ok(()) }
    }
}

/// Each in turn the first.
fn interleaved(
    what: &str,
    settle: impl Fn() -> io::Result<()>,
    ours: impl Fn() -> io::Result<Duration>,
    theirs: impl Fn() -> io::Result<Duration>,
) -> io::Result<()> {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for round in 0..RUNS * 2 {
        settle()?;
        if round % 4 == 0 || round % 4 == 3 {
            our_times.push(ours()?);
        } else {
            their_times.push(theirs()?);
        }
    }
    print(what, our_times, their_times);
    Ok(())
}

/// Pseudo-random content, so that nothing on the way can make it smaller.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(length).collect()
    }
}

fn execute(command: &mut Command) -> io::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn print(what: &str, mut ours: Vec<Duration>, mut peers: Vec<Duration>) {
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (ours, peers) = (median(&mut ours), median(&mut peers));
    println!("{what:<66} {ours:>7.3} s {peers:>7.3} s {:>6.2}x", peers / ours);
}

fn drop_caches() -> io::Result<()> {
    fs::write("/proc/sys/vm/drop_caches", "3")
}
