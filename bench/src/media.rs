//! Tape backup and restore against `tar --posix` with zstd of the same level and threads, synced. Ours includes BLAKE3 of
//! every file and every compressed frame, index, record and contents table.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use resplit_operations::{
    ids::{HostId, LibraryId, PoolId, VolumeId},
    pair::Tag,
    record::Record,
    site::{Library, MediaDriverKind},
    units::Size,
};
use resplit_steps::{
    context::Work,
    drivers::{
        media::{LibraryRef, MediaDriver, NewDataset, Wanted},
        virtual_library::VirtualLibrary,
    },
};

/// How long something took, and how much processor time.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    processor: Duration,
}

/// Measures one thing done here or by child processes.
fn cost(work: impl FnOnce() -> Outcome<()>) -> Outcome<Cost> {
    let (before, begun) = (processor_time()?, Instant::now());
    work()?;
    Ok(Cost { wall: begun.elapsed(), processor: processor_time()?.saturating_sub(before) })
}

/// Processor time of this process and of its children that have ended: on a machine that others use too, it says more
/// than the clock.
fn processor_time() -> Outcome<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Rounds of which the median counts.
const ROUNDS: usize = 5;

/// Measures, and prints what came of it.
pub(crate) fn run(scratch: &Path) {
    if let Err(error) = measure(scratch) {
        eprintln!("media: {error}");
    }
}

fn measure(scratch: &Path) -> Outcome<()> {
    for (name, make) in [
        ("20 000 small files, text", make_small as fn(&Path) -> Outcome<()>),
        ("8 files of 64 MiB, text", make_text),
        ("8 files of 64 MiB, noise", make_noise),
    ] {
        let directory = scratch.join("media");
        fs::create_dir_all(&directory)?;
        let source = directory.join("source");
        make(&source)?;
        let outcome = compare(name, &directory, &source);
        fs::remove_dir_all(&directory)?;
        outcome?;
    }
    Ok(())
}

fn compare(name: &str, directory: &Path, source: &Path) -> Outcome<()> {
    let mut backups = [Vec::new(), Vec::new()];
    let mut restores = [Vec::new(), Vec::new()];
    let mut sizes = [0, 0];
    for round in 0..=ROUNDS {
        // The first of each pair alternates; the first round only warms up.
        for turn in 0..2 {
            let which = (round + turn) % 2;
            shell(directory, "sync -f .")?;
            let (backup, restore, size) = if which == 0 { ours(directory, source)? } else { tar(directory)? };
            sizes[which] = size;
            if round > 0 {
                backups[which].push(backup);
                restores[which].push(restore);
            }
        }
    }
    for (what, times) in [("backup", &backups), ("restore", &restores)] {
        let [ours, tar] = times;
        for (of, time) in
            [("time", (|c| c.wall) as fn(&Cost) -> Duration), ("processor time", |c| c.processor)]
        {
            let (ours, tar) = (median(ours.iter().map(time)), median(tar.iter().map(time)));
            println!(
                "media: {name}: {what}: {of}: ours {:.3} s, tar with zstd {:.3} s: {:.2} x as fast",
                ours.as_secs_f64(),
                tar.as_secs_f64(),
                tar.as_secs_f64() / ours.as_secs_f64()
            );
        }
    }
    println!("media: {name}: bytes on tape: ours {}, tar with zstd {}", sizes[0], sizes[1]);
    Ok(())
}

fn ours(directory: &Path, source: &Path) -> Outcome<(Cost, Cost, u64)> {
    let library = Library {
        driver: MediaDriverKind::Virtual,
        host: "bench".into(),
        path: directory.join("vault"),
        slots: 1,
        drives: 1,
        cartridge_size: Size(1 << 40),
        pools: vec!["bench".into()],
    };
    let library = LibraryRef { id: &LibraryId::from("vault"), library: &library };
    let driver = VirtualLibrary::new();
    let record: Record = serde_json::from_str(RECORD)?;
    let volume = VolumeId::from("source");
    driver.inventory(&library)?;
    let dataset = NewDataset {
        barcode: &"VT0001".into(),
        pool: &PoolId::from("bench"),
        tag: Tag("bench/1".into()),
        host: &HostId::from("bench"),
        sources: &[(volume.clone(), source.to_owned())],
        record: &record,
        expires: None,
        written: Timestamp::now(),
    };
    let mut size = 0;
    let backup = cost(|| {
        size = driver.write(&library, &dataset, &Work::silent())?.bytes;
        Ok(())
    })?;
    let to: PathBuf = directory.join("to-ours");
    let wanted = Wanted { to: &[(volume.clone(), &to)], paths: &[], replace: false };
    let restore = cost(|| {
        driver.read(&library, &"VT0001".into(), 1, &wanted, &Work::silent())?;
        Ok(())
    })?;
    fs::remove_dir_all(&to)?;
    fs::remove_dir_all(directory.join("vault"))?;
    Ok((backup, restore, size))
}

fn tar(directory: &Path) -> Outcome<(Cost, Cost, u64)> {
    let command = "tar --posix --xattrs -cf - source | zstd -q -3 -T2 -o tape.zst && sync -d tape.zst";
    let backup = cost(|| shell(directory, command))?;
    let size = fs::metadata(directory.join("tape.zst"))?.len();
    fs::create_dir(directory.join("to-tar"))?;
    let options = "--xattrs --xattrs-include='*' --numeric-owner -C to-tar";
    let command = format!("zstd -qdc tape.zst | tar -xpf - {options} && sync -f to-tar");
    let restore = cost(|| shell(directory, &command))?;
    fs::remove_dir_all(directory.join("to-tar"))?;
    fs::remove_file(directory.join("tape.zst"))?;
    Ok((backup, restore, size))
}

fn shell(directory: &Path, command: &str) -> Outcome<()> {
    let status = Command::new("bash").args(["-c", command]).current_dir(directory).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command}: {status}").into()) }
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn make_small(root: &Path) -> Outcome<()> {
    for directory in 0..200 {
        let path = root.join(format!("directory-{directory}"));
        fs::create_dir_all(&path)?;
        for file in 0..100 {
            let length = (directory * 7919 + file * 104_729) % 16_384;
            fs::write(path.join(format!("file-{file}.txt")), text(directory * 100 + file, length))?;
        }
    }
    Ok(())
}

fn make_text(root: &Path) -> Outcome<()> {
    fs::create_dir_all(root)?;
    for file in 0..8 {
        let mut out = fs::File::create(root.join(format!("file-{file}")))?;
        for part in 0..64 {
            out.write_all(&text(file * 64 + part, 1 << 20))?;
        }
    }
    Ok(())
}

fn make_noise(root: &Path) -> Outcome<()> {
    fs::create_dir_all(root)?;
    let mut state = 88_172_645_463_325_252_u64;
    for file in 0..8 {
        let mut out = fs::File::create(root.join(format!("file-{file}")))?;
        for _ in 0..64 {
            let part: Vec<u8> = (0..1 << 17).flat_map(|_| random(&mut state).to_le_bytes()).collect();
            out.write_all(&part)?;
        }
    }
    Ok(())
}

/// Words in random order: compresses about as well as text does.
fn text(seed: u64, length: u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "mirror", "split", "the", "of", "backup", "tape", "and", "volume", "primary", "restore", "a", "is",
        "image", "catalog", "record", "quiesce",
    ];
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        let number = random(&mut state);
        let word = WORDS.get(usize::try_from(number >> 60).unwrap_or(0)).copied().unwrap_or_default();
        bytes.extend_from_slice(word.as_bytes());
        bytes.push(b' ');
        if number.is_multiple_of(5) {
            bytes.extend_from_slice(format!("{:x} ", number >> 44).as_bytes());
        }
    }
    bytes.truncate(usize::try_from(length).unwrap_or(0));
    bytes
}

const fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

const RECORD: &str = r#"{"id":"0000000001","original_id":"0000000001","source_host":"bench","operation":"bench",
"run":"bench-1","mode":"online","started":"2026-11-20T02:00:00Z","ended":"2026-11-20T02:00:01Z","images":[],
"medium":{"medium":"disk"},"standing":{"standing":"current"},"tape":{"tape":"wanted"},"entered":"2026-11-20T02:00:02Z"}"#;
