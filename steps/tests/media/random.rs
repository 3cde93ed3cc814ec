//! Random trees come back, through the driver and through GNU tar.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink},
    path::Path,
};

use proptest::prelude::*;

use crate::{
    support::{Vault, assert_same, is_root, noise, set_time, shell},
    trees::set_attribute,
};

#[derive(Clone, Debug)]
enum Content {
    Noise(usize),
    Zeros(usize),
    Directory,
    Symlink(Vec<u8>),
    HardLink(usize),
}

#[derive(Clone, Debug)]
struct Item {
    directory: usize,
    name: Vec<u8>,
    content: Content,
    mode: u32,
    time: (i64, i64),
    attribute: Option<(String, Vec<u8>)>,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\n'), Just(b' '), Just(b'\\'), Just(0xff), Just(b'='), 1..=255_u8];
    prop_oneof![
        prop::collection::vec(byte, 1..12),
        prop::collection::vec(b'a'..=b'z', 95..105),
        prop::collection::vec(b'a'..=b'z', 250..=255),
    ]
    .prop_map(|name| name.into_iter().map(|byte| if byte == b'/' { b'_' } else { byte }).collect())
    .prop_filter("not a name", |name: &Vec<u8>| name != b"." && name != b"..")
}

fn content() -> impl Strategy<Value = Content> {
    let size = || {
        prop_oneof![
            Just(0),
            Just(1),
            Just(511),
            Just(512),
            Just(513),
            0..20_000_usize,
            (4 << 20) - 3000..(4 << 20) + 3000_usize
        ]
    };
    prop_oneof![
        4 => size().prop_map(Content::Noise),
        1 => size().prop_map(Content::Zeros),
        3 => Just(Content::Directory),
        1 => prop::collection::vec(1..=255_u8, 1..300).prop_map(Content::Symlink),
        1 => any::<usize>().prop_map(Content::HardLink),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let time = (-5_000_000_000..20_000_000_000_i64, prop_oneof![Just(0), 0..1_000_000_000_i64]);
    let attribute = prop::option::of(("user\\.[a-z=%]{1,20}", prop::collection::vec(any::<u8>(), 0..300)));
    (any::<usize>(), name(), content(), 0..0o7777_u32, time, attribute).prop_map(
        |(directory, name, content, mode, time, attribute)| Item {
            directory,
            name,
            content,
            mode,
            time,
            attribute,
        },
    )
}

fn make(root: &Path, items: &[Item]) {
    fs::create_dir(root).unwrap();
    let mut directories = vec![root.to_owned()];
    let mut files = Vec::new();
    let mut made = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let path = directories[item.directory % directories.len()].join(OsStr::from_bytes(&item.name));
        // Paths of the system end at 4096 bytes.
        if path.symlink_metadata().is_ok() || path.as_os_str().len() > 3500 {
            continue;
        }
        match &item.content {
            Content::Noise(length) => {
                fs::write(&path, noise(number as u64, *length)).unwrap();
                files.push(path.clone());
            }
            Content::Zeros(length) => fs::File::create(&path).unwrap().set_len(*length as u64).unwrap(),
            Content::Directory => {
                fs::create_dir(&path).unwrap();
                directories.push(path.clone());
            }
            Content::Symlink(target) => symlink(OsStr::from_bytes(target), &path).unwrap(),
            Content::HardLink(which) if !files.is_empty() => {
                fs::hard_link(&files[which % files.len()], &path).unwrap();
                continue;
            }
            Content::HardLink(_) => continue,
        }
        made.push((path, item));
    }
    for (path, item) in made.iter().rev() {
        if !matches!(item.content, Content::Symlink(_)) {
            if let Some((name, value)) = &item.attribute {
                set_attribute(path, name, value);
            }
            // Whoever is not root could not go on otherwise.
            let permissions = if is_root() { item.mode } else { item.mode | 0o700 };
            fs::set_permissions(path, fs::Permissions::from_mode(permissions)).unwrap();
        }
        set_time(path, item.time.0, item.time.1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_trees_come_back(items in prop::collection::vec(item(), 0..40)) {
        let vault = Vault::new(1, 256 << 20);
        let source = vault.path("source");
        make(&source, &items);
        let bound = resplit_steps::drivers::media::MediaDriver::bound(&crate::support::DRIVER, std::slice::from_ref(&source)).unwrap();
        let dataset = vault.write("VT0001", "run/1", &source).unwrap();
        prop_assert!(dataset.bytes <= bound);
        let to = vault.path("to");
        vault.read("VT0001", 1, &to, true).unwrap();
        assert_same(&source, &to);
        if is_root() {
            let tar = vault.path("tar");
            fs::create_dir(&tar).unwrap();
            let cartridge = vault.cartridge("VT0001");
            let options = "--numeric-owner --xattrs --xattrs-include='*'";
            shell(&tar, &format!("zstd -dc {} | tar -xpi {options}", cartridge.display()));
            assert_same(&source, &tar.join("documents"));
        }
    }
}
