//! What does not compile, and what is said of it.

use std::path::Path;

use resplit_operations::{
    compile::{self, RestoreFrom},
    expand,
};

use crate::sites::{DIRECTORY, HOOKS, SPLIT, backup, id, operation, request, restore, site};

fn refused(text: &str, words: &str) {
    let error = backup(text).expect_err(text).to_string();
    assert!(error.contains(words), "{text}\n  {error}\n  does not say: {words}");
}

#[test]
fn what_is_declared_does_not_go_together() {
    let cases = [
        ("description: nothing", "neither 'protect' nor a step"),
        ("steps: {}", "neither 'protect' nor a step"),
        ("protect: { filesystem: data, volumes: [] }", "names no volume"),
        ("protect: { filesystem: data, volumes: [mail, mail] }", "volume 'mail' twice"),
        ("protect: { filesystem: data, volumes: [nobody] }", "volume 'nobody', which the site does not have"),
        ("protect: { filesystem: data, volumes: [mail, far] }", "'far' on 'elsewhere'"),
        ("protect: { filesystem: data, volumes: [scattered] }", "on 'fileserver' and on 'backupserver'"),
        (
            "{ protect: { filesystem: data, volumes: [local] }, backup_server: backupserver }",
            "name 'fileserver' as 'backup_server'",
        ),
        ("{ protect: { filesystem: data, volumes: [mail] }, usual_state: paired }", "needs 'tape'"),
        (
            "{ protect: { filesystem: data, volumes: [mail] }, tape: { library: vault, pool: p, keep: 1d } }",
            "name 'backupserver', the host of library 'vault'",
        ),
        (
            "{ protect: { filesystem: data, volumes: [mail] }, backup_server: backupserver, \
             tape: { library: desk, pool: p, keep: 1d } }",
            "library 'desk' is on 'fileserver'",
        ),
        (
            "{ protect: { filesystem: data, volumes: [mail] }, backup_server: backupserver, \
             tape: { library: shelf, pool: p, keep: 1d } }",
            "library 'shelf', which the site does not have",
        ),
        (
            "{ protect: { filesystem: data, volumes: [mail] }, quiesce: { mode: cold } }",
            "'cold' is not built",
        ),
        (
            "{ protect: { filesystem: data, volumes: [mail] }, hooks: { before: [{ argv: [a], host: nowhere }] } }",
            "step 'before-1' names host 'nowhere'",
        ),
    ];
    for (text, words) in cases {
        refused(text, words);
    }
    let explicit = expand::to_yaml(&backup(SPLIT).expect("it compiles"));
    refused(&format!("{SPLIT}{explicit}"), "both 'protect' and 'steps'");
}

#[test]
fn explicit_steps_that_could_not_keep_their_promises() {
    let quiesce = "quiesce: { filesystem: data, mode: online, window: 1s }";
    let cases = [
        ("a: { resync: { volume: mail }, host: backupserver }", "must run on 'fileserver'"),
        ("a: { purge-cache: { volume: mail }, host: fileserver }", "must run on 'backupserver'"),
        ("a: { confirm: { unused: [mail] }, host: backupserver }", "sees who uses a primary"),
        (
            "a: { tape-backup: { library: vault, pool: p, keep: 1d }, host: fileserver }",
            "the library is not attached to it: it must run on 'backupserver'",
        ),
        ("a: { record: { volumes: [], mode: online }, host: fileserver }", "names no volume"),
        ("a: { record: { volumes: [mail, far], mode: online }, host: fileserver }", "must be on one host"),
        ("a: { split: { volume: nobody }, host: fileserver }", "step 'a' names volume 'nobody'"),
        ("a: { transfer: { to: nowhere }, host: fileserver }", "step 'a' names host 'nowhere'"),
        ("a: { export: {}, host: fileserver, needs: [b] }", "step 'a' names 'b', which does not exist"),
        (
            "a: { export: {}, host: fileserver, needs: [b] }, b: { export: {}, host: fileserver, needs: [a] }",
            "in a circle: ",
        ),
        (&format!("a: {{ {quiesce}, host: fileserver }}"), "name the thaw of the same file system"),
        (
            &format!(
                "a: {{ {quiesce}, host: fileserver, finally: b }}, b: {{ thaw: {{ filesystem: x }}, host: fileserver }}"
            ),
            "name the thaw of the same file system",
        ),
        (
            "a: { restore: { volume: mail, paths: [../x], to: /tmp }, host: fileserver }",
            "'../x' must be a path below",
        ),
        (
            "a: { restore: { volume: mail, paths: [./.], to: /tmp }, host: fileserver }",
            "'' must be a path below",
        ),
        ("a: { restore: { volume: mail, paths: [x] }, host: fileserver }", "to another place"),
    ];
    for (steps, words) in cases {
        refused(&format!("steps: {{ {steps} }}"), words);
    }
}

#[test]
fn restores_that_cannot_be() {
    let disk_only = "protect: { filesystem: data, volumes: [mail] }";
    let command = "steps: { a: { command: { argv: [a] }, host: fileserver } }";
    let out = Some("/out");
    let cases = [
        (disk_only, request(RestoreFrom::Tape, &[], None), "puts nothing on tape"),
        (disk_only, request(RestoreFrom::Tape, &["a"], out), "puts nothing on tape"),
        (command, request(RestoreFrom::Disk, &[], None), "makes no backup"),
        (disk_only, request(RestoreFrom::Disk, &["a"], None), "say where"),
        (disk_only, request(RestoreFrom::Disk, &["a"], Some("out")), "must be absolute"),
        (disk_only, request(RestoreFrom::Disk, &["/a"], out), "'/a' must be a path below"),
        (disk_only, request(RestoreFrom::Disk, &["a/../../b"], out), "'a/../../b' must be a path below"),
        (disk_only, request(RestoreFrom::Disk, &["."], out), "'.' must be a path below"),
        (disk_only, request(RestoreFrom::Disk, &[""], out), "must be a path below"),
        (HOOKS, request(RestoreFrom::Disk, &["a"], out), "begin it with one of 'documents/', 'mail/'"),
        (HOOKS, request(RestoreFrom::Tape, &["a"], out), "begin it with one of 'documents/', 'mail/'"),
    ];
    for (text, request, words) in cases {
        let error = restore(text, &request).expect_err(words).to_string();
        assert!(error.contains(words), "{error}\n  does not say: {words}");
    }
}

#[test]
fn a_volume_without_pairs() {
    let mut site = site();
    if let Some(volume) = site.volumes.get_mut(&"documents".into()) {
        volume.pairs.clear();
    }
    let error = compile::backup(&site, Path::new(DIRECTORY), &id(), &operation(SPLIT)).expect_err("no pair");
    assert!(error.to_string().contains("volume 'documents' has no pair"), "{error}");
}

#[test]
fn a_site_directory_that_no_plan_can_name() {
    use std::os::unix::ffi::OsStrExt;
    let compile = |directory: &Path| compile::backup(&site(), directory, &id(), &operation(SPLIT));
    let error = compile(Path::new("site")).expect_err("it is relative").to_string();
    assert!(error.contains("must be absolute"), "{error}");
    let odd = std::ffi::OsStr::from_bytes(b"/srv/\xff");
    let error = compile(Path::new(odd)).expect_err("it is not UTF-8").to_string();
    assert!(error.contains("use paths that are UTF-8"), "{error}");
    assert!(compile(Path::new(DIRECTORY)).is_ok());
    let mut files = request(RestoreFrom::Disk, &[], Some("/out"));
    files.paths = vec![odd.into()];
    assert!(restore(SPLIT, &files).is_err(), "it is absolute");
    files.paths = vec![std::ffi::OsStr::from_bytes(b"a\xff").into()];
    let error = restore(SPLIT, &files).expect_err("it is not UTF-8").to_string();
    assert!(error.contains("use paths that are UTF-8"), "{error}");
}
