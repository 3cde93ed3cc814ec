//! The bytes of a file: what programs see, and what a power cut leaves of them.
//!
//! Between two syncs a disk may write any sector, in any order, in any of the states that it went through. The size is
//! metadata: of its changes a beginning is kept, never a later one without those before it.

use std::sync::Arc;

use fastrand::Rng;

/// What a disk writes whole, in bytes.
pub const SECTOR: usize = 512;
/// What room is counted in, in bytes.
pub const BLOCK: usize = 4096;

/// A change that no sync has followed.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, data: Arc<[u8]> },
    Size(usize),
}

/// The bytes of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    seen: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
    /// Whether what is seen was lost in part by a sync that failed.
    failed: bool,
    /// Which blocks have room of their own.
    blocks: Vec<bool>,
}

impl Content {
    /// What programs see.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// How many blocks have room.
    pub(crate) fn allocated(&self) -> u64 {
        self.blocks.iter().filter(|block| **block).count() as u64
    }

    /// How many more blocks are needed for so many bytes at an offset.
    pub(crate) fn missing(&self, offset: usize, length: usize) -> u64 {
        let range = offset / BLOCK..(offset + length).div_ceil(BLOCK);
        range.filter(|block| !self.blocks.get(*block).copied().unwrap_or(false)).count() as u64
    }

    /// Gives these bytes room.
    pub(crate) fn allocate(&mut self, offset: usize, length: usize) {
        let end = (offset + length).div_ceil(BLOCK);
        if self.blocks.len() < end {
            self.blocks.resize(end, false);
        }
        self.blocks[offset / BLOCK..end].fill(true);
    }

    /// Writes; room is given.
    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        self.allocate(offset, data.len());
        write(Arc::make_mut(&mut self.seen), offset, data);
        self.pending.push(Change::Write { offset, data: data.into() });
    }

    /// Sets the size; what is cut off gives its room back.
    pub(crate) fn resize(&mut self, size: usize) {
        Arc::make_mut(&mut self.seen).resize(size, 0);
        self.blocks.truncate(size.div_ceil(BLOCK));
        self.pending.push(Change::Size(size));
    }

    /// Makes everything durable.
    pub(crate) fn sync(&mut self) {
        if self.failed {
            // Only what was changed since is written; what the failed sync lost stays lost.
            let mut random = Rng::with_seed(0);
            self.durable = Arc::new(self.survives(&mut random, true));
        } else {
            self.durable = Arc::clone(&self.seen);
        }
        self.pending.clear();
    }

    /// A sync that fails: what was not durable is written or not, by chance, and no later sync tries again, though
    /// programs go on seeing it.
    pub(crate) fn sync_fails(&mut self, random: &mut Rng) {
        self.durable = Arc::new(self.survives(random, false));
        self.pending.clear();
        self.failed = true;
    }

    /// What a power cut leaves.
    pub(crate) fn cut(&self, random: &mut Rng) -> Self {
        let left = Arc::new(self.survives(random, false));
        let mut blocks = self.blocks.clone();
        blocks.resize(left.len().div_ceil(BLOCK), true);
        Self { seen: Arc::clone(&left), durable: left, pending: Vec::new(), failed: false, blocks }
    }

    /// What is on the disk if chance, or a sync that succeeds, decides what is written.
    fn survives(&self, random: &mut Rng, all: bool) -> Vec<u8> {
        if self.pending.is_empty() {
            return self.durable.to_vec();
        }
        // After a sync that failed, a sector that is written again goes to the disk as it is seen.
        let mut seen = if self.failed { self.seen.to_vec() } else { self.durable.to_vec() };
        let mut disk = self.durable.to_vec();
        let mut size = disk.len();
        // From one change of the size on, none is kept.
        let mut sizes_kept = if all { self.pending.len() } else { random.usize(..=self.pending.len()) };
        for change in &self.pending {
            match change {
                Change::Size(new) => {
                    seen.resize(*new, 0);
                    if sizes_kept > 0 {
                        // What was cut off is gone, whatever size follows.
                        disk.resize(*new, 0);
                        size = *new;
                    }
                }
                Change::Write { offset, data } => {
                    write(&mut seen, *offset, data);
                    let end = offset + data.len();
                    if sizes_kept > 0 {
                        size = size.max(end);
                    }
                    // Kept, lost, or torn.
                    let fate = if all { 0 } else { random.u8(..3) };
                    for sector in offset / SECTOR..end.div_ceil(SECTOR) {
                        if fate == 0 || (fate == 1 && random.bool()) {
                            let from = sector * SECTOR;
                            let to = (from + SECTOR).min(seen.len());
                            write(&mut disk, from, &seen[from..to]);
                        }
                    }
                }
            }
            sizes_kept = sizes_kept.saturating_sub(1);
        }
        disk.resize(size, 0);
        disk
    }
}

/// Writes into a vector; a gap before it is filled with zeros.
fn write(to: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(data);
}
