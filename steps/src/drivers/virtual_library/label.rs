//! Cartridges as files: their names, their labels, and how a blank one is made.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use resplit_operations::ids::{Barcode, LibraryId};
use serde::{Deserialize, Serialize};

use super::frame::{self, Damage, Kind};
use crate::{drivers::media::LibraryRef, failure::Failure};

/// The version of the format that this code writes and reads.
pub(super) const FORMAT: u32 = 1;

/// What the label says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Label {
    /// The version of the format.
    pub(super) format: u32,
    /// The library that the cartridge belongs to.
    pub(super) library: LibraryId,
    /// What is printed on it.
    pub(super) barcode: Barcode,
    /// What it holds at most, in bytes, label included.
    pub(super) capacity: u64,
}

/// A cartridge whose label was read.
pub(super) struct Opened {
    /// Its file.
    pub(super) file: File,
    /// Its path.
    pub(super) path: PathBuf,
    /// Its label.
    pub(super) label: Label,
    /// Where the label ends.
    pub(super) label_end: u64,
}

/// Why a cartridge was not opened.
pub(super) enum NotOpened {
    /// There is no such file.
    Missing,
    /// It is none of ours, or damaged.
    Unusable(String),
    /// The system did not let us.
    Failed(Failure),
}

/// The barcode of the cartridge in a slot.
pub(super) fn barcode(slot: u32) -> Barcode {
    Barcode(format!("VT{slot:04}"))
}

/// The slot of a cartridge, from its barcode.
pub(super) fn slot(of: &str) -> Option<u32> {
    let slot = of.strip_prefix("VT")?.parse().ok()?;
    (barcode(slot).as_str() == of && slot > 0).then_some(slot)
}

/// The path of a file of a cartridge: `cartridge`, `contents` or `txt`.
pub(super) fn path(library: &LibraryRef<'_>, barcode: &Barcode, extension: &str) -> PathBuf {
    library.library.path.join(format!("{barcode}.{extension}"))
}

/// Opens a cartridge and reads its label.
pub(super) fn open(library: &LibraryRef<'_>, barcode: &Barcode) -> Result<Opened, NotOpened> {
    let path = path(library, barcode, "cartridge");
    let failed = |error: &io::Error| NotOpened::Failed(Failure::io("open the cartridge", &path, error));
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(flags.bits().cast_signed());
    // What is write-protected can still be read; writing to it fails in time, before anything is lost.
    let protected = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
    };
    let file = match options.clone().write(true).open(&path) {
        Err(error) if protected(&error) => options.open(&path),
        other => other,
    };
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NotOpened::Missing),
        Err(error) => return Err(failed(&error)),
    };
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(NotOpened::Unusable("it is not an ordinary file".to_owned()));
    }
    let (label, label_end) = read(&file, metadata.len()).map_err(|Damage(why)| {
        NotOpened::Unusable(format!("it has no label of ours, or a damaged one ({why})"))
    })?;
    if label.library != *library.id {
        let why = format!("its label says that it belongs to the library '{}'", label.library);
        return Err(NotOpened::Unusable(why));
    }
    if label.barcode != *barcode {
        return Err(NotOpened::Unusable(format!(
            "its label says {}: it is a copy of that cartridge, or was renamed",
            label.barcode
        )));
    }
    Ok(Opened { file, path, label, label_end })
}

fn read(file: &File, length: u64) -> Result<(Label, u64), Damage> {
    let (body, end) = frame::read(file, 0, length, Kind::Label)?;
    let label: Label = serde_json::from_slice(&body).map_err(|error| Damage(error.to_string()))?;
    if label.format == FORMAT {
        Ok((label, end))
    } else {
        Err(Damage(format!("its format is {}, this version reads {FORMAT}", label.format)))
    }
}

/// The same, with what is wrong as a failure.
pub(super) fn open_existing(library: &LibraryRef<'_>, barcode: &Barcode) -> Result<Opened, Failure> {
    open(library, barcode).map_err(|error| match error {
        NotOpened::Missing => {
            Failure::permanent(format!("the library '{}' has no cartridge {barcode}", library.id))
                .with_help("put its file back into the library's directory")
        }
        NotOpened::Unusable(why) => unusable(library, barcode, &why),
        NotOpened::Failed(failure) => failure,
    })
}

/// A failure on account of a cartridge that cannot be used.
pub(super) fn unusable(library: &LibraryRef<'_>, barcode: &Barcode, why: &str) -> Failure {
    let path = path(library, barcode, "cartridge");
    Failure::permanent(format!("cartridge {barcode} cannot be used: {why}")).with_help(format!(
        "nothing was changed; look at {}, and move it out of the library if it is not resplit's",
        path.display()
    ))
}

/// Makes the library's directory, for its owner alone: cartridges hold what every user has.
pub(super) fn make_directory(library: &LibraryRef<'_>) -> Result<(), Failure> {
    let path = &library.library.path;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::io("make the library's directory", path, &error))
}

/// Makes the names of a library's cartridges durable, and the way to its directory: whoever created them may have been
/// killed before it had.
pub(super) fn sync_names(library: &LibraryRef<'_>) -> Result<(), Failure> {
    let path = &library.library.path;
    path.ancestors().filter(|above| !above.as_os_str().is_empty()).try_for_each(|above| {
        match File::open(above).and_then(|directory| directory.sync_all()) {
            // What may not be read was not created by us.
            Err(error) if above != path && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced.map_err(|error| Failure::io("make durable", above, &error)),
        }
    })
}

/// Makes a blank cartridge, whole or not at all. One that is there already is left alone.
pub(super) fn make_blank(library: &LibraryRef<'_>, barcode: &Barcode) -> Result<(), Failure> {
    let label = Label {
        format: FORMAT,
        library: library.id.clone(),
        barcode: barcode.clone(),
        capacity: library.library.cartridge_size.0,
    };
    let body = serde_json::to_vec(&label).unwrap_or_default();
    let frame = frame::encode(Kind::Label, &body)
        .ok_or_else(|| Failure::permanent("the name of the library is too long for a label"))?;
    let to = path(library, barcode, "cartridge");
    let failed = |error: io::Error| Failure::io("make the blank cartridge", &to, &error);
    let new = path(library, barcode, "cartridge.new");
    write_synced(&new, &frame).map_err(failed)?;
    let directory = File::open(&library.library.path).map_err(failed)?;
    // Never over a cartridge that somebody put there meanwhile.
    let renamed = rustix::fs::renameat_with(
        rustix::fs::CWD,
        &*new,
        rustix::fs::CWD,
        &*to,
        rustix::fs::RenameFlags::NOREPLACE,
    );
    match renamed {
        Ok(()) => directory.sync_all().map_err(failed),
        Err(rustix::io::Errno::EXIST) => fs::remove_file(&new).map_err(failed),
        Err(error) => Err(failed(error.into())),
    }
}

/// Replaces a small file: after a crash it is the old or the new one, whole.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    write_synced(&new, bytes)?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
