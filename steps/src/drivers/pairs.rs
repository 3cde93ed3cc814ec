//! What makes, splits and restores pairs.

use std::path::{Path, PathBuf};

use resplit_operations::pair::{CopyReport, PairRef, PairState, Tag};

use super::{
    directory::copy_out::copy_out,
    stream::{Opening, Stop, Talk},
    users::users_of,
};
use crate::{context::Work, failure::Failure};

/// A kind of pair.
///
/// # Contract
///
/// - The world, not the driver, remembers: a new driver value on the same paths knows all that the last one knew.
/// - Every verb writes its tag before its first effect and its report after its last, so that [`PairDriver::status`]
///   can say what became of a verb that was interrupted. Calling an interrupted verb again completes it.
/// - A token lower than the highest that the pair has seen is refused, and nothing is touched.
/// - When a verb returns, what it did is durable. After a power cut an image that was split is whole.
/// - A verb that fails, is killed or is cancelled leaves a status that says so (COPY, PSUE or RCPY), never PAIR or PSUS.
pub trait PairDriver: Send + Sync {
    /// The status of a pair. A pair that was never made is SMPL with epoch 0.
    fn status(&self, pair: &PairRef) -> Result<PairState, Failure>;

    /// What a resync would refuse before it touches anything, as far as that is told without reading either side: a
    /// primary that is not there, a secondary that is mounted or too small. Changes nothing.
    fn ready(&self, pair: &PairRef) -> Result<(), Failure> {
        let _ = pair;
        Ok(())
    }

    /// Makes the secondary equal to the primary; the pair is PAIR. Creates an SMPL pair. The epoch counts up before the
    /// secondary's first change. Space is checked before.
    fn resync(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure>;

    /// Makes the last pass, and leaves an image; the pair is PSUS, its `backed_up` is `order`. The report is of the
    /// whole image; files that changed meanwhile are fuzzy.
    fn split(&self, pair: &PairRef, order: u64, asked: &Asked<'_>) -> Result<CopyReport, Failure>;

    /// Copies the image back over the primary; the pair is RCPY meanwhile and PSUS afterwards, with the epoch and
    /// `backed_up` that it had.
    fn restore(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure>;

    /// Dissolves the pair: what the driver has made of it goes, and it is SMPL. Its epoch and token outlast it, so that no
    /// record of an image that it held is ever taken for one of a pair that is made anew, and no run whose lease is over
    /// makes it again. An SMPL pair is left alone. Refused while a restore from it has begun and not ended.
    fn delete(&self, pair: &PairRef, asked: &Asked<'_>) -> Result<CopyReport, Failure> {
        let _ = asked;
        Err(Failure::refused(format!("the driver of pair {} dissolves no pairs", pair.copy_group))
            .with_help("remove what it has made by the means of what it drives; nothing was touched"))
    }

    /// What a restore would destroy: how the primary differs from the image.
    fn difference(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure>;

    /// Makes the image of a split pair readable as a tree, and gives the tree's root. An image that is a volume is
    /// mounted read-only at `at`, which is made; a driver whose image is a tree already leaves `at` alone. Asked again, it
    /// gives the same. [`super::mounts::close`] undoes it, whatever the driver.
    fn open_image(&self, pair: &PairRef, at: &Path) -> Result<PathBuf, Failure>;

    /// What a resync would do: how the secondary differs from the primary. `removed` and `replaced` are of the
    /// secondary, `returned` is what only the primary has, `bytes` what would be written. Changes nothing.
    fn pending(&self, pair: &PairRef, work: &Work) -> Result<Difference, Failure>;

    /// Who uses the primary, each in a few words: what a restore would change beneath them.
    fn users(&self, pair: &PairRef) -> Result<Vec<String>, Failure> {
        Ok(users_of(&pair.primary).iter().map(|user| format!("{} ({})", user.name, user.pid)).collect())
    }

    /// Whether an image is a volume, which has to be mounted before it can be read.
    fn mounts_images(&self) -> bool {
        false
    }

    /// Whether a split writes to the file system of the primary, which can then not be frozen meanwhile.
    fn writes_to_primary(&self, pair: &PairRef) -> bool {
        let _ = pair;
        false
    }

    /// What a backup of this primary reads, as far as it can be told beforehand.
    fn content(&self, primary: &Path) -> Result<Content, Failure> {
        Ok(Content::Tree(primary.to_owned()))
    }

    /// Readies a secondary to be overwritten from elsewhere, without the primary, which may be lost: a pair that follows
    /// it does so no more, the epoch counts up, the status is COPY, and the empty tree to write to is given; a secondary
    /// that is a volume is mounted at `at`. Refused while a restore from it has begun and not ended.
    /// [`PairDriver::end_overwrite`] makes it PSUS.
    fn begin_overwrite(&self, pair: &PairRef, at: &Path, asked: &Asked<'_>) -> Result<PathBuf, Failure>;

    /// Ends what [`PairDriver::begin_overwrite`] began: what was written is made durable and is the image now; it is
    /// mounted no more.
    fn end_overwrite(&self, pair: &PairRef, report: &CopyReport, asked: &Asked<'_>) -> Result<(), Failure>;

    /// Copies files and directories of an image, given relative to its root, to another place: `to/` + their path. What
    /// stands there already is refused before anything is copied. All of the image if `paths` is empty.
    fn copy_out(
        &self,
        image: &Path,
        paths: &[PathBuf],
        to: &Path,
        work: &Work,
    ) -> Result<CopyReport, Failure> {
        copy_out(image, paths, to, work)
    }

    /// The same from the image of a split pair, which is opened at `at` if it is a volume.
    fn fetch(
        &self,
        pair: &PairRef,
        at: &Path,
        (paths, to): (&[PathBuf], &Path),
        work: &Work,
    ) -> Result<CopyReport, Failure> {
        self.copy_out(&self.open_image(pair, at)?, paths, to, work)
    }

    /// Temporary files that an interrupted verb has left, and that the next one removes. A thousand at most are named.
    fn remnants(&self, pair: &PairRef) -> Result<Vec<PathBuf>, Failure> {
        let _ = pair;
        Ok(Vec::new())
    }

    /// Removes this host's cached knowledge of the secondary, or says why that is not needed.
    fn purge_cache(&self, pair: &PairRef) -> Result<&'static str, Failure>;

    /// Answers what the host of the primary asks of a pair whose secondary is here: see [`super::stream`]. What changes the
    /// pair is asked of one conversation at a time.
    fn answer(&self, opening: &Opening, asked: &Asked<'_>, talk: &mut Talk) -> Result<(), Stop> {
        let _ = (asked, talk);
        let text = format!("the driver of pair {} sends no streams", opening.pair.copy_group);
        Err(Failure::refused(text).with_help("use the driver `directory`").into())
    }
}

/// What a backup reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The tree below this directory.
    Tree(PathBuf),
    /// A volume whose files cannot be seen now, of so many bytes.
    Volume(u64),
}

/// Who asks a verb, and how long work is watched.
pub struct Asked<'a> {
    /// The run and step.
    pub tag: Tag,
    /// The fencing token.
    pub token: u64,
    /// Progress and cancellation.
    pub work: &'a Work,
}

/// How what would be overwritten differs from what it would be made equal to: of a restore, the primary from the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// Entries that only the primary has: they would be removed.
    pub removed: u64,
    /// Entries that differ: they would be replaced by older content.
    pub replaced: u64,
    /// Entries that only the image has: they would come back.
    pub returned: u64,
    /// Bytes of content to be written.
    pub bytes: u64,
    /// At most twenty of those removed or replaced, relative to the root, with what would happen.
    pub examples: Vec<String>,
}
