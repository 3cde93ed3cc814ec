//! The explicit form of every plan, word for word. `RESPLIT_GOLDEN=write cargo test -p resplit-operations golden` writes
//! the files anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use resplit_operations::{
    compile::{self, RestoreFrom},
    definitions::{self, Source},
    expand,
    operation::Operation,
    plan::Plan,
};

use crate::sites::{DIRECTORY, HOOKS, PAIRED, SITE, SPLIT, TWO_VOLUMES, backup, id, request, restore, site};

fn golden(name: &str, plan: &Plan) {
    let text = expand::to_yaml(plan);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.yaml"));
    if std::env::var_os("RESPLIT_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&file, &text).expect("the file can be written");
    }
    let expected = fs::read_to_string(&file).expect("the file is there: write it as said above");
    assert_eq!(text, expected, "{}", file.display());
    let again = backup(&text).expect("the explicit form compiles");
    assert_eq!(again.hash(), plan.hash(), "{name}: the explicit form is the same plan");
    let read = compile::backup(&site(), Path::new(DIRECTORY), &id(), &checked(&text)).expect(name);
    assert_eq!(read.hash(), plan.hash(), "{name}: and an operation file without a problem");
    assert_eq!(expand::to_yaml(&again), text, "{name}: and prints as itself");
}

/// An operation as it is read from the file of that text.
pub(crate) fn checked(text: &str) -> Operation {
    let source = |path: &str, text: &str| Source {
        path: Path::new(DIRECTORY).join(path),
        content: Ok(text.as_bytes().to_vec()),
    };
    let operations = vec![source("operations/nightly.yaml", text)];
    let checked = definitions::check_all(source("site.yaml", SITE), operations).expect("there is no problem");
    checked.operations[&id()].clone()
}

const DISK: &str = "protect: { filesystem: data, volumes: [documents] }\nquiesce: { mode: freeze }\n";
const IMPORTED: &str = "protect: { filesystem: data, volumes: [documents] }\nbackup_server: backupserver\n";
const ONE_HOST: &str = "
protect: { filesystem: data, volumes: [local] }
backup_server: fileserver
tape: { library: desk, pool: documents, keep: 1d }
";

const TWO_TARGETS: &str = "
protect: { filesystem: data, volumes: [twice], targets: [local, remote] }
on_abort: split
pace: 4
";

#[test]
fn golden_backups() {
    for (name, text) in [
        ("split-tape", SPLIT),
        ("paired-tape", PAIRED),
        ("disk-only", DISK),
        ("disk-imported", IMPORTED),
        ("one-host-tape", ONE_HOST),
        ("two-volumes-paired", TWO_VOLUMES),
        ("hooks", HOOKS),
        ("two-targets", TWO_TARGETS),
    ] {
        golden(name, &backup(text).expect(name));
    }
}

#[test]
fn golden_restores() {
    let in_place = |from| request(from, &[], None);
    let files = |from, paths: &[&str]| request(from, paths, Some("/tmp/found here"));
    for (name, text, request) in [
        ("restore-disk", SPLIT, in_place(RestoreFrom::Disk)),
        ("restore-tape", SPLIT, in_place(RestoreFrom::Tape)),
        ("restore-tape-paired", TWO_VOLUMES, in_place(RestoreFrom::Tape)),
        ("restore-tape-one-host", ONE_HOST, in_place(RestoreFrom::Tape)),
        ("files-disk", SPLIT, files(RestoreFrom::Disk, &["a/b.txt", "./naïve 文書"])),
        ("files-disk-two-volumes", HOOKS, files(RestoreFrom::Disk, &["mail/in", "mail", "documents/a"])),
        ("files-tape", SPLIT, files(RestoreFrom::Tape, &["a/b.txt"])),
    ] {
        let plan = restore(text, &request).expect(name);
        golden(name, &plan);
        // The explicit form of the operation is restored in the same way.
        let explicit = expand::to_yaml(&backup(text).expect(name));
        assert_eq!(restore(&explicit, &request).expect(name).hash(), plan.hash(), "{name}");
    }
}
