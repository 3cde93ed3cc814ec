//! What is written comes back.

use std::fs;

use resplit_operations::record::Medium;
use resplit_steps::{drivers::media::MediaDriver, failure::FailureClass};

use crate::{
    support::{DRIVER, Vault, assert_same, look, record},
    trees::{make_odd, make_small},
};

#[test]
fn a_tree_with_everything_comes_back() {
    let vault = Vault::new(2, 256 << 20);
    let source = vault.path("source");
    make_odd(&source);
    let bound = DRIVER.bound(std::slice::from_ref(&source)).unwrap();
    let dataset = vault.write("VT0001", "run/tape", &source).unwrap();
    assert!(dataset.bytes <= bound, "{} of at most {bound}", dataset.bytes);
    assert!(dataset.bytes < 12 << 20, "holes and text cost {}", dataset.bytes);

    let to = vault.path("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("old"), "goes").unwrap();
    let report = vault.read("VT0001", 1, &to, true).unwrap();
    assert_same(&source, &to);
    assert_eq!(report.entries, look(&to).len() as u64 - 1);
    assert_eq!(report.entries, dataset.entries - 1);
    assert_eq!((report.bytes, report.removed), (dataset.content_bytes, 1));
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(to.join("sparse")).unwrap());
    assert!(blocks < 1000, "restored with its holes: {blocks} blocks");
}

#[test]
fn datasets_are_listed_with_their_records() {
    let vault = Vault::new(1, 64 << 20);
    let source = vault.path("source");
    make_small(&source);
    let first = vault.write("VT0001", "run/1", &source).unwrap();
    fs::write(source.join("more"), "more").unwrap();
    let second = vault.write("VT0001", "run/2", &source).unwrap();
    assert_eq!(second.offset, first.offset + first.bytes);
    let mut expected = record();
    let Medium::Tape(place) = &first.record.medium else { panic!("on disk") };
    assert_eq!((place.dataset, place.bytes, place.barcode.as_str()), (1, first.bytes, "VT0001"));
    expected.medium = first.record.medium.clone();
    assert_eq!(first.record, expected);

    let listed = vault.datasets("VT0001");
    assert_eq!(listed, [first, second]);
    // The file beside the cartridge is a convenience.
    fs::remove_file(vault.library.path.join("VT0001.contents")).unwrap();
    assert_eq!(vault.datasets("VT0001"), listed);
    let cartridges = DRIVER.inventory(&vault.at()).unwrap();
    assert_eq!((cartridges[0].datasets, cartridges[0].pool.as_ref().unwrap().as_str()), (2, "documents"));
    assert_eq!(cartridges[0].used, fs::metadata(vault.cartridge("VT0001")).unwrap().len());
    assert!(vault.library.path.join("VT0001.contents").exists());
}

#[test]
fn two_volumes_go_to_two_directories() {
    let vault = Vault::new(1, 64 << 20);
    let (one, two) = (vault.path("one"), vault.path("two"));
    make_small(&one);
    fs::create_dir(&two).unwrap();
    fs::hard_link(one.join("a/one"), two.join("linked-across")).unwrap();
    let work = resplit_steps::context::Work::silent();
    vault.write_all("VT0001", "run/1", &[("documents", &one), ("mail", &two)], &work).unwrap();
    let to = vault.path("to");
    let wanted = resplit_steps::drivers::media::Wanted {
        to: &[("mail".into(), &to.join("mail")), ("documents".into(), &to.join("documents"))],
        paths: &[],
        replace: false,
    };
    DRIVER.read(&vault.at(), &"VT0001".into(), 1, &wanted, &work).unwrap();
    assert_eq!(fs::read(to.join("mail/linked-across")).unwrap(), b"first");
    fs::remove_file(two.join("linked-across")).unwrap();
    assert_same(&one, &to.join("documents"));
}

#[test]
fn files_alone_are_restored() {
    let vault = Vault::new(1, 64 << 20);
    let source = vault.path("source");
    make_small(&source);
    vault.write("VT0001", "run/1", &source).unwrap();

    let to = vault.path("to");
    let report = vault.read_paths("VT0001", 1, &to, &["a/b/two"], false).unwrap();
    assert_eq!(look(&to).len(), 4, "root, a, b, two");
    assert_eq!((report.entries, report.bytes), (3, 100_000));
    assert_eq!(look(&to)[b"a/b".as_slice()], look(&source)[b"a/b".as_slice()]);
    assert_eq!(look(&to)[b"a/b/two".as_slice()], look(&source)[b"a/b/two".as_slice()]);

    // Hard links whose file is elsewhere come with its content, still linked to each other, and leave no trace in times.
    let to = vault.path("links");
    vault.read_paths("VT0001", 1, &to, &["./c/"], false).unwrap();
    fs::remove_file(source.join("a/one")).unwrap();
    assert_same(&source.join("c"), &to.join("c"));
}

#[test]
fn what_is_missing_or_in_the_way_is_refused_before_anything_is_written() {
    let vault = Vault::new(1, 64 << 20);
    let source = vault.path("source");
    make_small(&source);
    vault.write("VT0001", "run/1", &source).unwrap();
    let to = vault.path("to");
    for paths in [["a/one", "a/none"], ["a/one", "/etc"], ["a/one", "../x"]] {
        let failure = vault.read_paths("VT0001", 1, &to, &paths, false).unwrap_err();
        assert_eq!(failure.class, FailureClass::Refused, "{failure}");
        assert!(!to.exists());
    }
    fs::create_dir_all(to.join("c")).unwrap();
    fs::write(to.join("c/three"), "mine").unwrap();
    let failure = vault.read("VT0001", 1, &to, false).unwrap_err();
    assert!(failure.message.contains("c/three is in the way"), "{failure}");
    assert_eq!(look(&to).len(), 3);
    // Replaced, it is only that file.
    fs::write(to.join("c/keep"), "mine").unwrap();
    vault.read_paths("VT0001", 1, &to, &["c/three"], true).unwrap();
    assert_eq!(fs::read(to.join("c/three")).unwrap(), fs::read(source.join("c/three")).unwrap());
    assert_eq!(fs::read(to.join("c/keep")).unwrap(), b"mine");
    let failure = vault.read("VT0001", 2, &to, false).unwrap_err();
    assert!(failure.message.contains("no dataset 2"), "{failure}");
}
