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

/// Prints the ratios. `scratch` is an empty directory on the disk to be measured.
pub(crate) fn run(scratch: &Path) -> Result<(), Box<dyn Error>> {
    println!(
        "commits   raw append    async commit     ratio   blocking commit   ratio   (medians of {ROUNDS}, us each)"
    );
    for count in [100, 1_000, 10_000] {
        let (mut raw, mut waiting, mut blocking) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            raw.push(append(scratch, count)?);
            waiting.push(commit(&scratch.join(format!("async-{count}-{round}")), count, true)?);
            blocking.push(commit(&scratch.join(format!("blocking-{count}-{round}")), count, false)?);
        }
        let [raw, waiting, blocking] =
            [raw, waiting, blocking].map(|times| median(times).as_secs_f64() * 1e6 / f64::from(count));
        println!(
            "{count:>7} {raw:>12.1} {waiting:>15.1} {:>9.2} {blocking:>17.1} {:>7.2}",
            waiting / raw,
            blocking / raw
        );
    }
    println!("resident after these: {} KiB at most", peak_memory()?);
    opening(&scratch.join("opening"))
}

fn append(scratch: &Path, count: u32) -> Result<Duration, Box<dyn Error>> {
    let path = scratch.join("raw");
    let mut file = File::create(&path)?;
    let began = Instant::now();
    for _ in 0..count {
        file.write_all(&[7; 512])?;
        file.sync_data()?;
    }
    let took = began.elapsed();
    std::fs::remove_file(path)?;
    Ok(took)
}

/// Commits that each say what a step of a chain says: an outcome and the next intent, with some 400 bytes.
fn commit(directory: &Path, count: u32, waiting: bool) -> Result<Duration, Box<dyn Error>> {
    let (store, _) = Store::open(directory)?;
    let step = |number: u32| -> Result<Batch, Box<dyn Error>> {
        let mut batch = Batch::default();
        batch.put(Table::Steps, &format!("run/{number:08}"), &"o".repeat(180))?;
        batch.put(Table::Steps, &format!("run/{:08}", number + 1), &"i".repeat(180))?;
        Ok(batch)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let began = Instant::now();
    for number in 0..count {
        let batch = step(number)?;
        if waiting {
            runtime.block_on(store.commit_async(batch))?
        } else {
            store.commit(batch)?
        };
    }
    let took = began.elapsed();
    store.close()?;
    std::fs::remove_dir_all(directory)?;
    Ok(took)
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
fn peak_memory() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
