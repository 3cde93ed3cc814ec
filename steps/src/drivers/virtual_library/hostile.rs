//! Cartridges that somebody made to do harm: well-formed, checksums right, content wrong. Nothing is ever written outside
//! of the directory that was named.

use std::{fs, path::Path};

use resplit_operations::{
    ids::{Barcode, HostId, LibraryId, PoolId, VolumeId},
    pair::Tag,
    record::Record,
    site::{Library, MediaDriverKind},
    units::Size,
};
use tar::EntryType;

use super::{
    VirtualLibrary,
    archive::Archived,
    index::{Entry, EntryKind, Name},
    label, locate,
    pax::{BLOCK, Member},
    write::write_dataset,
};
use crate::{
    context::Work,
    drivers::media::{LibraryRef, MediaDriver, NewDataset, Wanted},
    failure::Failure,
};

/// One entry: what the archive has, its content, and what the index says of it.
struct Evil(Member, &'static [u8], Entry);

fn member(kind: EntryType, path: &str, link: &str, content: &[u8]) -> Member {
    Member {
        kind,
        path: path.into(),
        link: link.into(),
        mode: 0o755,
        owner: rustix::process::geteuid().as_raw(),
        group: rustix::process::getegid().as_raw(),
        modified: (0, 0),
        device: (0, 0),
        attributes: Vec::new(),
        stored: content.len() as u64,
        sparse_length: None,
    }
}

fn entry(kind: EntryKind, path: &str, content: &[u8]) -> Entry {
    let blake3 = (kind == EntryKind::File).then(|| blake3::hash(content).to_hex().to_string());
    Entry { path: Name(path.into()), kind, offset: 0, size: content.len() as u64, blake3, link: None }
}

fn directory(path: &str) -> Evil {
    Evil(member(EntryType::Directory, path, "", b""), b"", entry(EntryKind::Directory, path, b""))
}

fn file(path: &str) -> Evil {
    Evil(member(EntryType::Regular, path, "", b"evil"), b"evil", entry(EntryKind::File, path, b"evil"))
}

fn symlink(path: &str, target: &str) -> Evil {
    Evil(member(EntryType::Symlink, path, target, b""), b"", entry(EntryKind::Symlink, path, b""))
}

fn hard_link(path: &str, target: &str) -> Evil {
    let entry = Entry { link: Some(Name(target.into())), ..entry(EntryKind::Hardlink, path, b"") };
    Evil(member(EntryType::Link, path, target, b""), b"", entry)
}

/// Puts the entries on a cartridge, and reads them into `root/to`.
fn restore(root: &Path, entries: Vec<Evil>, paths: &[&str]) -> Result<(), Failure> {
    let library = Library {
        driver: MediaDriverKind::Virtual,
        host: "backupserver".into(),
        path: root.join("vault"),
        slots: 1,
        drives: 1,
        cartridge_size: Size(1 << 20),
        pools: vec!["documents".into()],
    };
    let library = LibraryRef { id: &LibraryId::from("vault"), library: &library };
    let driver = VirtualLibrary::new();
    driver.inventory(&library)?;
    let barcode = Barcode::from("VT0001");
    let opened = label::open_existing(&library, &barcode)?;
    let located = locate::locate(&library, &opened)?;
    let record: Record = serde_json::from_str(RECORD).unwrap();
    let volume = VolumeId::from("documents");
    let dataset = NewDataset {
        barcode: &barcode,
        pool: &PoolId::from("documents"),
        tag: Tag("run/1".into()),
        host: &HostId::from("backupserver"),
        sources: &[(volume.clone(), root.to_owned())],
        record: &record,
        expires: None,
        written: jiff::Timestamp::UNIX_EPOCH,
    };
    write_dataset(&library, &dataset, &opened, &located, &Work::silent(), |sink, index| {
        for Evil(member, content, entry) in entries {
            index.add(&Entry { offset: sink.position(), ..entry }).unwrap();
            sink.write(&member.encode("", ""))?;
            sink.write(content)?;
            sink.pad(BLOCK as u64)?;
        }
        sink.write(&[0; 2 * BLOCK])?;
        Ok(Archived { entries: 0, content_bytes: 0 })
    })
    .map_err(|(failure, _)| failure)?;
    let to = root.join("to");
    let paths: Vec<_> = paths.iter().map(std::path::PathBuf::from).collect();
    let wanted = Wanted { to: &[(volume, &to)], paths: &paths, replace: true };
    driver.read(&library, &barcode, 1, &wanted, &Work::silent()).map(drop)
}

/// The entries are refused, with these words, and nothing is written outside.
fn refused(entries: Vec<Evil>, words: &str) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("outside")).unwrap();
    fs::write(root.path().join("outside/secret"), "secret").unwrap();
    let failure = restore(root.path(), entries, &[]).unwrap_err();
    assert!(failure.message.contains(words), "{failure}");
    let outside: Vec<_> = fs::read_dir(root.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(fs::read(root.path().join("outside/secret")).unwrap(), b"secret");
    assert!(!root.path().join("evil").exists() && !Path::new("/evil-of-resplit").exists());
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in [
        "documents/../evil",
        "documents/../../evil",
        "documents//evil-of-resplit",
        "documents/./evil",
        "documents/a/../../evil",
        "documents/",
    ] {
        refused(vec![directory("documents"), file(path)], "leads out of its volume");
    }
    for target in ["documents/../outside/secret", "../outside/secret", "/etc/passwd", "documents", "mail/x"] {
        refused(vec![directory("documents"), hard_link("documents/evil", target)], "leads out of its volume");
    }
}

#[test]
fn symbolic_links_are_not_followed() {
    let link = || symlink("documents/d", "../outside");
    refused(vec![directory("documents"), link(), file("documents/d/evil")], "to/d");
    refused(vec![directory("documents"), link(), directory("documents/d"), file("documents/d/evil")], "to/d");
    refused(vec![directory("documents"), link(), hard_link("documents/x", "documents/d/secret")], "d/secret");
    refused(
        vec![directory("documents"), symlink("documents/f", "../outside/secret"), file("documents/f")],
        "to/f",
    );
}

#[test]
fn an_index_that_contradicts_the_archive_is_refused() {
    let mut other = file("documents/a");
    other.0.path = b"../outside/evil".to_vec();
    refused(vec![directory("documents"), other], "as its index says");
    let mut wrong = file("documents/a");
    wrong.2.blake3 = Some("0".repeat(64));
    refused(vec![directory("documents"), wrong], "not what its checksum says");
    let mut longer = file("documents/a");
    longer.2.size = 1 << 40;
    refused(vec![directory("documents"), longer], "as its index says");
    let mut beyond = file("documents/a");
    (beyond.0.stored, beyond.2.size) = (1 << 40, 1 << 40);
    refused(vec![directory("documents"), beyond], "ends before its time");
    refused(vec![file("documents")], "cannot restore");
}

#[test]
fn maps_of_sparse_files_are_not_believed() {
    for map in [
        b"1\n9999999999999\n4\n".as_slice(),
        b"2\n10\n4\n0\n4\n",
        b"99999999999999999999\n",
        b"x\n",
        b"\n",
        b"1\n18446744073709551615\n2\n",
    ] {
        let mut content = map.to_vec();
        content.resize(BLOCK, 0);
        content.extend_from_slice(b"evil");
        let content: &'static [u8] = content.leak();
        let mut sparse = member(EntryType::Regular, "documents/s", "", content);
        sparse.sparse_length = Some(100);
        let mut entry = entry(EntryKind::File, "documents/s", content);
        entry.size = 100;
        refused(vec![directory("documents"), Evil(sparse, content, entry)], "map of the sparse file");
    }
}

#[test]
fn what_is_harmless_is_restored() {
    let root = tempfile::tempdir().unwrap();
    restore(
        root.path(),
        vec![directory("documents"), file("documents/f"), hard_link("documents/g", "documents/f")],
        &[],
    )
    .unwrap();
    assert_eq!(fs::read(root.path().join("to/g")).unwrap(), b"evil");
}

#[test]
fn a_producer_that_goes_on_is_stopped_at_the_end_of_the_cartridge() {
    let noise: &'static [u8] = {
        let mut bytes = vec![0; 3 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes.leak()
    };
    let root = tempfile::tempdir().unwrap();
    let large = Evil(
        member(EntryType::Regular, "documents/l", "", noise),
        noise,
        entry(EntryKind::File, "documents/l", noise),
    );
    let failure = restore(root.path(), vec![directory("documents"), large], &[]).unwrap_err();
    assert!(failure.message.contains("is full"), "{failure}");
    assert!(fs::metadata(root.path().join("vault/VT0001.cartridge")).unwrap().len() <= 1 << 20);
}

const RECORD: &str = r#"{"id":"0000000001","original_id":"0000000001","source_host":"fileserver","operation":"documents",
"run":"documents-1","mode":"online","started":"2026-11-20T02:00:00Z","ended":"2026-11-20T02:00:01Z","images":[],
"medium":{"medium":"disk"},"standing":{"standing":"current"},"tape":{"tape":"wanted"},"entered":"2026-11-20T02:00:02Z"}"#;
