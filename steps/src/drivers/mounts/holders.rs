//! What holds a volume: the block devices that lie on it, and the file systems that are mounted from it.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::Mount;

/// What lies on a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::drivers) struct Holders {
    /// Loop devices and mapped devices on it, by their names in `/dev`. Partitions that nothing uses hold nothing.
    pub(in crate::drivers) devices: Vec<PathBuf>,
    /// The mounted file systems, in the order in which they were mounted.
    pub(in crate::drivers) mounts: Vec<Mount>,
}

/// A block device, as `/sys/dev/block` names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Device {
    number: String,
    path: PathBuf,
    is_partition: bool,
}

/// How long a loop device may take to go after what was mounted from it.
const GOING: Duration = Duration::from_secs(5);

impl Holders {
    /// What holds a volume, once what is about to let it go has: the system removes the loop device of a mount a moment
    /// after it was unmounted.
    pub(in crate::drivers) fn settled(volume: &Path) -> io::Result<Self> {
        let began = Instant::now();
        loop {
            let holders = Self::of(volume)?;
            let is_going = holders.mounts.is_empty() && holders.devices.iter().any(|device| goes(device));
            if !is_going || began.elapsed() > GOING {
                return Ok(holders);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What holds a block device or a file. A volume that is not there is held by nothing.
    pub(in crate::drivers) fn of(volume: &Path) -> io::Result<Self> {
        let real = match volume.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let own =
            block_device(&real)?.map(|number| Device { number, path: real.clone(), is_partition: false });
        let loops = loops()?;
        let mut found: BTreeSet<Device> = BTreeSet::new();
        let mut waiting = match &own {
            Some(own) => vec![own.clone()],
            None => on_file(&loops, &real),
        };
        while let Some(device) = waiting.pop() {
            if found.insert(device.clone()) {
                waiting.extend(above(&device.number)?);
                waiting.extend(on_file(&loops, &device.path));
            }
        }
        // A file system on several devices, as btrfs, has a number of its own: it is known by its source.
        let mounted = |mount: &Mount| {
            found.iter().any(|device| mount.device == device.number || is_same(&mount.source, device))
        };
        let mounts = Mount::all()?.into_iter().filter(mounted).collect();
        let holds = |device: &Device| !device.is_partition && Some(device) != own.as_ref();
        let devices = found.iter().filter(|device| holds(device)).map(|device| device.path.clone()).collect();
        Ok(Self { devices, mounts })
    }
}

/// Whether a loop device goes by itself once nobody uses it.
fn goes(device: &Path) -> bool {
    let name = device.file_name().unwrap_or_default();
    let text = fs::read_to_string(Path::new("/sys/block").join(name).join("loop/autoclear"));
    text.is_ok_and(|text| text.trim() == "1")
}

/// The number of a block device, `major:minor`; `None` for a file.
fn block_device(path: &Path) -> io::Result<Option<String>> {
    let found = fs::metadata(path)?;
    let number = found.rdev();
    let text = || format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    Ok(found.file_type().is_block_device().then(text))
}

fn is_same(source: &Path, device: &Device) -> bool {
    source.is_absolute() && block_device(source).is_ok_and(|number| number.as_ref() == Some(&device.number))
}

/// Partitions of a device, and what the device mapper has made of it.
fn above(number: &str) -> io::Result<Vec<Device>> {
    let place = PathBuf::from("/sys/dev/block").join(number);
    let mut found = Vec::new();
    for entry in entries(&place)? {
        if entry.join("partition").exists() {
            found.extend(named(&entry));
        }
    }
    for entry in entries(&place.join("holders"))? {
        found.extend(named(&entry));
    }
    Ok(found)
}

/// All loop devices in use, each with the file behind it.
fn loops() -> io::Result<Vec<(Device, PathBuf)>> {
    let mut found = Vec::new();
    for entry in entries(Path::new("/sys/block"))? {
        let Ok(file) = fs::read_to_string(entry.join("loop/backing_file")) else { continue };
        if let Some(device) = named(&entry) {
            found.push((device, PathBuf::from(file.trim_end_matches('\n'))));
        }
    }
    Ok(found)
}

/// The loop devices on a file, by whichever of its names they were made.
fn on_file(loops: &[(Device, PathBuf)], file: &Path) -> Vec<Device> {
    let identity =
        |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino(), found.rdev())).ok();
    let wanted = identity(file);
    let is_on = |behind: &Path| behind == file || wanted.is_some() && identity(behind) == wanted;
    loops.iter().filter(|(_, behind)| is_on(behind)).map(|(device, _)| device.clone()).collect()
}

/// The device that a directory of `/sys` is of; `None` if it has gone.
fn named(place: &Path) -> Option<Device> {
    let number = fs::read_to_string(place.join("dev")).ok()?.trim().to_owned();
    let is_partition = place.join("partition").exists();
    Some(Device { number, path: Path::new("/dev").join(place.file_name()?), is_partition })
}

/// What a directory holds; nothing, if it is not there.
fn entries(place: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(place) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}
