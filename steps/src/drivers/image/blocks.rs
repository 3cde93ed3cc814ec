//! The hash map of an image: for each block what is in it, as of the last pass. By it the next pass finds what differs
//! without looking at the copy. The file is a header, the hashes, and a checksum over both.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

const MAGIC: &[u8; 16] = b"resplit blocks1\n";
const HEADER: usize = MAGIC.len() + 32 + 8 + 8 + 4;
const HASH: usize = blake3::OUT_LEN;

/// Bytes in a block. Smaller ones find less to write where little changed, and make the map larger: this one takes a
/// two-thousandth of the image.
pub(super) const BLOCK: usize = 64 << 10;

/// What is in a block.
pub(super) type Hash = [u8; HASH];

/// That of a block of zeros, which is not on disk where that can be: BLAKE3 gives it to nothing that is known.
pub(super) const ZEROS: Hash = [0; HASH];

/// That of a block of which nothing is known: no block has it.
pub(super) const UNKNOWN: Hash = [0xff; HASH];

/// Of which pass of which pair a map is.
#[derive(Clone, Copy)]
pub(super) struct Header {
    /// The pair's own ID, so that the map of another pair is not taken for this one's.
    pub(super) pair: [u8; 32],
    pub(super) pass: u64,
}

/// The hashes of all blocks of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Bytes that the image has; the last block may be shorter.
    pub(super) size: u64,
    pub(super) hashes: Vec<Hash>,
}

/// What is in a block.
pub(super) fn hash(block: &[u8]) -> Hash {
    if is_zero(block) { ZEROS } else { *blake3::hash(block).as_bytes() }
}

fn is_zero(block: &[u8]) -> bool {
    let (first, words, last) = (block.get(..16), block.chunks_exact(16), block.chunks_exact(16).remainder());
    first.is_none_or(|first| first == [0; 16])
        && words.into_iter().all(|word| word == [0; 16])
        && last.iter().all(|byte| *byte == 0)
}

impl Blocks {
    /// How many an image has.
    pub(super) fn count(size: u64) -> u64 {
        size.div_ceil(bytes(BLOCK))
    }

    /// Those of an image of zeros.
    pub(super) fn zeros(size: u64) -> Self {
        let count = usize::try_from(Self::count(size)).unwrap_or(usize::MAX);
        Self { size, hashes: vec![ZEROS; count] }
    }

    /// Gives the image another size: what is new is zero, and nothing is known of a last block that has another length
    /// now. An image of a file grows like that.
    pub(super) fn resize(&mut self, size: u64) {
        let kept = usize::try_from(size.min(self.size) / bytes(BLOCK)).unwrap_or(usize::MAX);
        if size == self.size {
            return;
        }
        let mut new = Self::zeros(size);
        new.hashes[..kept].copy_from_slice(&self.hashes[..kept]);
        // So that it is written: one that was cut has another hash, and one that grew, too.
        if let (Some(new), Some(old)) = (new.hashes.get_mut(kept), self.hashes.get(kept))
            && *old != ZEROS
        {
            *new = UNKNOWN;
        }
        *self = new;
    }

    /// Reads a map; `None` if there is none, or it is damaged, or of another pass.
    pub(super) fn read(path: &Path, header: Header) -> Option<Self> {
        let file = fs::read(path).ok()?;
        let (body, checksum) = file.split_at_checked(file.len().checked_sub(HASH)?)?;
        let (head, hashes) = body.split_at_checked(HEADER)?;
        let size = u64::from_le_bytes(*head.get(56..64)?.first_chunk()?);
        let wanted = Self { size, hashes: Vec::new() }.head(header);
        if head != wanted || blake3::hash(body).as_bytes() != checksum {
            return None;
        }
        let (hashes, rest) = hashes.as_chunks();
        let count = usize::try_from(Self::count(size)).ok()?;
        (rest.is_empty() && hashes.len() == count).then(|| Self { size, hashes: hashes.to_vec() })
    }

    fn head(&self, header: Header) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEADER);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&header.pair);
        head.extend_from_slice(&header.pass.to_le_bytes());
        head.extend_from_slice(&self.size.to_le_bytes());
        head.extend_from_slice(&u32::try_from(BLOCK).unwrap_or(u32::MAX).to_le_bytes());
        head
    }

    /// Writes the map at `new`, durably, and renames it. Only once the image that it describes is durable.
    pub(super) fn write(&self, new: &Path, path: &Path, header: Header) -> io::Result<()> {
        let head = self.head(header);
        let hashes = self.hashes.as_flattened();
        let checksum = blake3::Hasher::new().update(&head).update(hashes).finalize();
        let mut file = File::create(new)?;
        file.write_all(&head)?;
        file.write_all(hashes)?;
        file.write_all(checksum.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}

/// A length in memory as one on disk.
pub(super) fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { pair: [7; 32], pass: 3 };

    fn map(size: u64) -> Blocks {
        let mut blocks = Blocks::zeros(size);
        for (at, hash) in (1_u8..).zip(&mut blocks.hashes) {
            *hash = [at; 32];
        }
        blocks
    }

    #[test]
    fn a_map_is_read_as_it_was_written_and_not_if_anything_of_it_differs() {
        let place = tempfile::tempdir().unwrap();
        let (new, path) = (place.path().join("blocks.new"), place.path().join("blocks"));
        let blocks = map(3 * 65_536 + 1);
        assert_eq!(blocks.hashes.len(), 4);
        blocks.write(&new, &path, HEADER).unwrap();
        assert!(!new.exists());
        assert_eq!(Blocks::read(&path, HEADER), Some(blocks));
        assert_eq!(Blocks::read(&path, Header { pass: 4, ..HEADER }), None);
        assert_eq!(Blocks::read(&path, Header { pair: [8; 32], ..HEADER }), None);
        assert_eq!(Blocks::read(&new, HEADER), None);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(Blocks::read(&path, HEADER), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(Blocks::read(&path, HEADER), None, "cut at {at}");
        }
    }

    #[test]
    fn what_grows_is_zero_and_a_block_of_another_length_is_not_known() {
        let block = bytes(BLOCK);
        let mut blocks = map(2 * block + 5);
        blocks.resize(3 * block);
        assert_eq!(blocks.hashes, [[1; 32], [2; 32], [0xff; 32]]);
        blocks.resize(5 * block);
        assert_eq!(blocks.hashes, [[1; 32], [2; 32], [0xff; 32], ZEROS, ZEROS]);
        blocks.resize(block);
        assert_eq!(blocks.hashes, [[1; 32]]);
        blocks.resize(block - 1);
        assert_eq!(blocks.hashes, [[0xff; 32]]);
        let mut zeros = Blocks::zeros(block + 1);
        zeros.resize(2 * block);
        assert_eq!(zeros.hashes, [ZEROS, ZEROS]);
        zeros.resize(0);
        assert_eq!(zeros.hashes, [ZEROS; 0]);
    }

    #[test]
    fn a_block_of_zeros_is_known_whatever_its_length() {
        for length in [0, 1, 15, 16, 17, 4096, BLOCK] {
            assert_eq!(hash(&vec![0; length]), ZEROS);
            for at in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|at| *at < length) {
                let mut block = vec![0; length];
                block[at] = 1;
                assert_ne!(hash(&block), ZEROS, "{length}, {at}");
            }
        }
    }
}
