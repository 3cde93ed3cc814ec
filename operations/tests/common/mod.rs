//! What the tests of definitions share: a site that is right, and the problems of files as one can compare them.

#![allow(dead_code, reason = "each test program uses some of it")]

use std::path::PathBuf;

use resplit_operations::{
    definitions::{Partial, Source, check_all_partial},
    report::{Report, Severity},
};

/// A site without a problem, with two volumes, on which operations can be made.
pub(crate) const SITE: &str = r#"hosts:
  fileserver: { connect: local, state: state }
  backupserver: { connect: local, state: state-backup }
volumes:
  documents:
    driver: directory
    primary: { host: fileserver, path: srv/documents }
    pairs:
      - { copy_group: "VG01,vol01", secondary: { host: backupserver, path: mirrors/0 } }
      - { copy_group: "VG02,vol01", secondary: { host: backupserver, path: mirrors/1 } }
  mail:
    driver: directory
    primary: { host: fileserver, path: srv/mail }
    pairs: [{ copy_group: "VG03,vol01", secondary: { host: backupserver, path: mirrors/2 } }]
  elsewhere:
    driver: directory
    primary: { host: backupserver, path: other }
    pairs: [{ copy_group: "VG04,vol01", secondary: { host: backupserver, path: mirrors/3 } }]
libraries:
  vault:
    { driver: virtual, host: backupserver, path: vault, slots: 8, drives: 1, cartridge_size: 64MiB, pools: [daily, weekly] }
  attic:
    { driver: virtual, host: fileserver, path: attic, slots: 8, drives: 1, cartridge_size: 64MiB, pools: [daily] }
"#;

/// What an operation needs at least.
pub(crate) const PROTECT: &str = "protect: { filesystem: srv, volumes: [documents] }\n";

/// A file in the site directory `/site`.
pub(crate) fn source(path: &str, content: impl Into<Vec<u8>>) -> Source {
    Source { path: PathBuf::from("/site").join(path), content: Ok(content.into()) }
}

/// Checks a site and operations, each a name and its text.
pub(crate) fn check(site: &str, operations: &[(&str, &str)]) -> Partial {
    let operations =
        operations.iter().map(|(name, text)| source(&format!("operations/{name}"), *text)).collect();
    check_all_partial(source("site.yaml", site), operations)
}

/// A text of so many parts.
pub(crate) fn text_of(many: usize, part: impl Fn(usize) -> String) -> String {
    (0..many).map(part).collect::<Vec<_>>().concat()
}

/// The problems as `line:column message`.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    let line = |problem| {
        let (line, column) = report.position(problem);
        let warning = if problem.severity == Severity::Warning { "warning: " } else { "" };
        format!("{line}:{column} {warning}{}", problem.message)
    };
    report.problems().iter().map(line).collect()
}

/// The problems of one operation in a right site.
pub(crate) fn problems_of(operation: impl Into<Vec<u8>>) -> Vec<String> {
    let site = source("site.yaml", SITE);
    lines(&check_all_partial(site, vec![source("operations/a.yaml", operation)]).report)
}

/// The problems of a site alone.
pub(crate) fn problems_of_site(site: &str) -> Vec<String> {
    lines(&check(site, &[]).report)
}
