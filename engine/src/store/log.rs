//! The commit log: what is durable. Records are appended to the last segment, one at a time.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
};

use super::{
    error::StoreError,
    files::sync_directory,
    frame::{self, Point, encode, seal},
    place::Place,
    segment::{self, End, HEADER, Segment, Visit, read_closed, read_last},
};

/// Room beyond a record in a segment made when the disk is nearly full.
const SMALL: u64 = 64 << 10;

/// Reads every record after `base`, which must be where one of the segments begins.
pub(super) fn read(
    place: &Place,
    segments: &[Segment],
    base: Point,
    visit: &mut Visit<'_>,
) -> Result<End, StoreError> {
    let (last, closed) = read_from(place, segments, base)?;
    for (at, segment) in closed.iter().enumerate() {
        read_closed(place, segment, closed.get(at + 1).unwrap_or(last), visit)?;
    }
    read_last(place, last, visit)
}

/// Reads the records after `base` that lie in segments which have a successor; gives the place where they end.
pub(super) fn read_sealed(
    place: &Place,
    segments: &[Segment],
    base: Point,
    visit: &mut Visit<'_>,
) -> Result<Point, StoreError> {
    let (last, closed) = read_from(place, segments, base)?;
    for (at, segment) in closed.iter().enumerate() {
        read_closed(place, segment, closed.get(at + 1).unwrap_or(last), visit)?;
    }
    Ok(last.before)
}

/// The last segment, and those before it that continue `base`.
fn read_from<'a>(
    place: &Place,
    segments: &'a [Segment],
    base: Point,
) -> Result<(&'a Segment, &'a [Segment]), StoreError> {
    let first = segments.iter().position(|segment| segment.before == base);
    match first.and_then(|first| segments[first..].split_last()) {
        Some(found) => Ok(found),
        None => Err(place.damaged(
            &place.log,
            format!("no segment continues record {}", base.sequence),
            "the records after it are lost",
        )),
    }
}

/// Appends to the log.
pub(super) struct Writer {
    place: Place,
    segment: Segment,
    file: File,
    offset: u64,
    point: Point,
    segment_size: u64,
    buffer: Vec<u8>,
    /// Whether the name of a successor may be found although it could not be made: then nothing is appended to this
    /// segment any more, since whoever opens the log would read no further than where that successor begins.
    is_succeeded: bool,
}

impl Writer {
    /// Creates the first segment of a new log. Its hash is drawn by chance, so that no other log continues it.
    pub(super) fn create(place: &Place, hash: frame::Hash, segment_size: u64) -> Result<Self, StoreError> {
        let point = Point { sequence: 0, hash };
        let (segment, file) = segment::create(place, point, segment_size)?;
        let (place, offset, buffer) = (place.clone(), HEADER as u64, Vec::new());
        Ok(Self { place, segment, file, offset, point, segment_size, buffer, is_succeeded: false })
    }

    /// Continues the last segment where its records end. A torn record is cut off: written over with zeros.
    pub(super) fn open(
        place: &Place,
        segment: Segment,
        end: End,
        clean: bool,
        segment_size: u64,
    ) -> Result<Self, StoreError> {
        let path = &segment.path;
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(StoreError::io("open", path))?;
        let offset = end.offset as u64;
        if !clean {
            // A record whose sync failed may be readable without being on the disk: written again, it will be.
            if let Some(last) = end.last {
                let mut record = vec![0; end.offset - last];
                file.read_exact_at(&mut record, last as u64).map_err(StoreError::io("read", path))?;
                file.write_all_at(&record, last as u64).map_err(StoreError::io("write", path))?;
            }
            file.write_all_at(&vec![0; end.torn], offset).map_err(StoreError::io("write", path))?;
            file.sync_all().map_err(StoreError::io("sync", path))?;
            // Nor is it known whether the name of a segment was durable.
            sync_directory(&place.log)?;
        }
        let (place, point, buffer) = (place.clone(), end.point, Vec::new());
        Ok(Self { place, segment, file, offset, point, segment_size, buffer, is_succeeded: false })
    }

    /// The place after the last record.
    pub(super) fn point(&self) -> Point {
        self.point
    }

    /// Writes a record, not yet durable, after the last one that is; gives the place after it. An error leaves the
    /// log as it was: the same may be tried again.
    pub(super) fn write(&mut self, writes: &[u8]) -> Result<Point, StoreError> {
        let needed = (frame::HEADER + writes.len() + frame::HEADER) as u64;
        if self.is_succeeded || self.offset + needed > self.segment.size {
            self.rotate(needed)?;
        }
        let point = encode(self.point, writes, &mut self.buffer);
        self.file
            .write_all_at(&self.buffer, self.offset)
            .map_err(StoreError::io("write", &self.segment.path))?;
        Ok(point)
    }

    /// Makes the record that was just written durable. After an error nobody knows what is on the disk: the log is not
    /// to be used any more.
    pub(super) fn sync(&mut self, point: Point) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("sync", &self.segment.path))?;
        self.offset += self.buffer.len() as u64;
        self.point = point;
        Ok(())
    }

    /// Closes the segment and begins another one with room for `needed` bytes. The successor is durable before the
    /// segment says that it has one.
    pub(super) fn rotate(&mut self, needed: u64) -> Result<(), StoreError> {
        let least = HEADER as u64 + needed;
        let size = self.segment_size.max(least);
        let (segment, file) = match self.create_successor(size) {
            Err(error) if error.is_full() => self.create_successor(least + SMALL)?,
            created => created?,
        };
        super::moment("segment made");
        self.is_succeeded = false;
        // Without its seal the segment is as good: the seal only tells that a lost successor was there.
        let sealed =
            self.file.write_all_at(&seal(self.point), self.offset).and_then(|()| self.file.sync_data());
        if let Err(error) = sealed {
            tracing::warn!("cannot close {}: {error}", self.segment.path.display());
        }
        self.segment = segment;
        self.file = file;
        self.offset = HEADER as u64;
        Ok(())
    }

    fn create_successor(&mut self, size: u64) -> Result<(Segment, File), StoreError> {
        segment::create(&self.place, self.point, size).inspect_err(|error| {
            self.is_succeeded |= matches!(error, StoreError::Io { doing: "rename" | "sync", .. });
        })
    }

    /// Writes to something else from now on.
    #[cfg(test)]
    pub(super) fn redirect(&mut self, file: File) {
        self.file = file;
    }

    /// Whether the last segment has no record yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.point == self.segment.before
    }
}
