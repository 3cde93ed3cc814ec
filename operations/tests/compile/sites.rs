//! Sites and operations that the tests compile.

use std::path::Path;

use resplit_operations::{
    compile::{self, CompileError, RestoreFrom, RestoreRequest},
    ids::OperationId,
    operation::Operation,
    plan::Plan,
    site::Site,
};

use crate::yaml;

/// Where the site directory is said to be.
pub(crate) const DIRECTORY: &str = "/srv/site";

/// The site, as it is written.
pub(crate) const SITE: &str = r#"
hosts:
  fileserver: { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
  elsewhere: { connect: local, state: ../elsewhere }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: data/documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backupserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: backupserver, path: mirrors/1 } }
  mail:
    driver: directory
    primary: { host: fileserver, path: data/mail }
    pairs: [{ copy_group: "VG01,vol02", secondary: { host: backupserver, path: mirrors/mail } }]
  local:
    driver: directory
    primary: { host: fileserver, path: data/local }
    pairs: [{ copy_group: "VG01,vol03", secondary: { host: fileserver, path: mirrors/local } }]
  scattered:
    driver: directory
    primary: { host: fileserver, path: data/scattered }
    pairs:
      - { copy_group: "VG01,vol04", secondary: { host: fileserver, path: mirrors/2 } }
      - { copy_group: "VG02,vol04", secondary: { host: backupserver, path: mirrors/3 } }
  far:
    driver: directory
    primary: { host: elsewhere, path: data/far }
    pairs: [{ copy_group: "VG01,vol05", secondary: { host: backupserver, path: mirrors/4 } }]
  twice:
    driver: directory
    primary: { host: fileserver, path: data/twice }
    pairs: [{ copy_group: "VG01,vol06", secondary: { host: fileserver, path: mirrors/6 } }]
    targets:
      remote:
        driver: directory
        pairs: [{ copy_group: "TC01,vol06", secondary: { host: backupserver, path: mirrors/7 } }]
  behind:
    driver: directory
    primary: { host: backupserver, path: mirrors/7/data }
    behind: "TC01,vol06"
    pairs: [{ copy_group: "CC01,vol06", secondary: { host: elsewhere, path: mirrors/8 } }]
libraries:
  vault: { driver: virtual, host: backupserver, path: vault, slots: 8, drives: 1, cartridge_size: "64MiB", pools: [documents] }
  desk: { driver: virtual, host: fileserver, path: desk, slots: 8, drives: 1, cartridge_size: "64MiB", pools: [documents] }
"#;

/// What several tests declare.
pub(crate) const SPLIT: &str = r"
description: The documents, mirrored, split at one moment, and put on tape
protect: { filesystem: documents, volumes: [documents] }
backup_server: backupserver
usual_state: split
quiesce: { mode: online, window: 10s }
tape: { library: vault, pool: documents, keep: 30d }
";

pub(crate) const PAIRED: &str = r"
protect: { filesystem: data, volumes: [documents] }
backup_server: backupserver
usual_state: paired
quiesce: { mode: freeze, window: 5s }
tape: { library: vault, pool: documents, keep: forever }
";

pub(crate) const TWO_VOLUMES: &str = r"
protect: { filesystem: data, volumes: [documents, mail] }
backup_server: backupserver
usual_state: paired
tape: { library: vault, pool: documents, keep: 30d }
";

pub(crate) const HOOKS: &str = r#"
protect: { filesystem: data, volumes: [documents, mail] }
backup_server: backupserver
tape: { library: vault, pool: documents, keep: 30d }
hooks:
  before:
    - { argv: [/usr/bin/test, -d, /srv/site/data] }
    - { argv: [logger, "before: it failed"], on: failure }
    - { argv: [logger, begins], host: backupserver, on: always }
  before_quiesce: [{ argv: [sync], timeout: 2m }]
  in_window: [{ argv: [psql, -c, "select 'held'; -- \"é\" #"], environment: { PGHOST: "::1" }, accept: [0, 3] }]
  after_thaw: [{ argv: [logger, thawed] }, { argv: [logger, thawed anyway], on: always }]
  after:
    - { argv: [logger, done] }
    - { argv: [mail, -s, failed, root], on: failure }
    - { argv: [logger, over], on: always }
"#;

pub(crate) fn site() -> Site {
    serde_json::from_value(yaml::read(SITE)).expect("the site is one")
}

pub(crate) fn operation(text: &str) -> Operation {
    serde_json::from_value(yaml::read(text)).expect("the operation is one")
}

pub(crate) fn id() -> OperationId {
    "nightly".into()
}

pub(crate) fn backup(text: &str) -> Result<Plan, CompileError> {
    compile::backup(&site(), Path::new(DIRECTORY), &id(), &operation(text))
}

pub(crate) fn restore(text: &str, request: &RestoreRequest) -> Result<Plan, CompileError> {
    compile::restore(&site(), Path::new(DIRECTORY), &id(), &operation(text), request)
}

pub(crate) fn request(from: RestoreFrom, paths: &[&str], to: Option<&str>) -> RestoreRequest {
    RestoreRequest {
        from,
        paths: paths.iter().map(Into::into).collect(),
        to: to.map(Into::into),
        volume: None,
    }
}
