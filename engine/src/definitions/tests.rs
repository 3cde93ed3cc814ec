use std::{ffi::OsStr, fs, os::unix::fs::symlink, path::Path};

use resplit_operations::definitions::{check_all, check_all_partial};

use super::{find_site, read};

const SITE: &str = "hosts: { a: { connect: local, state: state } }\nvolumes: {}\n";

fn site() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("site.yaml"), SITE).unwrap();
    fs::create_dir(directory.path().join("operations")).unwrap();
    directory
}

#[test]
fn the_flag_beats_the_variable_beats_the_parents() {
    let (flag, variable, parent) = (site(), site(), site());
    let real = |directory: &tempfile::TempDir| fs::canonicalize(directory.path()).unwrap();
    let deep = parent.path().join("a/b");
    fs::create_dir_all(&deep).unwrap();
    let environment = Some(variable.path().as_os_str());
    assert_eq!(find_site(Some(flag.path()), environment, &deep).unwrap(), real(&flag));
    assert_eq!(find_site(Some(&flag.path().join("site.yaml")), None, &deep).unwrap(), real(&flag));
    assert_eq!(find_site(None, environment, &deep).unwrap(), real(&variable));
    assert_eq!(find_site(None, Some(OsStr::new("")), &deep).unwrap(), real(&parent));
    assert_eq!(find_site(Some(Path::new("..")), None, &parent.path().join("a")).unwrap(), real(&parent));
}

#[test]
fn a_directory_without_a_site_is_refused_by_name() {
    let empty = tempfile::tempdir().unwrap();
    let said = find_site(Some(empty.path()), None, Path::new("/")).unwrap_err();
    assert!(said.message.contains("there is no site.yaml in") && said.message.contains("(--site)"), "{said}");
    let missing = find_site(None, Some(OsStr::new("/no/such/place")), Path::new("/")).unwrap_err();
    assert!(missing.message.contains("/no/such/place (RESPLIT_SITE)"), "{missing}");
}

#[test]
fn whatever_stands_in_a_files_place_is_a_problem_and_no_more() {
    let directory = site();
    let operations = directory.path().join("operations");
    let good = "steps: { a: { export: {}, host: a } }\n";
    for name in ["b.yaml", "a.yaml", "old.yml", ".#a.yaml", "a.yaml~", ".a.yaml.swp", "#a.yaml#", "README"] {
        fs::write(operations.join(name), good).unwrap();
    }
    fs::create_dir(operations.join("directory.yaml")).unwrap();
    symlink("nowhere", operations.join("link.yaml")).unwrap();
    symlink("a.yaml", operations.join("good-link.yaml")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        operations.join("pipe.yaml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let large = fs::File::create(operations.join("large.yaml")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();

    let (site, sources) = read(directory.path());
    let names: Vec<_> = sources.iter().filter_map(|s| s.path.file_name()?.to_str()).collect();
    let all = "a.yaml b.yaml directory.yaml good-link.yaml large.yaml link.yaml old.yml pipe.yaml";
    assert_eq!(names.join(" "), all);

    let partial = check_all_partial(site, sources);
    let operations: Vec<_> =
        partial.operations.keys().map(resplit_operations::ids::OperationId::as_str).collect();
    assert_eq!(operations, ["a", "b", "good-link"]);
    let report = partial.report.relative_to(&fs::canonicalize(directory.path()).unwrap()).to_string();
    for expected in [
        "directory.yaml: is a directory, not a file",
        "link.yaml: is a symbolic link to nowhere, which is not there",
        "pipe.yaml: is not a regular file",
        "old.yml: named .yml, not read",
        "large.yaml: the file has more than 16777216 bytes",
    ] {
        assert!(report.contains(expected), "{expected} is not in\n{report}");
    }
    assert_eq!(partial.broken.len(), 4);
}

#[test]
fn a_site_without_operations_is_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("site.yaml"), SITE).unwrap();
    let (site, operations) = read(directory.path());
    assert!(operations.is_empty());
    assert!(check_all(site, operations).is_ok());

    fs::write(directory.path().join("operations"), "a file").unwrap();
    let (site, operations) = read(directory.path());
    let report = check_all(site, operations).unwrap_err().to_string();
    assert!(report.contains("operations: cannot be read"), "{report}");
}
