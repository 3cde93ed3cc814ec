//! Each way in which a host is not reached has its own words, and says what to do next.

use std::fs;

use crate::bed::{Bed, HOSTS, keygen};

/// What a command that asks the host `backup` alone says.
#[track_caller]
fn said(bed: &Bed, code: i32) -> String {
    bed.run(&["--host", "backup", "catalog", "list"], code).1
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
}

#[test]
fn every_error_of_a_line_is_told_apart() {
    let Some(mut bed) = Bed::new() else { return };
    let site = fs::read_to_string(bed.path("engine", "site.yaml")).unwrap();
    let known = fs::read_to_string(bed.path("engine", "ssh/known_hosts")).unwrap();
    let program = env!("CARGO_BIN_EXE_resplit");
    bed.succeed(&["--host", "backup", "catalog", "list"]);

    // No program.
    bed.write("engine", "site.yaml", &site.replace(program, "/nowhere/resplit"));
    assert_says(&said(&bed, 4), &["has no program '/nowhere/resplit'", "program:"]);
    // One that may not be run.
    bed.write("engine", "not-a-program", "");
    let place = bed.path("engine", "not-a-program").display().to_string();
    bed.write("engine", "site.yaml", &site.replace(program, &place));
    assert_says(&said(&bed, 4), &["cannot run", "ls -l"]);
    // One of another version.
    bed.write("engine", "old", "#!/bin/sh\necho \"error: unrecognized subcommand 'agent'\" >&2\nexit 2\n");
    set_mode(&bed, "old");
    let place = bed.path("engine", "old").display().to_string();
    bed.write("engine", "site.yaml", &site.replace(program, &place));
    assert_says(&said(&bed, 4), &["another version", "--version"]);
    bed.write(
        "engine",
        "new",
        "#!/bin/sh\necho noise\necho 'resplit-agent {\"protocol\":99,\"build\":\"9.0.0\",\"agent\":{\"relays\":\"backup\"}}'\ncat\n",
    );
    set_mode(&bed, "new");
    let place = bed.path("engine", "new").display().to_string();
    bed.write("engine", "site.yaml", &site.replace(program, &place));
    assert_says(&said(&bed, 4), &["9.0.0", "protocol 99", "same version"]);
    // No sudo.
    let as_root =
        site.replace("backup: { connect: ssh://backup,", "backup: { connect: ssh://backup, sudo: true,");
    bed.write("engine", "site.yaml", &as_root);
    bed.write("backup", "ssh/bin/sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n");
    set_mode(&bed, "../backup/ssh/bin/sudo");
    assert_says(&said(&bed, 4), &["nothing as root", "NOPASSWD"]);
    // Another site there, or none.
    bed.write("engine", "site.yaml", &site.replace("/backup, program", "/nowhere, program"));
    assert_says(&said(&bed, 4), &["host 'backup'", "/nowhere"]);
    bed.write("engine", "site.yaml", &site);
    bed.edit_site("backup", "backup: { connect", "backup2: { connect");
    let text = said(&bed, 4);
    assert_says(&text, &["host 'backup'"]);
    bed.write("backup", "site.yaml", &site);
    // Another machine.
    bed.write("engine", "site.yaml", &site.replace("ssh://backup", "ssh://source"));
    assert_says(&said(&bed, 4), &["this machine is host 'source'"]);
    bed.write("engine", "site.yaml", &site);

    // A key that is not known, and one that has changed.
    bed.write("engine", "ssh/known_hosts", "");
    assert_says(&said(&bed, 4), &["host key of 'backup'", "is not known", "fingerprint"]);
    let other = bed.path("engine", "other");
    keygen(&other);
    let public = fs::read_to_string(other.with_extension("pub")).unwrap();
    bed.write("engine", "ssh/known_hosts", &format!("backup {public}"));
    assert_says(&said(&bed, 4), &["has changed", "ssh-keygen -R"]);
    bed.write("engine", "ssh/known_hosts", &known);
    // Nobody who is let in.
    bed.write("backup", "ssh/authorized", "");
    assert_says(&said(&bed, 4), &["lets this user not in", "Permission denied"]);
    fs::copy(bed.path("", "user.pub"), bed.path("backup", "ssh/authorized")).unwrap();
    // Nobody there.
    bed.stop_sshd("backup");
    assert_says(&said(&bed, 1), &["cannot be reached", "is up"]);
    bed.start_sshd("backup");
    bed.succeed(&["--host", "backup", "catalog", "list"]);

    // The others are shown all the same.
    bed.stop_sshd("backup");
    let (out, err) = bed.run(&["--json", "runs"], 1);
    assert_eq!(out.trim(), "[]");
    assert_says(&err, &["host 'backup'", "cannot be reached"]);
    // And a run touches nothing.
    let (_, err) = bed.run(&["run", "documents"], 1);
    assert_says(&err, &["host 'backup'", "cannot be reached"]);
    for host in HOSTS {
        assert!(!bed.path(host, "mirrors").exists());
    }
}

fn set_mode(bed: &Bed, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(bed.path("engine", name), fs::Permissions::from_mode(0o755)).unwrap();
}
