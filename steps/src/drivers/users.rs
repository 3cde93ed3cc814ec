//! Who uses a directory: what a restore would pull away from under running processes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::identity::Processes;

/// A process that uses something in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// Its process ID.
    pub pid: u32,
    /// Its program's name, at most 15 bytes of it.
    pub name: String,
    /// What it uses, in words: `works in PATH`, `has PATH open`.
    pub what: String,
}

/// The processes that use anything in or below a directory, this process left out, one line for each thing used, in the
/// order of process IDs. What this process may not look into (another user's, unless it is root) is not seen.
pub fn users_of(directory: &Path) -> Vec<User> {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let mut users = BTreeSet::new();
    for pid in Processes::system().all().unwrap_or_default() {
        if pid == std::process::id() {
            continue;
        }
        let process = PathBuf::from(format!("/proc/{pid}"));
        let used = used_by(&process);
        let used: Vec<_> = used.into_iter().filter(|(_, path)| path.starts_with(&directory)).collect();
        if used.is_empty() {
            continue;
        }
        let name = fs::read(process.join("comm")).unwrap_or_default();
        let name = String::from_utf8_lossy(&name).trim_end().to_owned();
        for (how, path) in used {
            let path = path.display();
            let what = match how {
                Use::WorkingDirectory => format!("works in {path}"),
                Use::Root => format!("has {path} as its root"),
                Use::Program => format!("runs {path}"),
                Use::Open => format!("has {path} open"),
                Use::Mapped => format!("has {path} mapped"),
            };
            let _ = users.insert(User { pid, name: name.clone(), what });
        }
    }
    users.into_iter().collect()
}

enum Use {
    WorkingDirectory,
    Root,
    Program,
    Open,
    Mapped,
}

/// Every path a process uses. One that ends meanwhile uses nothing.
fn used_by(process: &Path) -> Vec<(Use, PathBuf)> {
    let mut used = Vec::new();
    for (link, how) in [("cwd", Use::WorkingDirectory), ("root", Use::Root), ("exe", Use::Program)] {
        if let Ok(path) = fs::read_link(process.join(link)) {
            used.push((how, path));
        }
    }
    for entry in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
        if let Ok(path) = fs::read_link(entry.path()) {
            used.push((Use::Open, path));
        }
    }
    let maps = fs::read(process.join("maps")).unwrap_or_default();
    for line in String::from_utf8_lossy(&maps).lines() {
        // Address, rights, offset, device, inode, and the path, if it is of a file.
        if let Some(start) = line.find('/') {
            used.push((Use::Mapped, PathBuf::from(&line[start..])));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn who_works_in_or_has_open_or_runs_something_below_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("below");
        fs::create_dir(&below).unwrap();
        assert_eq!(users_of(directory.path()), []);

        // Open in this process: does not count.
        let file = File::create(below.join("file")).unwrap();
        assert_eq!(users_of(directory.path()), []);

        let _ = fs::copy("/bin/sleep", below.join("program")).unwrap();
        let mut child = Command::new(below.join("program"))
            .arg("60")
            .current_dir(&below)
            .stdin(Stdio::from(file))
            .spawn()
            .unwrap();
        let users = users_of(directory.path());
        let elsewhere = users_of(&directory.path().join("else"));
        child.kill().unwrap();
        let _ = child.wait().unwrap();

        let at = fs::canonicalize(&below).unwrap();
        let at = at.display();
        let wanted = [
            format!("has {at}/file open"),
            format!("has {at}/program mapped"),
            format!("runs {at}/program"),
            format!("works in {at}"),
        ];
        assert!(users.iter().all(|user| user.pid == child.id() && user.name == "program"), "{users:?}");
        assert_eq!(
            users.iter().map(|user| &user.what).collect::<Vec<_>>(),
            wanted.iter().collect::<Vec<_>>()
        );
        assert_eq!(elsewhere, []);
        assert_eq!(users_of(directory.path()), []);
    }
}
