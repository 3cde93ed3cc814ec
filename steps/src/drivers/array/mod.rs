//! Pairs of arrays, by the commands that a driver file names. The array's own status is the truth about a pair's status;
//! the book in the pair's directory remembers what the array cannot: tags, tokens, epochs, the order of backups.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use resplit_operations::{
    driver::{ArrayPair, Reading, Values},
    ids::HostId,
    pair::{CopyReport, PairRef, PairState, PairStatus},
};
use serde::{Deserialize, Serialize};

use super::{
    book,
    command::CommandRunner,
    pairs::{Asked, Difference, PairDriver},
};
use crate::{
    context::{Clock, Work},
    failure::Failure,
};

mod commands;
mod delete;
mod image;
mod status;
mod up;
mod verbs;

use up::Ups;

/// What the book of an array's pair holds besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Extra {
    /// A restore has copied back, and splits the pair again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    splits_again: bool,
}

type Book = book::Book<Extra>;

/// The driver of pairs that a driver file declares. Each pair brings its file and its settings along.
pub struct ArrayPairs {
    commands: Arc<dyn CommandRunner>,
    /// Where commands leave their files, and where it is noted what was started.
    directory: PathBuf,
    host: HostId,
    clock: Arc<dyn Clock>,
    ups: Ups,
    count: AtomicU64,
}

impl ArrayPairs {
    /// A driver on this host, whose commands leave their files in `directory`.
    pub fn new(
        commands: Arc<dyn CommandRunner>,
        directory: PathBuf,
        host: HostId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { commands, directory, host, clock, ups: Ups::default(), count: AtomicU64::new(0) }
    }

    /// A pair, with what its templates may name on this host.
    fn asking<'a>(&'a self, pair: &'a PairRef) -> Result<Asking<'a>, Failure> {
        let array = pair.array.as_deref().ok_or_else(|| {
            Failure::permanent(format!("pair {} has no driver file", pair.copy_group))
                .with_help("resplit check")
        })?;
        let on_primary = array.primary_host == self.host;
        let values = Values::of(pair, array, on_primary).map_err(|why| {
            Failure::permanent(format!("the driver '{}' cannot be used: {why}", array.driver))
        })?;
        Ok(Asking { driver: self, pair, array, values })
    }
}

/// A pair that is asked about or acted on.
struct Asking<'a> {
    driver: &'a ArrayPairs,
    pair: &'a PairRef,
    array: &'a ArrayPair,
    values: Values,
}

impl PairDriver for ArrayPairs {
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure> {
        self.asking(pair)?.state()
    }

    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.asking(pair)?.resync(asked)
    }

    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.asking(pair)?.split(order, asked)
    }

    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.asking(pair)?.restore(asked)
    }

    fn delete(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        self.asking(pair)?.delete(asked)
    }

    fn difference(&self, pair: &PairRef, _: &Work) -> Result<Difference, Failure> {
        let reading = self.asking(pair)?.reading()?;
        if reading.status != PairStatus::Psus {
            return Err(book::unusable(pair, reading.status, "PSUS to be compared"));
        }
        self.asking(pair).map(|asking| asking.unequal(reading))
    }

    fn pending(&self, pair: &PairRef, _: &Work) -> Result<Difference, Failure> {
        let asking = self.asking(pair)?;
        let reading = asking.reading()?;
        Ok(asking.unequal(reading))
    }

    fn mounts_images(&self) -> bool {
        true
    }

    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure> {
        self.asking(pair)?.open_image(at)
    }

    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure> {
        self.asking(pair)?.begin_overwrite(at, asked)
    }

    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure> {
        self.asking(pair)?.end_overwrite(report, asked)
    }

    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure> {
        self.asking(pair)?.purge_cache()
    }
}

impl Asking<'_> {
    /// What is unequal, as far as an array says: how much, never which files.
    fn unequal(&self, reading: Reading) -> Difference {
        let Some(equal) = reading.progress else {
            let examples = vec!["the array does not say what differs".to_owned()];
            return Difference { examples, ..Difference::default() };
        };
        let bytes = self.size() / 100 * u64::from(100_u8.saturating_sub(equal));
        let examples = vec![format!("{equal} % is equal; the array does not say which files differ")];
        Difference { bytes, examples, ..Difference::default() }
    }
}
