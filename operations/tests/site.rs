//! What a site may not say.

mod common;

use std::fmt::Write as _;

use common::{SITE, check, lines, problems_of_site};

/// A change to a site that is right: what is replaced, by what, and all problems that follow.
const CHANGES: &[(&str, &str, &[&str])] = &[
    ("state: state }", "state: state }", &[]),
    (
        "connect: local, state: state }",
        "connect: ssh://root@bk01:2222, state: state, site: /srv/site, sudo: true, ssh_config: ssh/config, wait: 10m }",
        &[],
    ),
    (
        "connect: local, state: state }",
        "connect: ssh://-bk01, state: state }",
        &["2:26 'connect' cannot be 'ssh://-bk01'"],
    ),
    (
        "connect: local, state: state }",
        "connect: ssh://bk01, state: state, site: srv/site, wait: 0s }",
        &[
            "2:58 the site directory on another machine is named by an absolute path, not 'srv/site'",
            "2:74 the time that a run waits for a host cannot be zero",
        ],
    ),
    (
        "connect: local, state: state }",
        "connect: local, state: state, sudo: true, program: /opt/resplit }",
        &["2:47 'sudo' says nothing of a local host", "2:59 'program' says nothing of a local host"],
    ),
    (
        "connect: local, state: state }",
        "connect: local, state: state, state_on: /cluster }",
        &["2:40 the state directory of host 'fileserver' does not move with it"],
    ),
    ("connect: local, state: state }", "connect: local, state: /cluster/state, state_on: /cluster }", &[]),
    // What is on two machines is not one place.
    ("connect: local, state: state }", "connect: ssh://fs01, state: state-backup, site: /site }", &[]),
    (
        "connect: local, state: state }",
        "connect: lokal, state: state }",
        &["2:26 'connect' cannot be 'lokal'"],
    ),
    ("driver: directory", "driver: qemu", &["6:13 volume 'documents' does not say which disk it is"]),
    (
        "driver: directory",
        "driver: directory\n    qemu: { socket: qmp, node: disk }",
        &["7:11 driver 'directory' does not ask QEMU"],
    ),
    ("driver: directory", "driver: qemu\n    qemu: { socket: qmp, node: disk, pace: 10MiB }", &[]),
    ("path: mirrors/0 }", "path: mirrors/0, reach: stream }", &[]),
    ("path: mirrors/0 }", "path: mirrors/0, reach: path }", &[]),
    ("driver: directory", "driver: qemu\n    qemu: { socket: qmp }", &["7:13 'qemu' lacks the key 'node'"]),
    ("connect: local, state: state }", "connect: local }", &["2:17 'fileserver' lacks the key 'state'"]),
    ("state: state }", "state: \"\" }", &["2:40 'state' is empty"]),
    (
        "state: state }",
        "state: state-backup }",
        &["3:42 the state directory of host 'backupserver' is also the state directory of host 'fileserver'"],
    ),
    (
        "state: state }",
        "state: x/../state-backup/. }",
        &["3:42 the state directory of host 'backupserver' is also the state directory of host 'fileserver'"],
    ),
    (
        "state: state }",
        "state: /site/state-backup }",
        &["3:42 the state directory of host 'backupserver' is also the state directory of host 'fileserver'"],
    ),
    (
        "state: state }",
        "state: srv/mail/state }",
        &["13:40 the state directory of host 'fileserver' lies in the primary of volume 'mail'"],
    ),
    ("path: vault", "path: srv/mail", &["21:50 the library 'vault' is also the primary of volume 'mail'"]),
    (
        "path: vault",
        "path: mirrors/2/v",
        &["21:50 the library 'vault' lies in the secondary of volume 'mail', generation 0"],
    ),
    ("path: vault", "path: attic", &["23:48 the library 'attic' is also the library 'vault'"]),
    ("path: vault", "path: state/vault", &[]),
    (
        "srv/mail",
        "srv/documents/mail",
        &["13:40 the primary of volume 'mail' lies in the primary of volume 'documents'"],
    ),
    ("srv/mail", "srv/documents-mail", &[]),
    ("srv/mail", "srv", &["13:40 the primary of volume 'documents' lies in the primary of volume 'mail'"]),
    (
        "path: other",
        "path: state-backup/other",
        &["17:42 the primary of volume 'elsewhere' lies in the state directory of host 'backupserver'"],
    ),
    (
        "path: mirrors/2",
        "path: srv/mail",
        &["14:80 the secondary of volume 'mail', generation 0, is also the primary of volume 'mail'"],
    ),
    (
        "path: mirrors/2",
        "path: srv/mail/m",
        &["14:80 the secondary of volume 'mail', generation 0, lies in the primary of volume 'mail'"],
    ),
    (
        "path: srv/mail",
        "path: mirrors/2/data",
        &["14:80 the primary of volume 'mail' lies in the secondary of volume 'mail', generation 0"],
    ),
    (
        "mirrors/2",
        "mirrors/1",
        &[
            "14:80 the secondary of volume 'mail', generation 0, is also the secondary of volume 'documents', generation 1",
        ],
    ),
    (
        "mirrors/2",
        "mirrors/1/2",
        &[
            "14:80 the secondary of volume 'mail', generation 0, lies in the secondary of volume 'documents', generation 1",
        ],
    ),
    ("VG03,vol01", "VG01,vol01", &["14:27 two pairs have the copy group 'VG01,vol01'"]),
    ("VG03,vol01", "VG03", &["14:27 'copy_group' cannot be 'VG03'"]),
    ("VG03,vol01", "VG03,vol/1", &["14:27 'copy_group' cannot be 'VG03,vol/1'"]),
    ("\"VG03,vol01\"", "VG03,vol01", &["14:27 a comma between braces separates entries"]),
    ("\"VG03,vol01\"", "[VG03,vol01]", &["14:27 'copy_group' cannot be a list of 2"]),
    (
        "host: fileserver, path: srv/mail",
        "host: fileservr, path: srv/mail",
        &["13:22 there is no host 'fileservr'"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    primary: { host: fileserver, path: srv/mail",
        &["12:13 volume 'mail' does not say what LVM makes"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    lvm: { kind: thin }\n    primary: { host: fileserver, path: srv/mail",
        &["14:40 'srv/mail' is no path of a logical volume"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: image\n    lvm: { kind: thin }\n    primary: { host: fileserver, path: srv/mail",
        &["13:10 driver 'image' does not ask LVM"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    lvm: { kind: snapshot, device: /dev/sdc }\n    primary: { host: fileserver, path: /dev/vg0/mail",
        &["13:18 kind 'snapshot' does not say its size", "13:36 kind 'snapshot' has no device"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    lvm: { kind: raid1, size: 1GiB }\n    primary: { host: fileserver, path: /dev/vg0/mail",
        &["13:18 kind 'raid1' does not say its device", "13:31 kind 'raid1' has no size"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    lvm: { kind: mirror }\n    primary: { host: fileserver, path: /dev/vg0/mail/x",
        &["13:18 'kind' cannot be 'mirror'", "14:40 '/dev/vg0/mail/x' is no path of a logical volume"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/documents",
        "driver: lvm\n    lvm: { kind: raid1, device: /dev/sdc }\n    primary: { host: fileserver, path: /dev/vg0/documents",
        &["11:9 LVM tracks what is written since one half was split, not since two"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: lvm\n    lvm: { kind: snapshot, size: 1GiB }\n    primary: { host: fileserver, path: /dev/vg0/mail",
        &[],
    ),
    (
        "path: mirrors/2",
        "path: mirrors/2, device: /dev/sdb",
        &["14:99 driver 'directory' copies to no device"],
    ),
    (
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: image\n    primary: { host: fileserver, path: srv/mail",
        &[],
    ),
    ("  mail:", "  ma il:", &["11:3 a name cannot be 'ma il'"]),
    ("  mail:", "  .mail:", &["11:3 a name cannot be '.mail'"]),
    ("  mail:", "  documents:", &["11:3 the key 'documents' stands here again"]),
    (
        "slots: 8, drives: 1, cartridge_size: 64MiB, pools: [daily, weekly]",
        "slots: 0, drives: 0, cartridge_size: 0B, pools: []",
        &[
            "21:64 'slots' cannot be 0",
            "21:75 'drives' cannot be 0",
            "21:94 a cartridge of 0B is too small",
            "21:105 'pools' is empty",
        ],
    ),
    (
        "cartridge_size: 64MiB, pools: [daily, weekly]",
        "cartridge_size: 64, pools: daily",
        &["21:94 'cartridge_size' cannot be the number 64", "21:105 'pools' cannot be the text 'daily'"],
    ),
    (
        "cartridge_size: 64MiB, pools: [daily, weekly]",
        "cartridge_size: 64MB, pools: [daily, daily]",
        &["21:94 'cartridge_size' cannot be '64MB'", "21:115 the pool 'daily' is named twice"],
    ),
    ("cartridge_size: 64MiB, pools: [daily, weekly]", "cartridge_size: 1024KiB, pools: [daily, weekly]", &[]),
    (
        "drives: 1, cartridge_size: 64MiB, pools: [daily, weekly]",
        "drives: 2.0, cartridge_size: 64MiB, pools: [daily]",
        &["21:75 'drives' cannot be the number 2.0"],
    ),
    ("libraries:", "librarys:", &["19:1 there is no key 'librarys' in the file"]),
];

#[test]
fn every_problem_of_a_site_is_found_at_its_place() {
    for (old, new, expected) in CHANGES {
        assert!(SITE.contains(old), "{old}");
        assert_eq!(problems_of_site(&SITE.replacen(old, new, 1)), *expected, "{old} -> {new}");
    }
}

#[test]
fn a_volume_needs_pairs_and_a_site_hosts() {
    let site = "hosts: { a: { connect: local, state: s } }\nvolumes:\n  v: { driver: directory, primary: { host: a, path: p }, pairs: [] }\n";
    assert_eq!(problems_of_site(site), ["3:65 'pairs' is empty"]);
    assert_eq!(problems_of_site("hosts: {}\nvolumes: {}\n"), ["1:8 'hosts' is empty"]);
    assert_eq!(problems_of_site("volumes: {}\n"), ["1:1 the file lacks the key 'hosts'"]);
}

#[test]
fn a_broken_site_does_not_make_every_name_unknown() {
    let operation = "protect: { filesystem: srv, volumes: [documents, other] }\nusual_state: x\n";
    let broken = SITE.replace(
        "driver: directory\n    primary: { host: fileserver, path: srv/mail",
        "driver: @\n    primary: { host: fileserver, path: srv/mail",
    );
    let report = check(&broken, &[("a.yaml", operation)]).report;
    assert_eq!(lines(&report), ["12:13 '@' cannot begin a value", "2:14 'usual_state' cannot be 'x'"]);
    let report = check("hosts: [", &[("a.yaml", operation)]).report;
    assert_eq!(
        lines(&report),
        ["1:8 the '[' that opens here is not closed", "2:14 'usual_state' cannot be 'x'"]
    );
}

#[test]
fn ten_thousand_volumes_are_compared_in_no_time() {
    let mut site = String::from("hosts: { a: { connect: local, state: state } }\nvolumes:\n");
    for i in 0..10_000 {
        let _ = writeln!(
            site,
            "  v{i}: {{ driver: directory, primary: {{ host: a, path: srv/{i} }}, pairs: [{{ copy_group: \"VG,{i}\", secondary: {{ host: a, path: m/{i} }} }}] }}"
        );
    }
    let start = std::time::Instant::now();
    assert_eq!(problems_of_site(&site), [""; 0]);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}
