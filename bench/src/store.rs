//! The store: a durable commit against one 512-byte append and fdatasync on the same disk, interleaved; and opening.

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use resplit_engine::store::{Batch, Store, Table};

const ROUNDS: usize = 5;
const KEYS: u32 = 100_000;

/// How many commits of one kind follow each other before the next kind has its turn.
const SLICE: u32 = 50;

/// Prints the ratios. `scratch` is an empty directory on the disk to be measured.
pub(crate) fn run(scratch: &Path) -> Result<(), Box<dyn Error>> {
    println!(
        "{:>7} {:>12} {:>15} {:>7} {:>17} {:>7}   medians of {ROUNDS}, us each",
        "commits", "raw append", "async commit", "ratio", "blocking commit", "ratio"
    );
    for count in [100, 1_000, 10_000] {
        let rounds = (0..ROUNDS).map(|_| round(scratch, count)).collect::<Result<Vec<_>, _>>()?;
        let [raw, waiting, blocking] = [0, 1, 2].map(|kind| {
            median(rounds.iter().map(|times| times[kind]).collect()).as_secs_f64() * 1e6 / f64::from(count)
        });
        let (first, second) = (waiting / raw, blocking / raw);
        println!("{count:>7} {raw:>12.1} {waiting:>15.1} {first:>7.2} {blocking:>17.1} {second:>7.2}");
    }
    println!("resident after these: {} KiB at most", peak_memory()?);
    opening(&scratch.join("opening"))
}

/// So many raw appends, asynchronous and blocking commits, in turns, so that what else the disk does meets all alike.
fn round(scratch: &Path, count: u32) -> Result<[Duration; 3], Box<dyn Error>> {
    let directory = tempfile::TempDir::new_in(scratch)?;
    let mut raw = File::create(directory.path().join("raw"))?;
    let (waiting, _) = Store::open(&directory.path().join("async"))?;
    let (blocking, _) = Store::open(&directory.path().join("blocking"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut times = [Duration::ZERO; 3];
    for first in (0..count).step_by(SLICE as usize) {
        let numbers = first..count.min(first + SLICE);
        let began = Instant::now();
        for _ in numbers.clone() {
            raw.write_all(&[7; 512])?;
            raw.sync_data()?;
        }
        times[0] += began.elapsed();
        let began = Instant::now();
        for number in numbers.clone() {
            runtime.block_on(waiting.commit_async(step(number)?))?;
        }
        times[1] += began.elapsed();
        let began = Instant::now();
        for number in numbers {
            blocking.commit(step(number)?)?;
        }
        times[2] += began.elapsed();
    }
    waiting.close()?;
    blocking.close()?;
    Ok(times)
}

/// What a step of a chain says: an outcome and the next intent, in some 400 bytes.
fn step(number: u32) -> Result<Batch, Box<dyn Error>> {
    let mut batch = Batch::default();
    batch.put(Table::Steps, &format!("run/{number:08}"), &"o".repeat(180))?;
    batch.put(Table::Steps, &format!("run/{:08}", number + 1), &"i".repeat(180))?;
    Ok(batch)
}

fn opening(directory: &Path) -> Result<(), Box<dyn Error>> {
    let (store, _) = Store::open(directory)?;
    for first in (0..KEYS).step_by(1000) {
        let mut batch = Batch::default();
        for number in first..first + 1000 {
            batch.put(Table::History, &format!("{number:010}"), &"h".repeat(256))?;
        }
        store.commit(batch)?;
    }
    store.close()?;
    let (mut clean, mut rebuilt, mut scanned) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let (store, _) = Store::open(directory)?;
        clean.push(began.elapsed());
        drop(store);
        let began = Instant::now();
        let (store, _) = Store::open(directory)?;
        rebuilt.push(began.elapsed());
        let began = Instant::now();
        black_box(store.scan::<String>(Table::History, "")?);
        scanned.push(began.elapsed());
        store.close()?;
    }
    println!(
        "{KEYS} keys of 256 bytes: opened in {:.0?} after an orderly end, {:.0?} after a crash; read in {:.0?}",
        median(clean),
        median(rebuilt),
        median(scanned)
    );
    println!("resident with these: {} KiB at most", peak_memory()?);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The most memory that this process ever had resident, in KiB.
pub(crate) fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
