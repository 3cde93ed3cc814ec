//! The book of a pair: `pair.json` in the directory of its secondary. It is the world that a probe asks: what the pair
//! is, which verb touched it last, under which token, and what came of it. Each driver keeps its own knowledge beside.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use resplit_operations::{
    ids::{CopyGroup, VolumeId},
    pair::{LastVerb, PairRef, PairState, PairStatus},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::failure::Failure;

/// Its name, and where the next one is made.
const FILE: &str = "pair.json";
pub(super) const NEW: &str = "pair.json.new";
/// The lock that a verb holds.
pub(super) const LOCK: &str = "lock";
/// The format that is written and read.
const FORMAT: u32 = 1;

/// What `pair.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book<E> {
    format: u32,
    pub(super) volume: VolumeId,
    pub(super) copy_group: CopyGroup,
    pub(super) primary: PathBuf,
    /// When the pair was made, in nanoseconds: with its names, its identity.
    made: i128,
    pub(super) status: PairStatus,
    pub(super) epoch: u64,
    pub(super) backed_up: u64,
    pub(super) token: u64,
    pub(super) last: Option<LastVerb>,
    /// Why the last verb failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// What only the driver knows.
    #[serde(flatten)]
    pub(super) extra: E,
}

mod guards;
mod lock;
mod verb;

pub(super) use guards::{has_image, is_overwritten, not_restoring, restoring, splittable};
pub(super) use lock::Lock;
pub(super) use verb::{Verb, done, open, open_or_new, unusable};

impl<E: Clone + Default + Serialize + DeserializeOwned> Book<E> {
    /// That of a pair that was never made.
    pub(super) fn new(pair: &PairRef, made: jiff::Timestamp) -> Self {
        Self {
            format: FORMAT,
            volume: pair.volume.clone(),
            copy_group: pair.copy_group.clone(),
            primary: pair.primary.clone(),
            made: made.as_nanosecond(),
            status: PairStatus::Smpl,
            epoch: 0,
            backed_up: 0,
            token: 0,
            last: None,
            error: None,
            extra: E::default(),
        }
    }

    /// Reads a pair's state; `None` if it was never made.
    pub(super) fn read(pair: &PairRef) -> Result<Option<Self>, Failure> {
        let path = pair.secondary.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(pair, &path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_foreign(&pair.secondary).map(|()| None)
            }
            Err(error) => Err(Failure::io("read", &path, &error)),
        }
    }

    fn parse(pair: &PairRef, path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        let place = path.display();
        let anew = format!(
            "if the copy is not needed, move {} away: the next resync makes the pair anew",
            pair.secondary.display()
        );
        let state: Self = serde_json::from_slice(bytes).map_err(|error| {
            Failure::refused(format!("{place} is damaged ({error}): the pair's status cannot be known"))
                .with_help(anew.clone())
        })?;
        if state.format != FORMAT {
            let message = format!("{place} has format {}; this version reads {FORMAT}", state.format);
            return Err(Failure::refused(message).with_help("use the version that made it"));
        }
        // A pair that was dissolved holds nothing: its place is free for another, whose epochs go on from there.
        if state.status == PairStatus::Smpl {
            let (volume, copy_group) = (pair.volume.clone(), pair.copy_group.clone());
            return Ok(Self { volume, copy_group, primary: pair.primary.clone(), ..state });
        }
        if state.volume != pair.volume || state.copy_group != pair.copy_group || state.primary != pair.primary
        {
            return Err(Failure::refused(format!(
                "{} is the secondary of another pair: {place} is of volume '{}', copy group '{}', primary {}; asked \
                 for volume '{}', copy group '{}', primary {}",
                pair.secondary.display(),
                state.volume,
                state.copy_group,
                state.primary.display(),
                pair.volume,
                pair.copy_group,
                pair.primary.display()
            ))
            .with_help(format!("correct the pair's paths in the site file, or, {anew}")));
        }
        Ok(state)
    }

    /// Replaces `pair.json`. Durable when it returns.
    pub(super) fn write(&self, secondary: &Path) -> Result<(), Failure> {
        let new = secondary.join(NEW);
        let path = secondary.join(FILE);
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::permanent(format!("cannot write {}: {error}", path.display())))?;
        bytes.push(b'\n');
        replace(secondary, &new, &path, &bytes).map_err(|error| Failure::io("write", &path, &error))
    }

    /// The pair's identity, for what belongs to it.
    pub(super) fn identity(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for part in [self.volume.as_str(), self.copy_group.as_str()] {
            let _ = hasher.update(part.as_bytes()).update(&[0]);
        }
        *hasher.update(&self.made.to_le_bytes()).finalize().as_bytes()
    }

    /// What the driver says when it is asked.
    pub(super) fn public(&self) -> PairState {
        PairState {
            status: self.status,
            epoch: self.epoch,
            backed_up: self.backed_up,
            token: self.token,
            last: self.last.clone(),
            percent: None,
        }
    }
}

/// Writes a file whole under another name, and renames it. Durable when it returns.
fn replace(directory: &Path, new: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    File::open(directory)?.sync_all()
}

/// A directory that holds something and no `pair.json` is not ours to overwrite.
fn refuse_foreign(secondary: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(secondary) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("read the directory", secondary, &error)),
    };
    for entry in entries {
        let name = entry.map_err(|error| Failure::io("read the directory", secondary, &error))?.file_name();
        // What is left of a creation that was killed before the pair existed.
        if name != LOCK && name != NEW {
            return Err(Failure::refused(format!(
                "{} is not empty and has no {FILE}: it is no pair's secondary (it holds {})",
                secondary.display(),
                name.display()
            ))
            .with_help("name an empty or new directory as secondary, or move what is in it away"));
        }
    }
    Ok(())
}
