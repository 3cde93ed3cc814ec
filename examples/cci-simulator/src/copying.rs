//! Copies: how far they have come, and what they do to the files.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use resplit_operations::pair::verdict::{
    ArrayStatus::{self, Copy, Pair as Paired, Psue, Psus, Rcpy, Smpl, Splitting},
    CopyType,
};

use crate::array::{Copying, Pair, Speed};

/// How much of a volume is written at once.
const TRACK: usize = 256 << 10;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Pair {
    /// Begins a copy that leads to another status.
    pub(crate) fn begin(
        &mut self,
        at_once: ArrayStatus,
        finally: ArrayStatus,
        pace: u8,
        speed: Speed,
    ) -> io::Result<()> {
        // What is copied to loses its content at once, not when the copy ends.
        match at_once {
            Copy if finally == Paired => copy(&self.primary.path, &self.secondary.path, true)?,
            Rcpy => copy(&self.secondary.path, &self.primary.path, true)?,
            // The image of a split is of the moment of the split, however long its copy takes.
            Copy | Splitting if finally == Psus => self.copy_out()?,
            _ => {}
        }
        let from = if matches!(self.status, Smpl | Psue) { 0 } else { self.equal };
        self.status = at_once;
        self.equal = from;
        self.copying = Some(Copying { since: now(), from, pace: pace.max(1), finally });
        if speed == Speed::AtOnce {
            self.finish()?;
        }
        Ok(())
    }

    /// Goes to a status in which nothing is copied.
    pub(crate) fn go(&mut self, status: ArrayStatus) -> io::Result<()> {
        // Everything written before a split reaches the secondary, unless its copy did not come so far.
        if status == Psus && self.copying.is_none() {
            self.copy_out()?;
        }
        if status == Smpl && self.copy_type == CopyType::ThinImage {
            // A snapshot that is dissolved is gone.
            clear(&self.secondary.path)?;
        }
        (self.status, self.copying) = (status, None);
        Ok(())
    }

    /// Brings a copy that goes by time up to now.
    pub(crate) fn settle(&mut self, speed: Speed) -> io::Result<()> {
        let (Some(copying), Speed::PercentPerSecond(rate)) = (self.copying, speed) else { return Ok(()) };
        let passed = now().saturating_sub(copying.since);
        let done = passed.saturating_mul(u64::from(rate)).saturating_mul(u64::from(copying.pace)) / 1000;
        self.equal = u8::try_from(u64::from(copying.from).saturating_add(done).min(100)).unwrap_or(100);
        if self.equal == 100 { self.finish() } else { Ok(()) }
    }

    /// Ends a copy.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let Some(copying) = self.copying.take() else { return Ok(()) };
        if std::mem::take(&mut self.breaks) {
            self.status = Psue;
            return Ok(());
        }
        match (self.status, copying.finally) {
            (Copy, Paired) => copy(&self.primary.path, &self.secondary.path, false)?,
            (Rcpy, Paired) => copy(&self.secondary.path, &self.primary.path, false)?,
            _ => {}
        }
        (self.status, self.equal) = (copying.finally, 100);
        Ok(())
    }

    fn copy_out(&self) -> io::Result<()> {
        copy(&self.primary.path, &self.secondary.path, false)
    }
}

/// Makes a volume equal to another, writing what differs; half of it, if it only begins.
fn copy(from: &Path, to: &Path, begin: bool) -> io::Result<()> {
    let source = File::open(from)?;
    let target = File::options().read(true).write(true).open(to)?;
    let length = source.metadata()?.len();
    let end = if begin { length / 2 } else { length };
    let (mut read, mut there) = (vec![0; TRACK], vec![0; TRACK]);
    let mut at = 0;
    while at < end {
        let many = source.read_at(&mut read, at)?;
        if many == 0 {
            break;
        }
        let same = target.read_at(&mut there, at)? == many && read[..many] == there[..many];
        if !same {
            target.write_all_at(&read[..many], at)?;
        }
        at += many as u64;
    }
    target.sync_data()
}

fn clear(path: &Path) -> io::Result<()> {
    let length = path.metadata()?.len();
    let file = File::create(path)?;
    file.set_len(length)?;
    file.sync_data()
}
