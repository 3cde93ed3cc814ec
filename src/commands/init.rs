//! `resplit init`: a small site that `check` accepts and `run` runs, to begin with.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    exit::{Exit, Stop},
    output,
};

/// Write a small site to begin with
///
/// Writes a commented site.yaml, one operation and a directory for it to back up, into a new or empty directory.
/// Nothing that is there is overwritten.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  resplit init backups && cd backups && resplit check && resplit run example"
)]
pub(crate) struct Arguments {
    /// Where
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
}

/// What is written, in this order: without its site.yaml a directory is no site.
const FILES: [(&str, &str); 3] = [
    ("example/welcome.txt", include_str!("init/welcome.txt")),
    ("operations/example.yaml", include_str!("init/example.yaml")),
    ("site.yaml", include_str!("init/site.yaml")),
];

/// Writes the files.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Exit, Stop> {
    let directory = &arguments.directory;
    refuse_what_is_there(directory)?;
    let mut written = Vec::new();
    for (name, text) in FILES {
        let path = directory.join(name);
        write(&path, text).map_err(|e| Stop::failed(format!("cannot write {}: {e}", path.display())))?;
        written.push(path);
    }
    if json {
        output::print_json(&written)?;
    } else {
        for path in &written {
            output::print(&format!("{}\n", path.display()))?;
        }
        let site = directory.display();
        output::note(&format!("next: resplit --site {site} check, then resplit --site {site} plan example"));
    }
    Ok(Exit::Done)
}

/// Refuses a directory that holds anything but hidden files and what an interrupted `init` has written.
fn refuse_what_is_there(directory: &Path) -> Result<(), Stop> {
    let unreadable = |error: io::Error| Stop::failed(format!("cannot read {}: {error}", directory.display()));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let ours = FILES.iter().any(|(path, _)| Path::new(path).iter().next() == Some(&name));
        if !ours && !name.as_encoded_bytes().starts_with(b".") {
            return Err(refusal(&directory.join(name)));
        }
    }
    for (name, text) in FILES {
        let path = directory.join(name);
        match fs::read(&path) {
            Ok(content) if content == text.as_bytes() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Err(refusal(&path)),
        }
    }
    Ok(())
}

fn refusal(path: &Path) -> Stop {
    Stop::new(Exit::Operator, format!("{} is there already, and nothing is overwritten", path.display()))
        .help("name a new or empty directory: resplit init DIR")
}

/// Writes a file whole or not at all: it appears under its name once its content is durable.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let new = parent.join(format!(".{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_init_is_completed_and_anything_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("new");
        let arguments = Arguments { directory: directory.clone() };
        fs::create_dir_all(directory.join("operations")).unwrap();
        fs::write(directory.join("operations/example.yaml"), FILES[1].1).unwrap();
        assert_eq!(run(&arguments, false), Ok(Exit::Done));
        assert_eq!(fs::read_to_string(directory.join("site.yaml")).unwrap(), FILES[2].1);

        fs::write(directory.join("site.yaml"), "mine").unwrap();
        let stop = run(&arguments, false).unwrap_err();
        assert_eq!(stop.exit, Exit::Operator);
        assert!(stop.message.contains("site.yaml"), "{}", stop.message);
        assert_eq!(fs::read_to_string(directory.join("site.yaml")).unwrap(), "mine");
    }

    #[test]
    fn a_directory_with_other_things_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("letter.txt"), "dear").unwrap();
        let stop = run(&Arguments { directory: home.path().to_owned() }, false).unwrap_err();
        assert!(stop.message.contains("letter.txt"), "{}", stop.message);
        assert!(!home.path().join("site.yaml").exists());
    }
}
