//! GNU tar and zstd alone read what the driver wrote.

use std::fs;

use crate::{
    support::{Vault, assert_same, is_root, shell},
    trees::{make_odd, make_small},
};

#[test]
fn gnu_tar_gives_everything_back() {
    if !is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let vault = Vault::new(1, 256 << 20);
    let source = vault.path("source");
    make_odd(&source);
    vault.write("VT0001", "run/1", &source).unwrap();
    let text = fs::read_to_string(vault.library.path.join("VT0001.txt")).unwrap();
    let command = text.lines().find(|line| line.contains("dd if=")).unwrap().trim();
    let to = vault.path("to");
    fs::create_dir(&to).unwrap();
    shell(&to, &format!("VAULT={}; {command}", vault.library.path.display()));
    assert_same(&source, &to.join("documents"));
}

#[test]
fn gnu_tar_reads_each_dataset_and_all_of_them() {
    let vault = Vault::new(1, 256 << 20);
    let source = vault.path("source");
    make_small(&source);
    vault.write("VT0001", "run/1", &source).unwrap();
    let earlier = vault.path("earlier");
    shell(vault.scratch.path(), "cp -a source earlier");
    fs::write(source.join("second"), "only in the second").unwrap();
    vault.write("VT0001", "run/2", &source).unwrap();
    let text = fs::read_to_string(vault.library.path.join("VT0001.txt")).unwrap();
    let commands: Vec<&str> = text.lines().filter(|line| line.contains("| tar -xp")).map(str::trim).collect();
    assert_eq!(commands.len(), 3, "{text}");
    for (number, (command, expected)) in commands.iter().zip([&source, &earlier, &source]).enumerate() {
        let to = vault.path(&format!("to-{number}"));
        fs::create_dir(&to).unwrap();
        shell(&to, &format!("VAULT={}; {command}", vault.library.path.display()));
        assert_same(expected, &to.join("documents"));
    }
    assert!(text.contains("backup ID   0000000012, original ID 0000000009 of fileserver"), "{text}");
    // And without ends of pipes being watched, the commands of the format's description.
    let offset = vault.datasets("VT0001")[1].offset + 1;
    let list = shell(
        &vault.library.path,
        &format!("set +o pipefail; tail -c +{offset} VT0001.cartridge | zstd -dc | tar -t"),
    );
    assert_eq!(list.lines().count() as u64, vault.datasets("VT0001")[1].entries, "{list}");
}
