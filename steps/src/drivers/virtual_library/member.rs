//! Reads the headers of an entry from an archive.

use tar::{EntryType, Header};

use super::{
    chunks::Stream,
    pax::{BLOCK, LONGEST_EXTENSION, Member},
};
use crate::failure::Failure;

/// The entry that stands next. Afterwards the stream stands at its content.
pub(super) fn next(stream: &mut Stream<'_>) -> Result<Member, Failure> {
    let mut records = Vec::new();
    loop {
        let block = block(stream)?;
        let header = Header::from_byte_slice(&block);
        if header.cksum().ok() != Some(checksum(&block)) {
            return Err(stream.wrong("there is no header"));
        }
        if header.entry_type() != EntryType::XHeader {
            return Member::decode(header, &records).map_err(|why| stream.wrong(&why));
        }
        let size = header.entry_size().ok().filter(|size| *size <= LONGEST_EXTENSION);
        let size = size.and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(|| stream.wrong("an extended header is too long"))?;
        records.resize(size.next_multiple_of(BLOCK), 0);
        stream.fill(&mut records)?;
        records.truncate(size);
    }
}

/// The next block.
pub(super) fn block(stream: &mut Stream<'_>) -> Result<[u8; BLOCK], Failure> {
    let mut block = [0; BLOCK];
    stream.fill(&mut block)?;
    Ok(block)
}

/// The sum of all bytes, those of the checksum itself taken as spaces.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    const FIELD: std::ops::Range<usize> = 148..156;
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(block) - sum(&block[FIELD]) + 8 * u32::from(b' ')
}
