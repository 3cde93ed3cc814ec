//! Files as format 1 wrote them: they must always load.

use std::{fs, path::Path};

use super::{SMALL, content, durable, scratch, thirty, write_files};
use crate::store::{Found, Store, StoreError, Table};

fn stored() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/format-1")
}

/// Writes the files; run once, by name, when the format is new.
#[test]
#[ignore = "writes the files that the other test reads"]
fn write_format_1() {
    let origin = scratch();
    thirty(origin.path());
    for (path, bytes) in durable(origin.path()) {
        let path = stored().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn format_1_is_read() {
    let states = thirty(scratch().path());
    let directory = write_files(&durable(&stored()));
    let (store, opened) = Store::open_with(directory.path(), SMALL).unwrap();
    assert!(matches!(opened.found, Found::Rebuilt { .. }));
    assert_eq!((opened.sequence, content(&store)), (30, states[30].clone()));
    assert_eq!(store.keys(Table::Meta, "").unwrap(), Vec::<String>::new());

    // The older checkpoint, and the log alone.
    let mut older = durable(&stored());
    older.remove(Path::new("checkpoints/00000000000000000020.checkpoint")).unwrap();
    let directory = write_files(&older);
    let (store, _) = Store::open_with(directory.path(), SMALL).unwrap();
    assert_eq!(content(&store), states[30]);
}

#[test]
fn a_format_of_the_future_is_refused() {
    let mut files = durable(&stored());
    let bytes = files.iter_mut().rfind(|(path, _)| path.starts_with("log")).unwrap().1;
    bytes[8] = 2;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[8..12]);
    hasher.update(&bytes[16..64]);
    let checksum = hasher.finalize();
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    let error = Store::open_with(write_files(&files).path(), SMALL).map(|_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Format { found: 2, known: 1, .. }), "{error}");
}
