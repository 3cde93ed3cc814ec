//! Writes a dataset.

use std::{collections::BTreeSet, fs::File};

use resplit_operations::record::{Medium, Record, TapePlace};

use super::{
    archive::{Archived, archive},
    bound,
    closing::{CLOSING_BYTES, Closing, Header},
    compress::{Archive, Output, Sink, compress},
    contents::{self, Known},
    frame::{self, Kind, OVERHEAD},
    index::IndexWriter,
    inventory,
    label::{self, FORMAT, NotOpened, Opened},
    locate::{Located, locate},
    locks,
    table::{self, CHUNK},
};
use crate::{
    context::Work,
    drivers::media::{Dataset, LibraryRef, NewDataset},
    failure::Failure,
};

/// Writes one dataset after the last closed one, and closes it. Whatever goes wrong before that, the cartridge is cut
/// back to its last closed dataset; and if not even that is possible, the next writer does it.
pub(super) fn write(
    library: &LibraryRef<'_>,
    dataset: &NewDataset<'_>,
    work: &Work,
) -> Result<Dataset, Failure> {
    check_volumes(dataset)?;
    label::make_directory(library)?;
    let _drive = locks::take_drive(library)?;
    if matches!(label::open(library, dataset.barcode), Err(NotOpened::Missing)) {
        let _lock = locks::take_library(library)?;
        inventory::make_blank(library, dataset.barcode)?;
    }
    let opened = label::open_existing(library, dataset.barcode)?;
    let _cartridge = locks::take_cartridge(&opened)?;
    let mut located = locate(library, &opened)?;
    check_cartridge(library, dataset, &located)?;

    let sources = dataset.sources.iter().map(|(volume, path)| (volume.as_str(), path));
    // Whoever chose the cartridge asked for the true bound; and nothing is ever written beyond the capacity.
    let totals = bound::totals(sources, false)?;
    let record_bytes = serde_json::to_vec(dataset.record).unwrap_or_default().len() as u64;
    let bound = totals.bound() + record_bytes.saturating_sub(bound::RECORD);
    let room = opened.label.capacity.saturating_sub(located.end);
    if bound > room {
        return Err(Failure::refused(format!(
            "cartridge {} has {room} bytes left; the dataset may take {bound}, {} more",
            dataset.barcode,
            bound - room
        ))
        .with_help("nothing was written; raise 'slots' or 'cartridge_size' of the library in site.yaml"));
    }

    let io = |error: &std::io::Error| Failure::io("write to the cartridge", &opened.path, error);
    if located.datasets.is_empty() {
        label::sync_names(library)?;
    }
    let length = opened.file.metadata().map_err(|error| io(&error))?.len();
    if length > located.end {
        // Durable before anything is written there: else a power cut could leave an old closing frame behind new data.
        opened
            .file
            .set_len(located.end)
            .and_then(|()| opened.file.sync_data())
            .map_err(|error| io(&error))?;
    }
    let written = write_dataset(library, dataset, &opened, &located, work, |sink, index| {
        archive(dataset.sources, sink, index, &totals, work)
    });
    let known = written.map_err(|(failure, may_be_closed)| {
        let cut = opened.file.set_len(located.end).and_then(|()| opened.file.sync_data());
        match cut {
            // What was not closed does not exist all the same.
            Err(error) if may_be_closed => left_in_doubt(&opened, &failure, &error),
            _ => failure,
        }
    })?;
    let result = known.dataset.clone();
    located.datasets.push(known);
    // The dataset is closed. If its table cannot be written now, the next look at the cartridge writes it.
    if let Err(failure) = contents::save(library, &opened.label, &located.datasets) {
        tracing::warn!("{failure}");
    }
    Ok(result)
}

/// Its closing frame was being written when the cartridge failed, and cannot be taken away: whoever reads the cartridge next
/// may find it closed.
fn left_in_doubt(opened: &Opened, failure: &Failure, cut: &std::io::Error) -> Failure {
    let at = opened.path.display();
    Failure::unknown(format!("{failure}; whether the dataset is closed on {at} cannot be told now ({cut})"))
        .with_help("see to the disk of the library; the next look at the cartridge tells")
}

fn check_volumes(dataset: &NewDataset<'_>) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for (volume, _) in dataset.sources {
        let name = volume.as_str();
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) || !seen.insert(name)
        {
            return Err(Failure::refused(format!(
                "'{name}' cannot be the name of a directory in an archive"
            ))
            .with_help("give each volume in site.yaml a name of its own, without slashes"));
        }
    }
    Ok(())
}

fn check_cartridge(
    library: &LibraryRef<'_>,
    dataset: &NewDataset<'_>,
    located: &Located,
) -> Result<(), Failure> {
    if !located.damage.is_empty() {
        return Err(label::unusable(library, dataset.barcode, &located.damage.join("; ")));
    }
    match located.pool() {
        Some(pool) if pool != dataset.pool => {
            Err(Failure::refused(format!("cartridge {} belongs to the pool '{pool}'", dataset.barcode))
                .with_help(format!("choose a blank cartridge or one of the pool '{}'", dataset.pool)))
        }
        _ => Ok(()),
    }
}

/// Writes a dataset whose archive and index come from `produce`. If that fails: whether the closing frame may be there.
pub(super) fn write_dataset(
    library: &LibraryRef<'_>,
    dataset: &NewDataset<'_>,
    opened: &Opened,
    located: &Located,
    work: &Work,
    produce: impl FnOnce(&mut Sink<'_>, &mut IndexWriter) -> Result<Archived, Failure>,
) -> Result<Known, (Failure, bool)> {
    let mut output = Output {
        file: &opened.file,
        path: &opened.path,
        position: located.end,
        capacity: opened.label.capacity,
    };
    let closing = write_open(library, dataset, &mut output, located, work, produce).map_err(not_closed)?;
    close(opened, &mut output, closing, work)
}

fn not_closed(failure: Failure) -> (Failure, bool) {
    (failure, false)
}

/// Writes all of a dataset but the frame that closes it.
fn write_open(
    library: &LibraryRef<'_>,
    dataset: &NewDataset<'_>,
    output: &mut Output<'_>,
    located: &Located,
    work: &Work,
    produce: impl FnOnce(&mut Sink<'_>, &mut IndexWriter) -> Result<Archived, Failure>,
) -> Result<Closing, Failure> {
    let offset = located.end;
    let number = u32::try_from(located.datasets.len() + 1)
        .map_err(|_| Failure::refused(format!("cartridge {} has too many datasets", dataset.barcode)))?;
    let header = Header {
        format: FORMAT,
        library: library.id.clone(),
        barcode: dataset.barcode.clone(),
        pool: dataset.pool.clone(),
        number,
        tag: dataset.tag.clone(),
        host: dataset.host.clone(),
        written: dataset.written,
        expires: dataset.expires,
        volumes: dataset.sources.iter().map(|(volume, _)| volume.clone()).collect(),
    };
    let header_frame = own_frame(Kind::Header, &serde_json::to_vec(&header).unwrap_or_default())?;
    let mut hasher = blake3::Hasher::new();
    let mut add = |output: &mut Output<'_>, bytes: &[u8]| {
        let _ = hasher.update(bytes);
        output.append(bytes)
    };
    add(output, &header_frame)?;

    let index_failed =
        |error: std::io::Error| Failure::io("write an index in", &library.library.path, &error);
    let mut index = IndexWriter::new(&library.library.path).map_err(index_failed)?;
    let archive_at = output.position;
    let Archive { produced, bytes: archive_bytes, rows } =
        compress(output, work, |sink| produce(sink, &mut index))?;
    let Archived { entries, content_bytes } = produced;

    let index_at = output.position;
    let (spool, index_length) = index.finish().map_err(index_failed)?;
    copy(&spool, index_length, index_failed, |bytes| add(output, bytes))?;
    let table_at = output.position;
    add(output, &own_frame(Kind::Table, &table::encode(&rows))?)?;
    let record_at = output.position;
    add(output, &record_frame(&header, dataset.record, offset, record_at)?)?;

    Ok(Closing {
        format: FORMAT,
        number,
        offset,
        header: archive_at - offset,
        archive: index_at - archive_at,
        index: table_at - index_at,
        table: record_at - table_at,
        record: output.position - record_at,
        chunk_bytes: CHUNK as u64,
        archive_bytes,
        entries,
        content_bytes,
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

/// What the dataset consists of is durable before the frame that says so.
fn close(
    opened: &Opened,
    output: &mut Output<'_>,
    closing: Closing,
    work: &Work,
) -> Result<Known, (Failure, bool)> {
    let sync = |file: &File| {
        file.sync_data().map_err(|error| Failure::io("make durable the cartridge", &opened.path, &error))
    };
    sync(&opened.file).and_then(|()| work.check()).map_err(not_closed)?;
    let frame = closing.encode().ok_or_else(|| Failure::permanent("the closing frame is too long"));
    let frame = frame.map_err(not_closed)?;
    let may_be_closed = |failure| (failure, true);
    output.append(&frame).and_then(|()| sync(&opened.file)).map_err(may_be_closed)?;
    let read = closing.dataset(&opened.file, &opened.label);
    let (header, dataset) = read.map_err(|damage| {
        may_be_closed(Failure::permanent(format!("what was just written cannot be read: {}", damage.0)))
    })?;
    Ok(Known { pool: header.pool, closing, dataset })
}

fn own_frame(kind: Kind, body: &[u8]) -> Result<Vec<u8>, Failure> {
    frame::encode(kind, body)
        .ok_or_else(|| Failure::permanent("a part of the dataset is longer than a frame may be"))
}

/// The record, whose medium is this dataset: it says how long the dataset is, itself included.
fn record_frame(header: &Header, record: &Record, offset: u64, record_at: u64) -> Result<Vec<u8>, Failure> {
    let mut record = record.clone();
    let mut length = 0;
    loop {
        let bytes = record_at - offset + length + CLOSING_BYTES;
        record.medium = Medium::Tape(TapePlace {
            library: header.library.clone(),
            barcode: header.barcode.clone(),
            dataset: header.number,
            bytes,
            expires: header.expires,
        });
        let body = serde_json::to_vec(&record).unwrap_or_default();
        // More digits make it longer, never shorter: this ends.
        if body.len() as u64 + OVERHEAD == length {
            return own_frame(Kind::Record, &body);
        }
        length = body.len() as u64 + OVERHEAD;
    }
}

fn copy(
    file: &File,
    length: u64,
    failed: impl Fn(std::io::Error) -> Failure,
    mut add: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    while position < length {
        let room = usize::try_from(length - position).unwrap_or(buffer.len()).min(buffer.len());
        file.read_exact_at(&mut buffer[..room], position).map_err(&failed)?;
        add(&buffer[..room])?;
        position += room as u64;
    }
    Ok(())
}
