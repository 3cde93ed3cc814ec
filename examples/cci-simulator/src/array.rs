//! The simulated array: a file that every command reads and replaces under a lock.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use resplit_operations::pair::verdict::{ArrayStatus, CopyType};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// All that there is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Array {
    pub(crate) edition: Edition,
    pub(crate) speed: Speed,
    /// The instances that run.
    pub(crate) running: BTreeSet<u32>,
    /// What the next commands meet.
    pub(crate) injected: Vec<Injected>,
    /// In the order of the configuration file.
    pub(crate) pairs: Vec<Pair>,
}

/// Where editions of the command line disagree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Edition {
    /// `PVOL` rather than `P-VOL`.
    pub(crate) without_hyphen: bool,
    /// What the manuals of the 2000s say, where newer ones say otherwise.
    pub(crate) older: bool,
    /// A refusal is `EX_CMDIOE` rather than `EX_CMDRJE`.
    pub(crate) refusal_is_io_error: bool,
    /// After so many rows `pairdisplay` prints its header again; 0 is never.
    pub(crate) header_every: usize,
    /// A command that asks a remote instance that is down never returns.
    pub(crate) remote_hangs: bool,
    /// `USE_OLD_VCHK`: `pairvolchk -ss` goes by the rule of `-s`.
    pub(crate) old_volchk: bool,
}

/// How fast copies are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Speed {
    /// Over before the command returns.
    #[default]
    AtOnce,
    /// Only when `array advance` says so.
    ByHand,
    /// So many per cent a second, times the pace.
    PercentPerSecond(u32),
}

/// What a command meets instead of the array's own answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Injected {
    /// Its name.
    pub(crate) command: String,
    /// The name of the error.
    pub(crate) error: String,
    /// Whether it does what it was asked before it fails.
    pub(crate) done: bool,
    /// How often.
    pub(crate) times: u32,
}

/// A pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    pub(crate) group: String,
    pub(crate) device: String,
    pub(crate) copy_type: CopyType,
    pub(crate) mu: u32,
    pub(crate) primary: Side,
    pub(crate) secondary: Side,
    pub(crate) status: ArrayStatus,
    #[serde(default)]
    pub(crate) copying: Option<Copying>,
    /// How many per cent the two sides have in common.
    pub(crate) equal: u8,
    /// The next copy breaks the pair.
    #[serde(default)]
    pub(crate) breaks: bool,
    /// A split that was given with `-rw`, or of a copy type whose secondary is always writable then.
    #[serde(default)]
    pub(crate) writable: bool,
    /// How many verbs have been accepted and had no effect.
    #[serde(default)]
    pub(crate) without_effect: u32,
}

/// One volume of a pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Side {
    pub(crate) instance: u32,
    pub(crate) serial: u32,
    pub(crate) ldev: u32,
    /// The file that is the volume.
    pub(crate) path: PathBuf,
}

/// A copy that goes on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copying {
    /// When it began, in milliseconds since 1970.
    pub(crate) since: u64,
    pub(crate) from: u8,
    pub(crate) pace: u8,
    pub(crate) finally: ArrayStatus,
}

/// The array, locked.
pub(crate) struct Locked {
    pub(crate) array: Array,
    directory: PathBuf,
    _lock: File,
}

impl Array {
    /// The pair of these names.
    pub(crate) fn position(&self, group: &str, device: &str) -> Option<usize> {
        self.pairs.iter().position(|pair| pair.group == group && pair.device == device)
    }

    /// Counts down what was injected for a command, and gives it.
    pub(crate) fn meets(&mut self, command: &str) -> Option<Injected> {
        let at = self.injected.iter().position(|one| one.command == command)?;
        let met = self.injected[at].clone();
        if met.times <= 1 {
            let _ = self.injected.remove(at);
        } else {
            self.injected[at].times -= 1;
        }
        Some(met)
    }
}

impl Locked {
    /// Waits for the lock, and reads the array; one without a file has nothing in it. Copies are brought up to now.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let lock = File::options().write(true).create(true).truncate(false).open(directory.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        let array = match fs::read(directory.join("array.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Array::default(),
            Err(error) => return Err(error),
        };
        let mut locked = Self { array, directory: directory.to_owned(), _lock: lock };
        let speed = locked.array.speed;
        for pair in &mut locked.array.pairs {
            pair.settle(speed)?;
        }
        Ok(locked)
    }

    /// Keeps what was changed.
    pub(crate) fn save(&self) -> io::Result<()> {
        let new = self.directory.join("array.json.new");
        fs::write(&new, serde_json::to_vec_pretty(&self.array)?)?;
        fs::rename(new, self.directory.join("array.json"))
    }
}
